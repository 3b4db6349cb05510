/// Which requests are begun when: of each lane so many at once, in the order in which they came; a request that failed is begun again after a
/// pause, and keeps its place meanwhile. Times are seconds of one clock.
struct FetchQueue<Job> {
    struct Entry {
        var job: Job
        let lane: FetchLane
    }

    private struct Lane {
        var underWay = 0
        /// The first comes first.
        var waiting: ArraySlice<(entry: Entry, until: Double)> = []
    }

    private var lanes: [FetchLane: Lane] = [:]
    private var paused: [(entry: Entry, until: Double)] = []

    /// - Returns: whether there is room for it.
    mutating func add(_ entry: Entry, now: Double) -> Bool {
        var lane = lanes[entry.lane] ?? Lane()
        guard lane.underWay + lane.waiting.count < entry.lane.limit + entry.lane.waiting else { return false }
        lane.waiting.append((entry, now + entry.lane.patience))
        lanes[entry.lane] = lane
        return true
    }

    /// The requests to begin now.
    mutating func due(now: Double) -> [Entry] {
        var due = paused.filter { $0.until <= now }.map(\.entry)
        paused.removeAll { $0.until <= now }
        for (key, var lane) in lanes where lane.underWay < key.limit && !lane.waiting.isEmpty {
            let free = lane.waiting.prefix(key.limit - lane.underWay)
            due += free.map(\.entry)
            lane.waiting = lane.waiting.dropFirst(free.count)
            lane.underWay += free.count
            lanes[key] = lane
        }
        return due
    }

    /// The requests that have waited too long: they are given up.
    mutating func expired(now: Double) -> [Entry] {
        var expired: [Entry] = []
        for (key, lane) in lanes {
            let late = lane.waiting.prefix { $0.until <= now }
            guard !late.isEmpty else { continue }
            expired += late.map(\.entry)
            lanes[key]?.waiting.removeFirst(late.count)
        }
        return expired
    }

    /// A request is to be begun again.
    mutating func pause(_ entry: Entry, until: Double) { paused.append((entry, until)) }

    /// A request is over.
    mutating func ended(_ lane: FetchLane) {
        guard var known = lanes[lane] else { return }
        known.underWay -= 1
        lanes[lane] = known.underWay == 0 && known.waiting.isEmpty ? nil : known
    }

    /// When something is to be done next; nil: nothing waits.
    var next: Double? { (paused.map(\.until) + lanes.values.compactMap { $0.waiting.first?.until }).min() }

    /// All that wait.
    var rest: [Entry] { paused.map(\.entry) + lanes.values.flatMap { $0.waiting.map(\.entry) } }
}
