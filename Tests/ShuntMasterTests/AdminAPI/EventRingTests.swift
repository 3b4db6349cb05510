import ShuntRegistry
import Testing

@testable import ShuntMaster

/// The latest events, as followers are sent them.
@Suite struct EventRingTests {
    private func events(_ ids: ClosedRange<Int64>, kind: String = "command") -> [StoredEvent] {
        ids.map { StoredEvent(id: $0, at: 1, kind: kind, subject: "s", detail: "d") }
    }

    private func ids(_ step: EventRing.Step) -> [String] {
        String(decoding: step.frames, as: UTF8.self).split(separator: "\n").filter { $0.hasPrefix("id: ") }.map { String($0.dropFirst(4)) }
    }

    @Test("A follower is sent what follows its place, each event once")
    func steps() throws {
        var ring = EventRing(capacity: 10, registry: "r", after: 5)
        try ring.append(events(6...8))
        // The same page read twice adds nothing.
        try ring.append(events(7...9))
        let step = ring.step(after: 6, kind: nil)
        #expect(ids(step) == ["r:7", "r:8", "r:9"])
        #expect(step.position == 9 && step.gap == nil && !step.hasMore)
        #expect(ring.step(after: 9, kind: nil) == EventRing.Step(position: 9))
    }

    @Test("One that falls out of the ring is told which events it has missed")
    func gap() throws {
        var ring = EventRing(capacity: 3, registry: "r", after: 0)
        try ring.append(events(1...10))
        let step = ring.step(after: 2, kind: nil)
        #expect(step.gap == 3...7)
        #expect(ids(step) == ["r:8", "r:9", "r:10"])
        #expect(ring.step(after: 7, kind: nil).gap == nil)
    }

    @Test("Events of another kind move the place on, and are not sent")
    func kind() throws {
        var ring = EventRing(capacity: 10, registry: "r", after: 0)
        try ring.append(events(1...2) + events(3...3, kind: "worker.lost") + events(4...4))
        let step = ring.step(after: 0, kind: "worker.lost")
        #expect(ids(step) == ["r:3"] && step.position == 4)
    }

    @Test("A step has a bound, and goes on where it ended")
    func bound() throws {
        var ring = EventRing(capacity: 5_000, registry: "r", after: 0)
        try ring.append(events(1...5_000))
        var (position, count) = (Int64(0), 0)
        repeat {
            let step = ring.step(after: position, kind: nil)
            #expect(step.frames.count < EventRing.stepBytes + 1_000)
            (position, count) = (step.position, count + ids(step).count)
            guard step.hasMore else { break }
        } while true
        #expect(count == 5_000 && position == 5_000)
    }

    @Test(
        "A place is an id, with or without its registry",
        arguments: [("5", nil, 5), ("r:5", "r", 5), ("r:", nil, nil), ("", nil, nil), ("-1", nil, nil), ("r:x", nil, nil)]
            as [(String, String?, Int64?)])
    func places(_ text: String, _ registry: String?, _ id: Int64?) {
        #expect(EventPlace(text) == id.map { EventPlace(registry: registry, id: $0) })
    }
}
