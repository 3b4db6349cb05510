/// Lists of entries that are sorted by their time of joining. Most filters of a worker with many clients have one member, which takes no
/// list: a filter keeps a number, of its entry or of its list.
struct MemberLists {
    /// No member.
    static let empty = UInt32.max
    /// The bit that is set if a number means a list and not an only entry.
    private static let several: UInt32 = 1 << 31

    private var lists: ContiguousArray<ContiguousArray<UInt32>> = []
    private var free: ContiguousArray<UInt32> = []

    /// Puts an entry behind those that come before it; the newest mostly belongs at the end.
    mutating func insert(_ entry: UInt32, into list: inout UInt32, by precedes: (UInt32, UInt32) -> Bool) {
        guard list != Self.empty else {
            list = entry
            return
        }
        guard let at = place(list) else {
            let pair: ContiguousArray = precedes(entry, list) ? [entry, list] : [list, entry]
            if let reused = free.popLast() {
                lists[Int(reused)] = pair
                list = Self.several | reused
            } else {
                list = Self.several | UInt32(lists.count)
                lists.append(pair)
            }
            return
        }
        var before = lists[at].count
        while before > 0, precedes(entry, lists[at][before - 1]) { before -= 1 }
        lists[at].insert(entry, at: before)
    }

    /// Takes out the first entry, in their order, for which `isAtOrBehind` holds.
    mutating func remove(from list: inout UInt32, where isAtOrBehind: (UInt32) -> Bool) {
        guard let at = place(list) else {
            list = Self.empty
            return
        }
        var (low, high) = (0, lists[at].count)
        while low < high {
            let middle = (low + high) / 2
            if isAtOrBehind(lists[at][middle]) { high = middle } else { low = middle + 1 }
        }
        lists[at].remove(at: low)
        if lists[at].count == 1 {
            list = lists[at][0]
            lists[at] = []
            free.append(UInt32(at))
        }
    }

    /// Calls `body` with at most `limit` of the entries, until it says that it is enough.
    func forEachUntil(_ list: UInt32, limit: Int, _ body: (UInt32) -> Bool) {
        guard list != Self.empty else { return }
        guard let at = place(list) else {
            _ = body(list)
            return
        }
        for entry in lists[at].prefix(limit) where body(entry) { return }
    }

    func count(_ list: UInt32) -> Int { list == Self.empty ? 0 : place(list).map { lists[$0].count } ?? 1 }

    func forEach(_ list: UInt32, _ body: (UInt32) -> Void) {
        guard list != Self.empty else { return }
        guard let at = place(list) else { return body(list) }
        for entry in lists[at] { body(entry) }
    }

    /// Appends the entries of a list.
    @inline(__always)
    func append(_ list: UInt32, to entries: inout ContiguousArray<UInt32>) {
        guard list != Self.empty else { return }
        if let at = place(list) { entries.append(contentsOf: lists[at]) } else { entries.append(list) }
    }

    private func place(_ list: UInt32) -> Int? { list & Self.several != 0 ? Int(list & ~Self.several) : nil }
}

/// A number for each connection and session of a worker, by loop and slot. A slot has one of these at a time, and its entries are taken out
/// before the next one has it.
struct ConnectionTable {
    /// By loop; of sessions apart, since their slots begin in the middle.
    private var connections: ContiguousArray<ContiguousArray<UInt32>> = []
    private var sessions: ContiguousArray<ContiguousArray<UInt32>> = []

    /// `noEntry` where there is none.
    subscript(id: ConnectionID) -> UInt32 {
        get {
            id.isSession ? Self.number(in: sessions, Int(id.loop), id.sessionSlot) : Self.number(in: connections, Int(id.loop), id.slot)
        }
        set {
            if id.isSession {
                Self.set(newValue, in: &sessions, Int(id.loop), id.sessionSlot)
            } else {
                Self.set(newValue, in: &connections, Int(id.loop), id.slot)
            }
        }
    }

    private static func number(in loops: ContiguousArray<ContiguousArray<UInt32>>, _ loop: Int, _ slot: Int) -> UInt32 {
        guard loop < loops.count, slot < loops[loop].count else { return SubscriptionIndex.noEntry }
        return loops[loop][slot]
    }

    private static func set(_ number: UInt32, in loops: inout ContiguousArray<ContiguousArray<UInt32>>, _ loop: Int, _ slot: Int) {
        while loops.count <= loop { loops.append([]) }
        let missing = slot + 1 - loops[loop].count
        if missing > 0 { loops[loop].append(contentsOf: repeatElement(SubscriptionIndex.noEntry, count: missing)) }
        loops[loop][slot] = number
    }
}
