import ShuntCore
import Testing

@testable import ShuntRegistry

@Suite struct PendingChangesTests {
    private func pending(workers: Int = 10, events: Int = 10) -> PendingChanges {
        PendingChanges(limits: .init(workers: workers, events: events, devices: 10, chats: 10, clients: 10))
    }

    @Test("Of a worker's records only the newest waits")
    func coalesces() {
        var changes = pending()
        for beat in 1...1_000 { changes.add(.worker(worker("a:1", heartbeatAt: Double(beat)))) }
        #expect(changes.workers.count == 1)
        #expect(changes.workers["a:1"]?.heartbeatAt == 1_000)
    }

    @Test("A record that follows a change of state replaces it")
    func recordAfterState() {
        var changes = pending()
        changes.add(.workerState(name: "a:1", .lost, at: 5))
        changes.add(.worker(worker("a:1")))
        #expect(changes.states.isEmpty)
        #expect(changes.workers["a:1"]?.state == .live)
    }

    @Test("Events and workers beyond the bound are dropped and counted, known workers still change")
    func bounded() {
        var changes = pending(workers: 2, events: 3)
        for number in 1...5 {
            changes.add(.event(event(number)))
            changes.add(.worker(worker("w:\(number)")))
        }
        changes.add(.workerState(name: "w:1", .lost, at: 9))
        #expect(changes.events.map(\.subject) == ["w1:1", "w2:1", "w3:1"])
        #expect(changes.workers.keys.sorted() == ["w:1", "w:2"])
        #expect(changes.states["w:1"]?.state == .lost)
        #expect(changes.droppedEvents == 2)
        #expect(changes.droppedWorkers == 3)
    }

    @Test("What was given back does not replace what came later, and stays bounded")
    func giveBack() {
        var changes = pending(events: 3)
        changes.add(.worker(worker("a:1", heartbeatAt: 1)))
        changes.add(.worker(worker("b:1", heartbeatAt: 1)))
        changes.add(.workerState(name: "c:1", .lost, at: 1))
        changes.add(.event(event(1)))
        changes.add(.event(event(2)))
        let failed = changes.take()
        #expect(changes.isEmpty)
        changes.add(.worker(worker("a:1", heartbeatAt: 2)))
        changes.add(.workerState(name: "b:1", .lost, at: 2))
        changes.add(.workerState(name: "c:1", .draining, at: 2))
        changes.add(.event(event(3)))
        changes.add(.event(event(4)))
        changes.giveBack(failed)
        #expect(changes.workers["a:1"]?.heartbeatAt == 2)
        #expect(changes.workers["b:1"]?.heartbeatAt == 1)
        #expect(changes.states["b:1"]?.state == .lost)
        #expect(changes.states["c:1"]?.state == .draining)
        #expect(changes.events.map(\.detail) == ["event 1", "event 2", "event 3"])
        #expect(changes.droppedEvents == 1)
    }

    @Test("An event's detail is cut to a bounded length")
    func longDetail() {
        var changes = pending()
        changes.add(.event(EventRecord(at: 1, kind: .workerLost, subject: "a", detail: String(repeating: "é", count: 100_000))))
        #expect(changes.events[0].detail.unicodeScalars.count == PendingChanges.maximumDetailLength)
    }
}
