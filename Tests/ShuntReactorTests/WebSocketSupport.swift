import ShuntCore
import Testing

@testable import ShuntReactor

/// A transport of WebSocket without a loop or a socket.
final class WebSocketHarness {
    static let door = WebSocketDoor(path: "/mqtt", origins: ["https://example.org:8443"], isSecure: true, subprotocols: ["mqtt", "mqttv3.1"])

    let transport: WebSocketTransport
    /// What came out of the frames.
    private(set) var plain: [UInt8] = []
    /// What was written to the peer.
    private(set) var wire: [UInt8] = []
    private(set) var failure: TransportFailure?

    /// - Parameter opened: the handshake is done.
    init(opened: Bool = true) {
        transport = WebSocketTransport(Self.door)
        guard opened else { return }
        receive(Self.request())
        wire = []
    }

    /// RFC 6455 §1.3, for MQTT.
    static func request(
        _ line: String = "GET /mqtt HTTP/1.1", without: String? = nil, adding: [String] = [], replacing: [String: String] = [:]
    ) -> [UInt8] {
        let headers = [
            ("Host", "server.example.com"), ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
            ("Origin", "http://server.example.com"), ("Sec-WebSocket-Protocol", "mqtt"), ("Sec-WebSocket-Version", "13"),
        ]
        let lines = headers.filter { $0.0 != without }.map { "\($0.0): \(replacing[$0.0] ?? $0.1)" }
        return Array(([line] + lines + adding).map { $0 + "\r\n" }.joined().utf8) + Array("\r\n".utf8)
    }

    /// A client's frame.
    /// - Parameter lengthSize: bytes of the length behind the first; nil: as few as there can be.
    static func frame(
        _ opcode: UInt8, _ payload: [UInt8], isLast: Bool = true, reserved: UInt8 = 0, mask: [UInt8]? = [0x37, 0xFA, 0x21, 0x3D],
        lengthSize: Int? = nil
    ) -> [UInt8] {
        let size = lengthSize ?? (payload.count < 126 ? 0 : payload.count <= 0xFFFF ? 2 : 8)
        let flag: UInt8 = mask == nil ? 0 : 0x80
        var frame = [(isLast ? 0x80 : 0) | reserved << 4 | opcode, flag | (size == 0 ? UInt8(payload.count) : size == 2 ? 126 : 127)]
        for index in (0..<size).reversed() { frame.append(UInt8(truncatingIfNeeded: payload.count >> (8 * index))) }
        guard let mask else { return frame + payload }
        return frame + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
    }

    /// Gives the transport bytes as a loop does, and takes what it writes.
    /// - Parameters:
    ///   - space: for its payload, in bytes.
    ///   - writing: whether the peer takes anything.
    func receive(_ bytes: [UInt8], space: Int = 8192, writing: Bool = true) {
        guard failure == nil else { return }
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: space, alignment: 8)
        defer { room.deallocate() }
        bytes.withUnsafeBytes { bytes in
            var rest = bytes
            do throws(TransportFailure) {
                while true {
                    let progress = try transport.read(rest, into: room)
                    rest = Bytes(rebasing: rest[progress.taken...])
                    plain += room[..<progress.given]
                    guard progress.given == 0 else { continue }
                    #expect(rest.isEmpty, "it takes all before it gives nothing")
                    break
                }
            } catch {
                failure = error
            }
        }
        if writing { write([]) }
    }

    func write(_ bytes: [UInt8]) {
        let room = UnsafeMutableRawBufferPointer.allocate(byteCount: 32 << 10, alignment: 8)
        defer { room.deallocate() }
        bytes.withUnsafeBytes { bytes in
            var rest = bytes
            while let progress = try? transport.write(rest, into: room), progress != TransportProgress(taken: 0, given: 0) {
                rest = Bytes(rebasing: rest[progress.taken...])
                wire += room[..<progress.given]
            }
        }
    }

    var hasEnded: Bool {
        if case .ended = transport.phase { return true }
        return false
    }

    var isOpen: Bool {
        if case .open = transport.phase { return true }
        return false
    }
}
