import Glibc
import ShuntCore

/// A client of WebSocket (RFC 6455). What is written to it are frames; what is read from it is their payload, wherever they begin and end.
final class WebSocket: Socket, @unchecked Sendable {
    // `@unchecked Sendable`: a descriptor; one thread sends. One receives, and the place among the frames is that thread's.
    private var frames = WebSocketFrames()

    /// Connects and shakes hands.
    override init(host: String, port: Int, receiveBuffer: Int? = nil) throws {
        try super.init(host: host, port: port, receiveBuffer: receiveBuffer)
        // Any 16 bytes are a key.
        let key = "MDEyMzQ1Njc4OWFiY2RlZg=="
        let lines = [
            "GET /mqtt HTTP/1.1", "Host: \(host):\(port)", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Key: \(key)",
            "Sec-WebSocket-Version: 13", "Sec-WebSocket-Protocol: mqtt", "", "",
        ]
        try write(Array(lines.joined(separator: "\r\n").utf8))
        var answer: [UInt8] = []
        try withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { byte in
            repeat {
                guard super.read(byte) == 1, answer.count < 8192 else { throw ShuntError(.protocolWebSocket, "no answer to a handshake") }
                answer.append(byte[0])
            } while !answer.hasSuffix("\r\n\r\n")
        }
        guard answer.starts(with: "HTTP/1.1 101".utf8) else {
            throw ShuntError(.protocolWebSocket, "the server refused a handshake: \(String(decoding: answer.prefix(60), as: UTF8.self))")
        }
    }

    override func discard(_ count: Int = 1 << 20, wait: Bool = false) -> Int { discardByReading(count, wait: wait) }

    override func read(_ buffer: UnsafeMutableRawBufferPointer, wait: Bool = true) -> Int {
        while true {
            let got = super.read(buffer, wait: wait)
            guard got > 0 else { return got }
            let payload = frames.takePayload(UnsafeMutableRawBufferPointer(rebasing: buffer[..<got]))
            if payload > 0 || frames.isOver { return payload }
        }
    }

    /// A frame of its own, masked, as clients send them.
    static func frame(_ payload: [UInt8]) -> [UInt8] {
        let mask = withUnsafeBytes(of: UInt32.random(in: .min ... .max)) { Array($0) }
        var head: [UInt8] = [0x82]
        if payload.count < 126 {
            head.append(0x80 | UInt8(payload.count))
        } else if payload.count <= 0xFFFF {
            head += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        } else {
            head.append(0x80 | 127)
            head += withUnsafeBytes(of: UInt64(payload.count).bigEndian) { Array($0) }
        }
        return head + mask + payload.enumerated().map { $1 ^ mask[$0 & 3] }
    }
}

/// Where a stream of a server's frames stands.
struct WebSocketFrames {
    /// Of a header, as far as it has come.
    private var head: [UInt8] = []
    /// Bytes of the payload that are to come.
    private var left = 0
    private var isData = false
    /// The server has ended the stream, or sent what no server may.
    private(set) var isOver = false

    init() { head.reserveCapacity(10) }

    /// Moves the payload of data frames to the front of the bytes.
    /// - Returns: how many bytes it has.
    mutating func takePayload(_ bytes: UnsafeMutableRawBufferPointer) -> Int {
        var (place, given) = (0, 0)
        while place < bytes.count, !isOver {
            if left > 0 {
                let count = min(left, bytes.count - place)
                if isData {
                    bytes.baseAddress?.advanced(by: given).copyMemory(from: bytes.baseAddress! + place, byteCount: count)
                    given += count
                }
                place += count
                left -= count
            } else {
                head.append(bytes[place])
                place += 1
                readHead()
            }
        }
        return given
    }

    private mutating func readHead() {
        guard head.count >= 2 else { return }
        let size = head[1] < 126 ? 2 : head[1] == 126 ? 4 : 10
        guard head.count >= size else { return }
        left = size == 2 ? Int(head[1]) : head[2...].reduce(0) { $0 << 8 | Int($1) }
        isData = head[0] & 0x0F <= 2
        isOver = head[0] & 0x0F == 8 || head[1] & 0x80 != 0
        head.removeAll(keepingCapacity: true)
    }
}

extension [UInt8] {
    fileprivate func hasSuffix(_ text: String) -> Bool { suffix(text.utf8.count).elementsEqual(text.utf8) }
}
