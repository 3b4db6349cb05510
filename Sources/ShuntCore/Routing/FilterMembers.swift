/// The entries of one filter, sorted. Most filters of a worker with many clients have a single one, which takes no block of its own.
struct FilterMembers {
    private var single = SubscriptionIndex.noEntry
    /// Two or more; empty while there is but one.
    private var several: ContiguousArray<UInt32> = []

    /// Puts an entry behind those that come before it; the newest mostly belongs at the end.
    mutating func insert(_ entry: UInt32, by precedes: (UInt32, UInt32) -> Bool) {
        guard single != SubscriptionIndex.noEntry || !several.isEmpty else {
            single = entry
            return
        }
        if several.isEmpty {
            several = [single]
            single = SubscriptionIndex.noEntry
        }
        var at = several.count
        while at > 0, precedes(entry, several[at - 1]) { at -= 1 }
        several.insert(entry, at: at)
    }

    /// Takes out the first entry that `isAtOrBehind` holds for, in the order that they are sorted by.
    mutating func remove(where isAtOrBehind: (UInt32) -> Bool) {
        guard !several.isEmpty else {
            single = SubscriptionIndex.noEntry
            return
        }
        var (low, high) = (0, several.count)
        while low < high {
            let middle = (low + high) / 2
            if isAtOrBehind(several[middle]) { high = middle } else { low = middle + 1 }
        }
        several.remove(at: low)
        if several.count == 1 {
            single = several[0]
            several = []
        }
    }

    /// The entries, but for no more than `limit` of them, until `body` says that it is enough.
    func forEachUntil(limit: Int, _ body: (UInt32) -> Bool) {
        if single != SubscriptionIndex.noEntry { _ = body(single) }
        for entry in several.prefix(limit) where body(entry) { return }
    }

    func forEach(_ body: (UInt32) -> Void) {
        if single != SubscriptionIndex.noEntry { body(single) }
        for entry in several { body(entry) }
    }
}

/// A number for each connection of a worker, by loop and slot. A slot has one connection at a time, and what it held is taken
/// out before the next one has it.
struct ConnectionTable {
    private var loops: ContiguousArray<ContiguousArray<UInt32>> = []

    /// `noEntry` where there is none.
    subscript(connection: ConnectionID) -> UInt32 {
        get {
            let loop = Int(connection.loop)
            guard loop < loops.count, connection.slot < loops[loop].count else { return SubscriptionIndex.noEntry }
            return loops[loop][connection.slot]
        }
        set {
            let loop = Int(connection.loop)
            while loops.count <= loop { loops.append([]) }
            let missing = connection.slot + 1 - loops[loop].count
            if missing > 0 { loops[loop].append(contentsOf: repeatElement(SubscriptionIndex.noEntry, count: missing)) }
            loops[loop][connection.slot] = newValue
        }
    }
}
