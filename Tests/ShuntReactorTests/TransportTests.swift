import Glibc
import SeededRandom
import ShuntCore
import Testing

@testable import ShuntReactor

/// Records of at most 1000 plain bytes, each with its length in two bytes and its first byte changed by a key that the client sends
/// first. The server greets with `?`, answers the key with `!`, says `x` to a key of 0, and ends with a record of length 0.
private final class Masking: Transport {
    private(set) var phase = TransportPhase.opening("the key")
    private var key: UInt8 = 0
    /// What it has to write itself.
    private var own: [UInt8] = [UInt8(ascii: "?")]
    private var record: [UInt8] = []
    /// Unmasked and not given yet.
    private var plain: [UInt8] = []

    func read(_ wire: Bytes, into space: UnsafeMutableRawBufferPointer) throws(TransportFailure) -> TransportProgress {
        var rest = wire[...]
        if case .opening = phase, let first = rest.popFirst() {
            guard first != 0 else {
                own = [UInt8(ascii: "x")]
                throw TransportFailure("a key of 0")
            }
            key = first
            phase = .open
            own += [UInt8(ascii: "!")]
        }
        record += rest
        while record.count >= 2, record.count >= 2 + length {
            if length == 0 { phase = .ended }
            plain += mask(record[2..<2 + length], key)
            record.removeFirst(2 + length)
        }
        // Little at a time, so that there is always something left.
        let given = min(plain.count, 700, space.count)
        space.copyBytes(from: plain[..<given])
        plain.removeFirst(given)
        return TransportProgress(taken: wire.count, given: given)
    }

    private var length: Int { Int(record[0]) | Int(record[1]) << 8 }

    func write(_ plain: Bytes, into space: UnsafeMutableRawBufferPointer) throws(TransportFailure) -> TransportProgress {
        var given = own
        own = []
        var taken = 0
        if case .open = phase, !plain.isEmpty {
            taken = min(plain.count, 1000)
            given += [UInt8(taken & 0xFF), UInt8(taken >> 8)] + mask(Array(plain[..<taken]), key)
        }
        space.copyBytes(from: given)
        return TransportProgress(taken: taken, given: given.count)
    }

    func finish() { own = [0, 0] }
}

/// With its first byte changed.
private func mask(_ bytes: some Collection<UInt8>, _ key: UInt8) -> [UInt8] { bytes.prefix(1).map { $0 ^ key } + bytes.dropFirst() }

extension TestClient {
    fileprivate func masked(_ plain: some Collection<UInt8>, _ key: UInt8) -> [UInt8] {
        var (rest, wire) = (Array(plain)[...], [UInt8]())
        while !rest.isEmpty {
            let record = rest.prefix(777)
            wire += [UInt8(record.count & 0xFF), UInt8(record.count >> 8)] + mask(record, key)
            rest = rest.dropFirst(777)
        }
        return wire
    }

    /// The next record without its mask, empty for the peer's last; nil where the connection ends.
    fileprivate func receiveRecord(_ key: UInt8) -> [UInt8]? {
        let length = receive(2)
        return length.count == 2 ? mask(receive(Int(length[0]) | Int(length[1]) << 8), key) : nil
    }

    /// At least so many plain bytes, or fewer where the peer says the end.
    fileprivate func receivePlain(_ count: Int, _ key: UInt8) -> [UInt8] {
        var plain: [UInt8] = []
        while plain.count < count, let record = receiveRecord(key), !record.isEmpty { plain += record }
        return plain
    }

    fileprivate func shakeHands(_ key: UInt8) {
        #expect(receive(1) == [UInt8(ascii: "?")])
        send([key])
        #expect(receive(1) == [UInt8(ascii: "!")])
    }
}

@Suite("Transports")
struct TransportTests {
    @Test("Frames of all sizes go both ways, however the wire is cut; a connection opens when its handshake is done", arguments: [1, 2, 3])
    func pieces(seed: UInt64) throws {
        let fixture = try LoopFixture { Masking() }
        defer { fixture.stop() }
        let client = fixture.connect()
        defer { client.close() }
        #expect(client.receive(1) == [UInt8(ascii: "?")])
        #expect(fixture.seen.now.opened.isEmpty)
        client.send([99])
        #expect(client.receive(1) == [UInt8(ascii: "!")])
        fixture.seen.wait(for: "the opening") { $0.opened.count == 1 }

        var random = SplitMix(seed: seed)
        let plain = (0..<60).flatMap { LoopFixture.frame($0, of: [4, 5, 699, 700, 777, 5000, 90_000][Int(random.next() % 7)]) }
        var wire = client.masked(plain, 99)[...]
        var echoed: [UInt8] = []
        while !wire.isEmpty {
            let piece = wire.prefix(Int(random.next() % 2 == 0 ? random.next() % 20 : random.next() % 100_000))
            wire = wire.dropFirst(piece.count)
            client.send(piece)
            // The client does not let its answers pile up.
            let whole = fixture.seen.now.received.count
            if echoed.count < whole { echoed += client.receivePlain(whole - echoed.count, 99) }
        }
        if echoed.count < plain.count { echoed += client.receivePlain(plain.count - echoed.count, 99) }
        #expect(echoed == plain)
        #expect(fixture.seen.now.received == plain)
        fixture.seen.wait(for: "the count") { $0.figures.delivered == 60 }
    }

    @Test("What waits is written as the client takes it, by messages counted once; then the transport takes leave")
    func bigWrites() throws {
        let fixture = try LoopFixture(limits: ConnectionLimits(outBuffer: 64 << 20)) { Masking() }
        defer { fixture.stop() }
        let client = fixture.connect(receiveBuffer: 256 << 10)
        defer { client.close() }
        client.shakeHands(7)
        fixture.seen.wait(for: "the opening") { $0.opened.count == 1 }
        let frame = LoopFixture.frame(1, of: 100_000)
        fixture.thread.post { handler in
            let connection = handler.connection!
            for _ in 0..<60 { frame.withUnsafeBytes { _ = handler.loop.send($0, to: connection) } }
            handler.loop.closeAfterWriting(connection, .byUs(why: "enough"))
        }
        var plain: [UInt8] = []
        var last: [UInt8]?
        while let record = client.receiveRecord(7) {
            plain += record
            last = record
        }
        #expect(plain == Array(repeatElement(frame, count: 60).joined()))
        #expect(last?.isEmpty == true, "the transport's end comes last")
        fixture.seen.wait(for: "the close") { $0.closed == [.byUs(why: "enough")] }
        fixture.seen.wait(for: "the count") { $0.figures.delivered == 60 && $0.figures.lostAtClose == 0 }
    }

    @Test("A connection that closes by itself says the end too")
    func endOfLoop() throws {
        let fixture = try LoopFixture { Masking() }
        let client = fixture.connect()
        defer { client.close() }
        client.shakeHands(7)
        fixture.seen.wait(for: "the opening") { $0.opened.count == 1 }
        fixture.stop()
        #expect(client.receive(3) == [0, 0])
    }

    @Test("The peer's end closes the connection")
    func endOfPeer() throws {
        let fixture = try LoopFixture { Masking() }
        defer { fixture.stop() }
        let client = fixture.connect()
        defer { client.close() }
        client.shakeHands(7)
        client.send([0, 0])
        fixture.seen.wait(for: "the close") { $0.closed == [.byPeer] }
    }

    @Test("What the handler does not take while it pauses waits, and comes when it goes on")
    func pausing() throws {
        let fixture = try LoopFixture { Masking() }
        defer { fixture.stop() }
        fixture.thread.post { $0.pausesAfterEach = true }
        let client = fixture.connect()
        defer { client.close() }
        client.shakeHands(7)
        let frames = (0..<20).map { LoopFixture.frame($0, of: 900) }
        client.send(client.masked(frames.joined(), 7))
        for count in 1...20 {
            fixture.seen.wait(for: "frame \(count)") { $0.received.count == 900 * count }
            #expect(client.receivePlain(900, 7) == frames[count - 1])
            fixture.thread.post { handler in handler.loop.setReadingPaused(false, .turn, handler.connection!) }
        }
        #expect(fixture.seen.now.received == Array(frames.joined()))
    }

    @Test("A handshake that fails closes the connection with its reason, after the transport's last word")
    func failure() throws {
        let fixture = try LoopFixture { Masking() }
        defer { fixture.stop() }
        let client = fixture.connect()
        defer { client.close() }
        #expect(client.receive(1) == [UInt8(ascii: "?")])
        client.send([0])
        #expect(client.receive(2) == [UInt8(ascii: "x")])
        fixture.seen.wait(for: "the close") { $0.closed == [.byUs(why: "a key of 0")] }
        fixture.seen.wait(for: "the count") { $0.figures.errors == 1 }
        #expect(fixture.seen.now.opened.isEmpty)
    }

    @Test("A handshake that does not end closes the connection")
    func late() throws {
        let fixture = try LoopFixture(limits: ConnectionLimits(frameSeconds: 1)) { Masking() }
        defer { fixture.stop() }
        let client = fixture.connect()
        defer { client.close() }
        fixture.seen.wait(for: "the close") { $0.closed == [.byUs(why: "the key was not complete within 1 s (frame.timeout)")] }
        #expect(fixture.seen.now.opened.isEmpty)
    }

    @Test("Without a transport bytes are the socket's own")
    func plain() throws {
        let fixture = try LoopFixture { nil }
        defer { fixture.stop() }
        let client = fixture.connect()
        defer { client.close() }
        let frame = LoopFixture.frame(3, of: 200_000)
        client.send(frame)
        #expect(client.receive(frame.count) == frame)
    }
}
