import ShuntCore
import ShuntReactor

/// The promises of a client's WebSocket for any input: it means the same wherever it is cut, and gives no more than has come.
enum WebSocketTarget {
    private static let door = WebSocketDoor(path: "/mqtt", origins: [], isSecure: false, subprotocols: ["mqtt"])

    /// What came of a conversation.
    private struct Outcome: Equatable {
        var plain: [UInt8] = []
        var written: [UInt8] = []
        var failure: TransportFailure?
        var hasEnded = false
    }

    /// - Returns: whether hands were shaken and nothing was wrong.
    static func check(_ input: Bytes) throws(BrokenInvariant) -> Bool {
        let whole = try talk(input, cuts: [])
        try expect(whole.plain.count <= input.count, "no more payload comes out than went in")
        try expect(whole.written.count <= 4096 + input.count, "a peer is not told more than it has said")
        for cut in [1, input.count / 3, input.count / 2, input.count - 1] where cut > 0 && cut < input.count {
            var pieces = try talk(input, cuts: [cut])
            // Of several pings the last one may be answered alone.
            pieces.written = whole.written
            try expect(pieces == whole, "a conversation means the same wherever it is cut")
        }
        return whole.written.starts(with: "HTTP/1.1 101".utf8) && whole.failure == nil
    }

    private static func talk(_ input: Bytes, cuts: [Int]) throws(BrokenInvariant) -> Outcome {
        let transport = WebSocketTransport(door)
        let space = UnsafeMutableRawBufferPointer.allocate(byteCount: 32 << 10, alignment: 8)
        defer { space.deallocate() }
        var outcome = Outcome()
        var start = 0
        for end in cuts + [input.count] where outcome.failure == nil && !outcome.hasEnded {
            try read(Bytes(rebasing: input[start..<end]), by: transport, space, &outcome)
            start = end
            while let progress = try? transport.write(Bytes(start: nil, count: 0), into: space), progress.given > 0 {
                outcome.written += space[..<progress.given]
            }
            if case .ended = transport.phase { outcome.hasEnded = true }
        }
        return outcome
    }

    private static func read(
        _ input: Bytes, by transport: WebSocketTransport, _ space: UnsafeMutableRawBufferPointer, _ outcome: inout Outcome
    ) throws(BrokenInvariant) {
        var rest = input
        while true {
            let progress: TransportProgress
            do throws(TransportFailure) {
                progress = try transport.read(rest, into: UnsafeMutableRawBufferPointer(rebasing: space[..<8192]))
            } catch {
                return outcome.failure = error
            }
            try expect(0...rest.count ~= progress.taken && 0...8192 ~= progress.given, "progress is within bounds")
            rest = Bytes(rebasing: rest[progress.taken...])
            outcome.plain += space[..<progress.given]
            guard progress.given == 0 else { continue }
            try expect(rest.isEmpty, "a transport takes all before it gives nothing")
            return
        }
    }
}

extension Corpus {
    private static let handshake = Array(
        ("GET /mqtt HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            + "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Version: 13\r\n\r\n").utf8)

    /// A handshake and what a client may send behind it, and requests that are none.
    static let webSockets: [[UInt8]] = [
        handshake + [0x82, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58, 0x89, 0x81, 1, 2, 3, 4, 5],
        handshake + [0x02, 0x81, 0, 0, 0, 0, 1, 0x8A, 0x80, 0, 0, 0, 0, 0x00, 0x80, 0, 0, 0, 0, 0x80, 0x81, 9, 9, 9, 9, 1],
        handshake + [0x82, 0xFE, 0, 126, 1, 2, 3, 4] + [UInt8](repeating: 7, count: 126) + [0x88, 0x82, 0, 0, 0, 0, 3, 0xE8],
        handshake + [0x82, 0xFF, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4] + [UInt8](repeating: 7, count: 65_536) + [0x88, 0x80, 0, 0, 0, 0],
        Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8), Array("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc".utf8),
    ]
}
