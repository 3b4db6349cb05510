/// Where the entries of a connection with many subscriptions are. Entries of a connection are a list from the newest to the oldest: to go
/// through a long one for each change would take ever longer.
struct CrowdedConnection {
    /// Connections with more entries than this have one.
    static let least = 256

    private struct Place: Hashable {
        var filter: UInt32
        var group: UInt32
        var key: UInt32
    }

    private var entries: [Place: UInt32] = [:]
    /// How many entries are in each group.
    private var groups: [UInt32: Int] = [:]
    /// The entry before each, except the first, in the connection's list.
    private var before: [UInt32: UInt32] = [:]

    func entry(filter: UInt32, group: UInt32, key: UInt32) -> UInt32? { entries[Place(filter: filter, group: group, key: key)] }

    func contains(_ index: UInt32, filter: UInt32, group: UInt32, key: UInt32) -> Bool { entry(filter: filter, group: group, key: key) == index }

    func count(in group: UInt32) -> Int { groups[group] ?? 0 }

    /// - Parameter next: the entry behind it in the list; `noEntry` where there is none.
    mutating func insert(_ index: UInt32, filter: UInt32, group: UInt32, key: UInt32, next: UInt32) {
        entries[Place(filter: filter, group: group, key: key)] = index
        groups[group, default: 0] += 1
        if next != SubscriptionIndex.noEntry { before[next] = index }
    }

    /// - Returns: the entry before it; nil where it was the first.
    mutating func remove(_ index: UInt32, filter: UInt32, group: UInt32, key: UInt32, next: UInt32) -> UInt32? {
        entries[Place(filter: filter, group: group, key: key)] = nil
        let left = count(in: group) - 1
        groups[group] = left > 0 ? left : nil
        let first = before.removeValue(forKey: index)
        if next != SubscriptionIndex.noEntry { before[next] = first }
        return first
    }
}
