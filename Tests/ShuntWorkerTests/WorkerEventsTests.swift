import ShuntCore
import Testing

@testable import ShuntWorker

@Suite("What a worker tells its masters of itself")
struct WorkerEventsTests {
    private let events = WorkerEvents()

    private func add(_ count: Int, now: Double = 1000) {
        for _ in 0..<count { events.add(.rulesLoaded, "a version", now: now) }
    }

    private var numbers: [Int64] { events.untold().map(\.number) }

    @Test("An event is told until a master has taken it, however long none is there")
    func kept() {
        add(20)
        #expect(numbers == Array(1...16))
        add(1, now: 1_000_000)
        #expect(numbers == Array(1...16))
        events.took(upTo: 16, now: 1_000_000)
        #expect(numbers == Array(17...21))
        events.took(upTo: 21, now: 1_000_000)
        #expect(numbers.isEmpty)
    }

    @Test("A master that comes is told what the one before took a moment ago, and not what it took long ago")
    func another() {
        add(2)
        add(2, now: 1100)
        events.took(upTo: 4, now: 1110)
        events.masterLost(now: 1120)
        #expect(numbers == [3, 4])
        events.took(upTo: 4, now: 1121)
        events.masterLost(now: 1200)
        #expect(numbers.isEmpty)
    }

    @Test("They are bounded, and how many are lost is told")
    func bounded() {
        add(300)
        let told = events.untold()
        #expect(told.map(\.number) == Array(45...60) && told[0].detail == "a version; events before this one that are lost: 44")
        let more = events.untold(after: 60)
        #expect(more.map(\.number) == Array(61...76) && more[0].detail == "a version")
        #expect(told[1].detail == "a version" && events.count(.rulesLoaded) == 300)
        events.took(upTo: 60, now: 1001)
        #expect(events.untold()[0].detail == "a version")
    }
}
