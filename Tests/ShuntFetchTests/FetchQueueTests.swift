import Testing

@testable import ShuntFetch

@Suite("which requests are begun when")
struct FetchQueueTests {
    private let lane = FetchLane("a", limit: 2, waiting: 2, patience: 5)
    private func entry(_ job: Int, _ lane: FetchLane, of sharer: UInt64 = 0) -> FetchQueue<Int>.Entry {
        .init(job: job, lane: lane, sharer: sharer)
    }

    @Test("of a lane so many are under way, so many wait, and the others are refused")
    func bounds() {
        var queue = FetchQueue<Int>()
        let taken = (1...5).map { queue.add(entry($0, lane), now: 0) }
        #expect(taken == [true, true, true, true, false])
        same(queue.due(now: 0).map(\.job), [1, 2])
        same(queue.due(now: 0).count, 0)
        same(queue.add(entry(6, lane), now: 0), false)
        queue.ended(entry(1, lane))
        same(queue.due(now: 0).map(\.job), [3])
        // Another lane has a bound of its own.
        same(queue.add(entry(7, FetchLane("b", limit: 1)), now: 0), true)
        same(queue.due(now: 0).map(\.job), [7])
    }

    @Test("a request that has waited too long is given up")
    func patience() {
        var queue = FetchQueue<Int>()
        for job in 1...3 { same(queue.add(entry(job, lane), now: Double(job)), true) }
        same(queue.due(now: 3).map(\.job), [1, 2])
        #expect(queue.next == 8)
        same(queue.expired(now: 7.9).count, 0)
        same(queue.expired(now: 8).map(\.job), [3])
        #expect(queue.next == nil)
    }

    @Test("ten thousand that wait take no time in proportion to their square")
    func many() {
        var queue = FetchQueue<Int>()
        let long = FetchLane("long", limit: 64, waiting: 20_000, patience: 5)
        let began = ContinuousClock.now
        for job in 1...20_000 { same(queue.add(entry(job, long), now: 0), true) }
        same(queue.due(now: 0).count, 64)
        same(queue.expired(now: 6).count, 20_000 - 64)
        #expect(ContinuousClock.now - began < .seconds(2))
    }

    @Test("one that is tried again keeps its place while it waits")
    func pauses() {
        var queue = FetchQueue<Int>()
        for job in 1...3 { same(queue.add(entry(job, lane), now: 0), true) }
        let begun = queue.due(now: 0)
        queue.pause(begun[0], until: 2)
        same(queue.due(now: 1).count, 0)
        #expect(queue.next == 2)
        same(queue.due(now: 2).map(\.job), [1])
        queue.ended(entry(1, lane))
        same(queue.due(now: 2).map(\.job), [3])
        #expect(queue.rest.isEmpty)
    }

    @Test("nobody has more than half of a lane, and those who share it have their turns")
    func shares() {
        var queue = FetchQueue<Int>()
        let four = FetchLane("four", limit: 4, waiting: 8, patience: 5)
        for job in 1...5 { same(queue.add(entry(job, four, of: 1), now: 0), true) }
        same(queue.due(now: 0).map(\.job), [1, 2])
        // Of the room to wait, too.
        same(queue.add(entry(6, four, of: 1), now: 0), true)
        same(queue.add(entry(7, four, of: 1), now: 0), false)
        for job in 11...13 { same(queue.add(entry(job, four, of: 2), now: 1), true) }
        same(queue.add(entry(21, four, of: 3), now: 1), true)
        same(queue.due(now: 1).map(\.job), [11, 21])
        queue.ended(entry(1, four, of: 1))
        same(queue.due(now: 1).map(\.job), [3])
        queue.ended(entry(21, four, of: 3))
        same(queue.due(now: 1).map(\.job), [12])
        same(queue.expired(now: 5).map(\.job), [4, 5, 6])
        same(queue.expired(now: 6).map(\.job), [13])
        for job in [2, 3] { queue.ended(entry(job, four, of: 1)) }
        for job in [11, 12] { queue.ended(entry(job, four, of: 2)) }
        #expect(queue.next == nil)
        same(queue.add(entry(8, four, of: 1), now: 7), true)
        same(queue.due(now: 7).map(\.job), [8])
    }
}
