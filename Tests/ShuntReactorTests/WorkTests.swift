import Glibc
import SeededRandom
import ShuntCore
import Synchronization
import Testing

@testable import ShuntReactor

/// Opens when it has worked for its first byte, which takes as long as it is told; echoes come through unchanged.
private final class Toiling: Transport {
    private(set) var phase = TransportPhase.opening("the toil")
    private let microseconds: UInt32
    private let order: Order
    private var held: [UInt8] = []

    /// Who worked when, by their first bytes.
    final class Order: Sendable {
        let names = Mutex<[UInt8]>([])
    }

    init(_ order: Order, microseconds: UInt32) {
        self.order = order
        self.microseconds = microseconds
    }

    var openingSeconds: Int? { 1 }

    var hasWork: Bool {
        if case .opening = phase { !held.isEmpty } else { false }
    }

    func work() throws(TransportFailure) {
        let name = held.removeFirst()
        usleep(microseconds)
        order.names.withLock { $0.append(name) }
        guard name != 0 else { throw TransportFailure("toil in vain") }
        phase = .open
    }

    func read(_ wire: Bytes, into space: UnsafeMutableRawBufferPointer) throws(TransportFailure) -> TransportProgress {
        held += wire
        guard case .open = phase else { return TransportProgress(taken: wire.count, given: 0) }
        let given = min(held.count, space.count)
        space.copyBytes(from: held[..<given])
        held.removeFirst(given)
        return TransportProgress(taken: wire.count, given: given)
    }

    func write(_ plain: Bytes, into space: UnsafeMutableRawBufferPointer) throws(TransportFailure) -> TransportProgress {
        let count = min(plain.count, space.count)
        space.copyMemory(from: Bytes(rebasing: plain[..<count]))
        return TransportProgress(taken: count, given: count)
    }
}

@Suite("Work of transports")
struct WorkTests {
    @Test("Transports work in turn, each once, and what came behind the first bytes is not lost")
    func turns() throws {
        let order = Toiling.Order()
        let fixture = try LoopFixture { Toiling(order, microseconds: 1000) }
        defer { fixture.stop() }
        let clients = (1...40).map { number in
            let client = fixture.connect()
            client.send([UInt8(number)] + LoopFixture.frame(number, of: 100))
            return client
        }
        for (index, client) in clients.enumerated() {
            #expect(client.receive(100) == LoopFixture.frame(index + 1, of: 100))
            client.close()
        }
        #expect(order.names.withLock { $0.sorted() } == Array(1...40))
    }

    @Test("Work that fails closes the connection")
    func failure() throws {
        let fixture = try LoopFixture { Toiling(Toiling.Order(), microseconds: 0) }
        defer { fixture.stop() }
        let client = fixture.connect()
        defer { client.close() }
        client.send([0])
        #expect(client.receive(1).isEmpty)
        fixture.seen.wait(for: "the end") { $0.closed == [.byUs(why: "toil in vain")] }
    }

    @Test("Waiting for its turn is not the client's time; its own patience is the transport's")
    func patience() throws {
        let layer = TransportLayer(Toiling(Toiling.Order(), microseconds: 0), since: 100)
        #expect(layer.late(at: 101, patience: 60) == nil)
        #expect(layer.late(at: 102, patience: 60)?.seconds == 1)
        layer.awaitsWork(at: 101)
        #expect(layer.late(at: 150, patience: 60) == nil)
        layer.works(at: 150)
        #expect(layer.late(at: 150, patience: 60) == nil)
        #expect(layer.late(at: 151, patience: 60)?.what == "the toil")
    }

    @Test("What was begun comes before what is new, and each in the order in which it came")
    func order() {
        var queue = WorkQueue()
        let ids = (0..<4).map { ConnectionID(loop: 0, slot: UInt32($0), generation: 0) }
        queue.add(ids[0], hasBegun: false)
        queue.add(ids[1], hasBegun: true)
        queue.add(ids[2], hasBegun: false)
        queue.add(ids[3], hasBegun: true)
        #expect((0..<4).map { _ in queue.next() } == [ids[1], ids[3], ids[0], ids[2]])
        #expect(queue.next() == nil && !queue.hasSome)
    }
}
