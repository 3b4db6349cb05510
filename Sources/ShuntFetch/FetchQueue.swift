/// Which requests are begun when: of each lane so many at once, in the order in which they came; a request that failed is begun again after a
/// pause, and keeps its place meanwhile. Times are seconds of one clock.
struct FetchQueue<Job> {
    struct Entry {
        var job: Job
        let lane: FetchLane
    }

    private struct Lane {
        var underWay = 0
        /// Those before `head` have begun, or were given up. The first comes first.
        private var entries: [(entry: Entry, until: Double)?] = []
        private var head = 0

        var waiting: Int { entries.count - head }
        var firstUntil: Double? { head < entries.count ? entries[head]?.until : nil }
        var rest: [Entry] { entries[head...].compactMap { $0?.entry } }

        mutating func append(_ entry: Entry, until: Double) { entries.append((entry, until)) }

        mutating func takeFirst() -> Entry? {
            guard head < entries.count else { return nil }
            defer {
                entries[head] = nil
                head += 1
                if head > 64, head * 2 > entries.count {
                    entries.removeFirst(head)
                    head = 0
                }
            }
            return entries[head]?.entry
        }
    }

    /// Changed in place alone: a copy of a lane is a copy of all that waits in it.
    private var lanes: [FetchLane: Lane] = [:]
    private var paused: [(entry: Entry, until: Double)] = []

    /// - Returns: whether there is room for it.
    mutating func add(_ entry: Entry, now: Double) -> Bool {
        let lane = entry.lane
        guard (lanes[lane].map { $0.underWay + $0.waiting } ?? 0) < lane.limit + lane.waiting else { return false }
        lanes[lane, default: Lane()].append(entry, until: now + lane.patience)
        return true
    }

    /// The requests to begin now.
    mutating func due(now: Double) -> [Entry] {
        var due = paused.filter { $0.until <= now }.map(\.entry)
        paused.removeAll { $0.until <= now }
        for key in Array(lanes.keys) {
            while lanes[key].map({ $0.underWay < key.limit }) ?? false, let entry = lanes[key]?.takeFirst() {
                lanes[key]?.underWay += 1
                due.append(entry)
            }
        }
        return due
    }

    /// The requests that have waited too long: they are given up.
    mutating func expired(now: Double) -> [Entry] {
        var expired: [Entry] = []
        for key in Array(lanes.keys) {
            while let until = lanes[key]?.firstUntil, until <= now, let entry = lanes[key]?.takeFirst() { expired.append(entry) }
        }
        return expired
    }

    /// A request is to be begun again.
    mutating func pause(_ entry: Entry, until: Double) { paused.append((entry, until)) }

    /// A request is over.
    mutating func ended(_ lane: FetchLane) {
        lanes[lane]?.underWay -= 1
        if let known = lanes[lane], known.underWay == 0, known.waiting == 0 { lanes[lane] = nil }
    }

    /// When something is to be done next; nil: nothing waits.
    var next: Double? { (paused.map(\.until) + lanes.values.compactMap(\.firstUntil)).min() }

    /// All that wait.
    var rest: [Entry] { paused.map(\.entry) + lanes.values.flatMap(\.rest) }
}
