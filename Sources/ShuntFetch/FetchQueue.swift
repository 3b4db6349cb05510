/// Which requests are begun when: of each lane so many at once, by turns of those who share it, and of each of them in the order in which they
/// came; a request that failed is begun again after a pause, and keeps its place meanwhile. Times are seconds of one clock.
struct FetchQueue<Job> {
    struct Entry {
        var job: Job
        let lane: FetchLane
        var sharer: UInt64 = 0
    }

    private struct Lane {
        /// Of one of those who share a lane: what is under way, and the numbers of what waits, in their order.
        private struct Share {
            var underWay = 0
            var numbers = ArraySlice<Int>()
            /// It stands in `turns`.
            var isListed = false
        }

        var underWay = 0
        /// In the order in which they came; nil: begun, or given up. The first has the number `first`.
        private var entries = ArraySlice<(entry: Entry, until: Double)?>()
        private var first = 0
        private(set) var waiting = 0
        private var shares: [UInt64: Share] = [:]
        /// The sharers that wait, in the order of their turns.
        private var turns = ArraySlice<UInt64>()

        var firstUntil: Double? { entries.first.flatMap { $0?.until } }
        var rest: [Entry] { entries.compactMap { $0?.entry } }
        var isIdle: Bool { underWay == 0 && waiting == 0 }

        /// Nobody has more than half of what is under way, nor of the room to wait; what is nobody's may have all.
        private static func half(_ bound: Int, _ sharer: UInt64) -> Int { sharer == 0 ? bound : max(1, (bound + 1) / 2) }

        func hasRoom(for entry: Entry) -> Bool {
            let (lane, share) = (entry.lane, shares[entry.sharer])
            let own = share.map { $0.underWay + $0.numbers.count } ?? 0
            return underWay + waiting < lane.limit + lane.waiting
                && own < Self.half(lane.limit, entry.sharer) + Self.half(lane.waiting, entry.sharer)
        }

        mutating func append(_ entry: Entry, until: Double) {
            let number = first + entries.count
            entries.append((entry, until))
            waiting += 1
            var share = shares.removeValue(forKey: entry.sharer) ?? Share()
            share.numbers.append(number)
            if !share.isListed { turns.append(entry.sharer) }
            share.isListed = true
            shares[entry.sharer] = share
        }

        /// Takes the first of one who shares the lane.
        private mutating func take(_ number: Int) -> Entry? {
            let place = entries.startIndex + number - first
            guard let (entry, _) = entries[place] else { return nil }
            entries[place] = nil
            waiting -= 1
            shares[entry.sharer]?.numbers.removeFirst()
            while let next = entries.first, next == nil {
                entries.removeFirst()
                first += 1
            }
            return entry
        }

        /// The one that has waited longest.
        mutating func takeOldest() -> Entry? { entries.isEmpty ? nil : take(first) }

        /// The next one that may begin, by turns.
        mutating func takeNext(limit: Int) -> Entry? {
            for _ in 0..<turns.count {
                let sharer = turns.removeFirst()
                guard let share = shares[sharer] else { continue }
                guard let number = share.numbers.first else {
                    // All that waited was given up.
                    shares[sharer]?.isListed = false
                    forget(sharer)
                    continue
                }
                let mayBegin = share.underWay < Self.half(limit, sharer)
                if !mayBegin || share.numbers.count > 1 { turns.append(sharer) } else { shares[sharer]?.isListed = false }
                guard mayBegin, let entry = take(number) else { continue }
                shares[sharer]?.underWay += 1
                underWay += 1
                return entry
            }
            return nil
        }

        mutating func ended(_ sharer: UInt64) {
            underWay -= 1
            shares[sharer]?.underWay -= 1
            forget(sharer)
        }

        private mutating func forget(_ sharer: UInt64) {
            if let share = shares[sharer], share.underWay == 0, !share.isListed { shares[sharer] = nil }
        }
    }

    /// Changed in place alone: a copy of a lane is a copy of all that waits in it.
    private var lanes: [FetchLane: Lane] = [:]
    private var paused: [(entry: Entry, until: Double)] = []

    /// - Returns: whether there is room for it.
    mutating func add(_ entry: Entry, now: Double) -> Bool {
        let lane = entry.lane
        guard lanes[lane, default: Lane()].hasRoom(for: entry) else { return false }
        lanes[lane, default: Lane()].append(entry, until: now + lane.patience)
        return true
    }

    /// The requests to begin now.
    mutating func due(now: Double) -> [Entry] {
        var due = paused.filter { $0.until <= now }.map(\.entry)
        paused.removeAll { $0.until <= now }
        for key in Array(lanes.keys) {
            while lanes[key].map({ $0.underWay < key.limit }) ?? false, let entry = lanes[key]?.takeNext(limit: key.limit) { due.append(entry) }
        }
        return due
    }

    /// The requests that have waited too long: they are given up.
    mutating func expired(now: Double) -> [Entry] {
        var expired: [Entry] = []
        for key in Array(lanes.keys) {
            while let until = lanes[key]?.firstUntil, until <= now, let entry = lanes[key]?.takeOldest() { expired.append(entry) }
        }
        return expired
    }

    /// A request is to be begun again.
    mutating func pause(_ entry: Entry, until: Double) { paused.append((entry, until)) }

    /// A request is over.
    mutating func ended(_ entry: Entry) {
        lanes[entry.lane]?.ended(entry.sharer)
        if lanes[entry.lane]?.isIdle == true { lanes[entry.lane] = nil }
    }

    /// When something is to be done next; nil: nothing waits.
    var next: Double? { (paused.map(\.until) + lanes.values.compactMap(\.firstUntil)).min() }

    /// All that wait.
    var rest: [Entry] { paused.map(\.entry) + lanes.values.flatMap(\.rest) }
}
