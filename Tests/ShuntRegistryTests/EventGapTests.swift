import ShuntRegistry
import Testing

@Suite("Events that are kept no longer")
struct EventGapTests {
    @Test(
        "The ids between the last one that was seen and the oldest that is kept",
        arguments: [(0, 0, nil), (0, 1, nil), (4, 5, nil), (4, 6, 5...5), (0, 10, 1...9), (.max, 10, nil), (.max, .max, nil)]
            as [(Int64, Int64, ClosedRange<Int64>?)])
    func gap(after: Int64, oldest: Int64, gap: ClosedRange<Int64>?) {
        #expect(EventPage(events: [], nextAfter: after, oldest: oldest).gap(after: after) == gap)
    }
}
