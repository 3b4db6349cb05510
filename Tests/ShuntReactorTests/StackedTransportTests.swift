import SeededRandom
import ShuntCore
import Testing

@testable import ShuntReactor

/// Records with their length in two bytes, each byte changed by a key; opens by a byte of its own both ways; a record of length 0 is the end.
private final class Enveloping: Transport {
    private(set) var phase = TransportPhase.opening("the byte")
    private let key: UInt8
    private var record: [UInt8] = []
    private var own: [UInt8]
    private var plain: [UInt8] = []

    init(key: UInt8) {
        self.key = key
        own = [key]
    }

    func read(_ wire: Bytes, into space: UnsafeMutableRawBufferPointer) throws(TransportFailure) -> TransportProgress {
        var rest = wire[...]
        if case .opening = phase, let first = rest.popFirst() {
            guard first == key else { throw TransportFailure("not \(key)") }
            phase = .open
        }
        record += rest
        while record.count >= 2, case let length = Int(record[0]) | Int(record[1]) << 8, record.count >= 2 + length {
            if length == 0 { phase = .ended }
            plain += record[2..<2 + length].map { $0 ^ key }
            record.removeFirst(2 + length)
        }
        let given = min(plain.count, space.count, 333)
        space.copyBytes(from: plain[..<given])
        plain.removeFirst(given)
        return TransportProgress(taken: wire.count, given: given)
    }

    func write(_ bytes: Bytes, into space: UnsafeMutableRawBufferPointer) throws(TransportFailure) -> TransportProgress {
        var given = own
        own = []
        var taken = 0
        if case .open = phase, !bytes.isEmpty {
            taken = min(bytes.count, 1000)
            given += Self.record(bytes[..<taken], key)
        }
        space.copyBytes(from: given)
        return TransportProgress(taken: taken, given: given.count)
    }

    func finish() { own = [0, 0] }

    static func record(_ plain: some Collection<UInt8>, _ key: UInt8) -> [UInt8] {
        [UInt8(plain.count & 0xFF), UInt8(plain.count >> 8)] + plain.map { $0 ^ key }
    }
}

@Suite("Two transports, one in the other")
struct StackedTransportTests {
    private let outer: UInt8 = 7
    private let inner: UInt8 = 99

    /// Reads records until there are so many plain bytes, or a record of length 0.
    private func plain(_ client: TestClient, _ key: UInt8, _ count: Int) -> [UInt8] {
        var plain: [UInt8] = []
        while plain.count < count {
            let length = client.receive(2)
            guard length.count == 2, length != [0, 0] else { break }
            plain += client.receive(Int(length[0]) | Int(length[1]) << 8).map { $0 ^ key }
        }
        return plain
    }

    private func open(_ fixture: LoopFixture) -> TestClient {
        let client = fixture.connect()
        #expect(client.receive(1) == [outer])
        client.send([outer] + Enveloping.record([inner], outer))
        #expect(plain(client, outer, 1) == [inner])
        return client
    }

    @Test("Frames of all sizes go both ways, however the wire is cut", arguments: 1...3)
    func pieces(seed: UInt64) throws {
        let fixture = try LoopFixture { [outer, inner] in StackedTransport(Enveloping(key: outer), carrying: Enveloping(key: inner)) }
        defer { fixture.stop() }
        let client = open(fixture)
        defer { client.close() }
        fixture.seen.wait(for: "the opening") { $0.opened.count == 1 }
        var random = SplitMix(seed: seed)
        let frames = (0..<60).flatMap { LoopFixture.frame($0, of: [4, 5, 700, 5000, 20_000][Int(random.next() % 5)]) }
        let middle = stride(from: 0, to: frames.count, by: 777).flatMap { Enveloping.record(frames[$0..<min(frames.count, $0 + 777)], inner) }
        var wire = stride(from: 0, to: middle.count, by: 555).flatMap { Enveloping.record(middle[$0..<min(middle.count, $0 + 555)], outer) }[...]
        while !wire.isEmpty {
            let piece = wire.prefix(Int(1 + random.next() % 9000))
            client.send(piece)
            wire = wire.dropFirst(piece.count)
        }
        // Records of the inner transport.
        var (got, back) = ([UInt8](), [UInt8]())
        while back.count < frames.count {
            got += plain(client, outer, 1)
            guard !got.isEmpty else { break }
            while got.count >= 2, case let length = Int(got[0]) | Int(got[1]) << 8, got.count >= 2 + length {
                back += got[2..<2 + length].map { $0 ^ inner }
                got.removeFirst(2 + length)
            }
        }
        #expect(back == frames)
    }

    @Test("The end is said by the upper one, then by the lower one")
    func end() throws {
        let fixture = try LoopFixture { [outer, inner] in StackedTransport(Enveloping(key: outer), carrying: Enveloping(key: inner)) }
        defer { fixture.stop() }
        let client = open(fixture)
        defer { client.close() }
        client.send(Enveloping.record(Enveloping.record([], inner), outer))
        #expect(plain(client, outer, 2) == [0, 0])
        #expect(client.receive(2) == [0, 0])
        #expect(client.receive(1).isEmpty)
        fixture.seen.wait(for: "the end") { $0.closed == [.byPeer] }
    }

    @Test("A failure of either closes the connection")
    func failure() throws {
        let fixture = try LoopFixture { [outer, inner] in StackedTransport(Enveloping(key: outer), carrying: Enveloping(key: inner)) }
        defer { fixture.stop() }
        let client = fixture.connect()
        defer { client.close() }
        client.send([outer] + Enveloping.record([inner + 1], outer))
        fixture.seen.wait(for: "the end") { $0.closed == [.byUs(why: "not \(inner)")] }
    }
}
