import SeededRandom
import ShuntCore
import Testing

@testable import ShuntReactor

@Suite("WebSocket")
struct WebSocketTransportTests {
    private func frame(_ opcode: UInt8, _ payload: [UInt8], isLast: Bool = true) -> [UInt8] {
        WebSocketHarness.frame(opcode, payload, isLast: isLast)
    }

    private func close(_ code: Int, _ reason: String = "") -> [UInt8] { frame(8, [UInt8(code >> 8), UInt8(code & 0xFF)] + Array(reason.utf8)) }

    @Test("RFC 6455 §5.7: the examples of masked frames, as binary ones, and a ping")
    func examples() {
        let harness = WebSocketHarness()
        harness.receive([0x82, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58])
        #expect(harness.plain == Array("Hello".utf8))
        harness.receive([0x89, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58])
        #expect(harness.wire == [0x8A, 0x05] + Array("Hello".utf8))
        harness.receive(frame(2, Array("Hel".utf8), isLast: false) + frame(9, []) + frame(0, Array("lo".utf8)))
        #expect(harness.plain == Array("HelloHello".utf8) && harness.failure == nil)
    }

    @Test("Payload of any length comes whole, whatever its mask", arguments: [0, 1, 125, 126, 4095, 4096, 4097, 65_535, 65_536, 200_000])
    func lengths(length: Int) {
        let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        for mask: [UInt8] in [[0, 0, 0, 0], [1, 2, 3, 4], [255, 0, 255, 1]] {
            let harness = WebSocketHarness()
            harness.receive(WebSocketHarness.frame(2, payload, mask: mask) + frame(2, [42]))
            #expect(harness.plain == payload + [42] && harness.failure == nil)
        }
    }

    @Test(
        "What is written is a frame a call, without a mask, its length as short as it can be",
        arguments: [1, 125, 126, 32_000, 65_535, 65_536, 100_000])
    func writing(length: Int) {
        let payload = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7) }
        let harness = WebSocketHarness()
        harness.write(payload)
        let room = (32 << 10) - WebSocketFrame.longestHeader
        var (rest, wire) = (payload[...], [UInt8]())
        while !rest.isEmpty {
            let part = Array(rest.prefix(room))
            wire += WebSocketHarness.frame(2, part, mask: nil)
            rest = rest.dropFirst(part.count)
        }
        #expect(harness.wire == wire)
    }

    @Test("Headers of frames have 2, 4 or 10 bytes", arguments: [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)])
    func headers(length: Int, size: Int) {
        let space = UnsafeMutableRawBufferPointer.allocate(byteCount: 10, alignment: 8)
        defer { space.deallocate() }
        #expect(WebSocketFrame.writeHeader(2, payload: length, into: space) == size)
        let whole = WebSocketHarness.frame(2, [UInt8](repeating: 0, count: length), mask: nil)
        #expect(Array(space[..<size]) == Array(whole.prefix(size)))
    }

    @Test("A conversation means the same, wherever it is cut")
    func cuts() {
        let long = [UInt8](repeating: 9, count: 130)
        let wire =
            frame(2, [1, 2]) + frame(9, [7]) + frame(2, long, isLast: false) + frame(0, [], isLast: false) + frame(10, [8]) + frame(0, [3])
            + close(1000, "bye")
        for count in 0...wire.count {
            let harness = WebSocketHarness()
            harness.receive(Array(wire.prefix(count)))
            harness.receive(Array(wire.dropFirst(count)))
            #expect(harness.plain == [1, 2] + long + [3], "cut at \(count)")
            #expect(harness.wire == [0x8A, 1, 7, 0x88, 2, 0x03, 0xE8] && harness.hasEnded && harness.failure == nil, "cut at \(count)")
        }
        let harness = WebSocketHarness()
        for byte in wire { harness.receive([byte]) }
        #expect(harness.plain == [1, 2] + long + [3] && harness.hasEnded)
    }

    @Test("Random frames in random pieces give their payload", arguments: 1...10)
    func random(seed: UInt64) {
        var random = SplitMix(seed: seed)
        let harness = WebSocketHarness()
        var (wire, plain) = ([UInt8](), [UInt8]())
        for _ in 0..<60 {
            let length = Int([0, 1, 10, 125, 126, 5000, 70_000][Int(random.next() % 7)])
            let payload = (0..<length).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            let mask = (0..<4).map { _ in UInt8(truncatingIfNeeded: random.next()) }
            wire += WebSocketHarness.frame(2, payload, mask: mask)
            plain += payload
        }
        var rest = wire[...]
        while !rest.isEmpty {
            let piece = rest.prefix(Int(random.next() % 3 == 0 ? random.next() % 9 + 1 : random.next() % 66_000 + 1))
            rest = rest.dropFirst(piece.count)
            harness.receive(Array(piece), space: 8192 + Int(random.next() % 100_000))
        }
        #expect(harness.plain == plain && harness.failure == nil && harness.wire.isEmpty)
    }

    @Test("A frame of 2^63 − 1 bytes goes on as it comes; one of 2^63 is refused")
    func endless() {
        let harness = WebSocketHarness()
        harness.receive([0x82, 0xFF, 0x7F] + [UInt8](repeating: 0xFF, count: 7) + [0, 0, 0, 0])
        for _ in 0..<100 { harness.receive([UInt8](repeating: 5, count: 10_000)) }
        #expect(harness.plain == [UInt8](repeating: 5, count: 1_000_000) && harness.failure == nil)
        let other = WebSocketHarness()
        other.receive([0x82, 0xFF, 0x80] + [UInt8](repeating: 0, count: 7) + [0, 0, 0, 0])
        #expect(other.wire == [0x88, 2, 0x03, 0xEA] && other.failure != nil)
    }

    @Test(
        "What RFC 6455 forbids ends the connection with the code for it; what came before it counts, what follows does not",
        arguments: [
            ("no mask", WebSocketHarness.frame(2, [1], mask: nil), 1002), ("an empty frame without a mask", [0x82, 0], 1002),
            ("text", WebSocketHarness.frame(1, [0x61]), 1003), ("empty text", WebSocketHarness.frame(1, []), 1003),
            ("reserved bit 1", WebSocketHarness.frame(2, [1], reserved: 4), 1002),
            ("reserved bit 2", WebSocketHarness.frame(2, [1], reserved: 2), 1002),
            ("reserved bit 3", WebSocketHarness.frame(9, [1], reserved: 1), 1002), ("opcode 3", WebSocketHarness.frame(3, [1]), 1002),
            ("opcode 7", WebSocketHarness.frame(7, []), 1002), ("opcode 11", WebSocketHarness.frame(11, [1]), 1002),
            ("opcode 15", WebSocketHarness.frame(15, []), 1002), ("a continuation of nothing", WebSocketHarness.frame(0, [1]), 1002),
            ("an empty continuation of nothing", WebSocketHarness.frame(0, []), 1002),
            ("a message inside another", WebSocketHarness.frame(2, [], isLast: false) + WebSocketHarness.frame(2, [1]), 1002),
            ("a ping of 126 bytes", WebSocketHarness.frame(9, [UInt8](repeating: 1, count: 126)), 1002),
            ("a ping in pieces", WebSocketHarness.frame(9, [1], isLast: false), 1002),
            ("a pong in pieces", WebSocketHarness.frame(10, [], isLast: false), 1002),
            ("a close in pieces", WebSocketHarness.frame(8, [], isLast: false), 1002),
            ("a length of 2 bytes for 125", WebSocketHarness.frame(2, [UInt8](repeating: 1, count: 125), lengthSize: 2), 1002),
            ("a length of 8 bytes for 65,535", WebSocketHarness.frame(2, [UInt8](repeating: 1, count: 65_535), lengthSize: 8), 1002),
            ("half a code", WebSocketHarness.frame(8, [3]), 1002), ("a reason that is no text", WebSocketHarness.frame(8, [3, 0xE8, 0xFF]), 1007),
            ("empty frames without end", (0..<1001).flatMap { _ in WebSocketHarness.frame(2, []) }, 1008),
            ("empty fragments without end", (0..<1001).flatMap { WebSocketHarness.frame($0 == 0 ? 2 : 0, [], isLast: false) }, 1008),
        ] as [(String, [UInt8], Int)])
    func violations(what: String, bytes: [UInt8], code: Int) {
        let harness = WebSocketHarness()
        harness.receive(frame(2, [42]) + bytes + frame(2, [43]) + frame(9, [1]))
        #expect(harness.plain == [42], "\(what)")
        #expect(harness.wire == [0x88, 2, UInt8(code >> 8), UInt8(code & 0xFF)], "\(what)")
        #expect(harness.failure?.why.hasSuffix("(protocol.websocket)") == true, "\(what)")
        harness.write([1, 2, 3])
        #expect(harness.wire.count == 4, "nothing follows a close frame: \(what)")
    }

    @Test("A peer's close is answered by its code, then the connection ends; codes that may not be sent are wrong")
    func closeCodes() {
        for code in 0...5000 {
            let harness = WebSocketHarness()
            harness.receive(close(code) + frame(2, [1]))
            let isRight = [1000...1003, 1007...1014, 3000...4999].contains { $0.contains(code) }
            let answer = isRight ? code : 1002
            #expect(harness.wire == [0x88, 2, UInt8(answer >> 8), UInt8(answer & 0xFF)] && harness.plain.isEmpty, "\(code)")
            #expect(harness.hasEnded == isRight && (harness.failure == nil) == isRight, "\(code)")
        }
        let silent = WebSocketHarness()
        silent.receive(frame(8, []))
        #expect(silent.wire == [0x88, 0] && silent.hasEnded)
        let longest = WebSocketHarness()
        longest.receive(close(4000, String(repeating: "ü", count: 61)))
        #expect(longest.wire == [0x88, 2, 0x0F, 0xA0] && longest.hasEnded)
    }

    @Test("Payload before a close in the same read is given before the end shows")
    func closeAfterPayload() {
        let harness = WebSocketHarness(opened: false)
        harness.receive(WebSocketHarness.request() + frame(2, [1, 2]) + frame(8, []))
        #expect(harness.plain == [1, 2] && harness.hasEnded)
    }

    @Test(
        "The end of the loop, of a message that is too large, and any other have a code each; it is said once",
        arguments: [
            (CloseReason.processEnds, 1001), (.byUs(why: "frame.too_large"), 1009), (.byPeer, 1000), (.byUs(why: "session.replaced"), 1000),
        ])
    func ends(reason: CloseReason, code: Int) {
        let harness = WebSocketHarness()
        harness.transport.finish(because: reason)
        harness.transport.finish(because: .byPeer)
        harness.write([])
        #expect(harness.wire == [0x88, 2, UInt8(code >> 8), UInt8(code & 0xFF)])
        let opening = WebSocketHarness(opened: false)
        opening.transport.finish(because: reason)
        opening.write([1])
        #expect(opening.wire.isEmpty)
    }

    @Test("However many pings come while the peer does not read, one pong waits, behind what else does")
    func pings() {
        let harness = WebSocketHarness(opened: false)
        harness.receive(WebSocketHarness.request(), writing: false)
        for number in 0..<2000 { harness.receive(frame(9, [UInt8](repeating: UInt8(number % 100), count: number % 126)), writing: false) }
        harness.receive(frame(9, [1, 2, 3]), writing: false)
        harness.write([4])
        #expect(harness.wire.starts(with: "HTTP/1.1 101".utf8) && Array(harness.wire.suffix(8)) == [0x8A, 3, 1, 2, 3, 0x82, 1, 4])
        #expect(harness.wire.count < 200 && harness.failure == nil)
    }

    @Test("Pings and pongs for ever are no fault; payload between empty frames begins their count anew")
    func patience() {
        let harness = WebSocketHarness()
        for _ in 0..<5000 { harness.receive(frame(9, []) + frame(10, [1])) }
        for _ in 0..<5 {
            for _ in 0..<1000 { harness.receive(frame(2, [])) }
            harness.receive(frame(2, [1]))
        }
        #expect(harness.plain == [1, 1, 1, 1, 1] && harness.failure == nil)
    }

    @Test("Damaged conversations do no harm", arguments: 1...20)
    func damaged(seed: UInt64) {
        var random = SplitMix(seed: seed)
        let wire = frame(2, [UInt8](repeating: 1, count: 300)) + frame(9, [1]) + frame(2, [1], isLast: false) + frame(0, [2]) + close(1000, "x")
        for _ in 0..<300 {
            var bytes = wire
            for _ in 0..<1 + random.next() % 4 { bytes[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next()) }
            let harness = WebSocketHarness()
            harness.receive(Array(bytes.prefix(Int(random.next() % UInt64(bytes.count + 1)))))
            #expect(harness.plain.count <= bytes.count && harness.wire.count <= bytes.count + 4)
        }
    }
}

@Suite("WebSocket on a loop")
struct WebSocketLoopTests {
    private func fixture() throws -> LoopFixture { try LoopFixture { WebSocketTransport(WebSocketHarness.door) } }

    private func shakeHands(_ client: TestClient) {
        client.send(WebSocketHarness.request())
        var answer: [UInt8] = []
        while !answer.suffix(4).elementsEqual([13, 10, 13, 10]) {
            let byte = client.receive(1)
            guard !byte.isEmpty else { break }
            answer += byte
        }
        #expect(answer.starts(with: "HTTP/1.1 101".utf8))
    }

    @Test("Frames of a protocol go both ways through those of WebSocket; a connection opens when hands are shaken")
    func echo() throws {
        let fixture = try fixture()
        defer { fixture.stop() }
        let client = fixture.connect()
        defer { client.close() }
        shakeHands(client)
        let frames = (1...3).map { LoopFixture.frame($0, of: 50_000) }
        for frame in frames {
            client.send(WebSocketHarness.frame(2, frame))
            // The loop may write a frame of the protocol in several of WebSocket.
            var echoed: [UInt8] = []
            while echoed.count < frame.count {
                let head = client.receive(2)
                guard head.count == 2 else { break }
                let length = head[1] < 126 ? Int(head[1]) : client.receive(head[1] == 126 ? 2 : 8).reduce(0) { $0 << 8 | Int($1) }
                echoed += client.receive(length)
            }
            #expect(echoed == frame)
        }
        client.send(WebSocketHarness.frame(8, [0x03, 0xE8]))
        #expect(client.receive(5) == [0x88, 2, 0x03, 0xE8])
        fixture.seen.wait(for: "the close") { $0.closed == [.byPeer] }
        #expect(fixture.seen.now.figures.errors == 0)
    }

    @Test("A page is answered and opens no connection; who breaks the rules is told so, closed and counted")
    func others() throws {
        let fixture = try fixture()
        defer { fixture.stop() }
        let browser = fixture.connect()
        defer { browser.close() }
        browser.send(Array("GET / HTTP/1.1\r\nHost: a\r\n\r\n".utf8))
        #expect(browser.receive(5000).starts(with: "HTTP/1.1 200 OK".utf8))
        fixture.seen.wait(for: "the close") { $0.closed == [.byPeer] }
        #expect(fixture.seen.now.opened.isEmpty)
        let client = fixture.connect()
        defer { client.close() }
        shakeHands(client)
        client.send(WebSocketHarness.frame(1, [0x61]))
        #expect(client.receive(5) == [0x88, 2, 0x03, 0xEB])
        let why = CloseReason.byUs(why: "a WebSocket message is text, not binary (protocol.websocket)")
        fixture.seen.wait(for: "the close") { $0.closed == [.byPeer, why] && $0.figures.errors == 1 }
    }

    @Test("The loop's end is said by the code 1001")
    func goingAway() throws {
        let fixture = try fixture()
        let client = fixture.connect()
        defer { client.close() }
        shakeHands(client)
        fixture.stop()
        #expect(client.receive(5) == [0x88, 2, 0x03, 0xE9])
    }
}
