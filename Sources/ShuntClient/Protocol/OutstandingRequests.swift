/// The requests of one connection that wait for their answer, in the order in which they were sent.
///
/// Ids are consecutive, so a ring indexed by id needs no hashing; an answer may come in any order (§1), once. An answer to an id that is
/// not outstanding is ignored: servers may send surplus acknowledgements (§13.4).
struct OutstandingRequests<Entry> {
    private var ids: RequestIDs
    /// A power of two of slots; the entry of `id` is at `id & mask`.
    private var slots: [Entry?]
    /// The lowest id that may be outstanding.
    private var first: Int64
    private(set) var count = 0

    init(ids: RequestIDs) {
        self.ids = ids
        first = ids.next
        slots = Array(repeating: nil, count: 16)
    }

    var isEmpty: Bool { count == 0 }
    /// The number of ids from the oldest request without an answer to the next id. A window must bound it: otherwise a server that leaves
    /// out one answer would make the ring grow.
    var span: Int { Int(ids.next &- first) }
    var oldest: Int64? { isEmpty ? nil : first }

    /// - Returns: the id to send the request with.
    mutating func add(_ entry: Entry) -> Int64 {
        let id = ids.take()
        if Int(id &- first) >= slots.count { grow(toHold: Int(id &- first) + 1) }
        slots[slot(id)] = entry
        count += 1
        return id
    }

    /// The request that this id answers; nil if none waits for it.
    mutating func take(_ id: Int64) -> Entry? {
        let distance = id &- first
        guard distance >= 0, id &- ids.next < 0, let entry = slots[slot(id)] else { return nil }
        slots[slot(id)] = nil
        count -= 1
        while first != ids.next, slots[slot(first)] == nil { first &+= 1 }
        return entry
    }

    /// Takes all, oldest first.
    mutating func takeAll() -> [Entry] {
        var entries: [Entry] = []
        entries.reserveCapacity(count)
        while first != ids.next {
            if let entry = slots[slot(first)] { entries.append(entry) }
            slots[slot(first)] = nil
            first &+= 1
        }
        count = 0
        return entries
    }

    private func slot(_ id: Int64) -> Int { Int(truncatingIfNeeded: id) & (slots.count - 1) }

    private mutating func grow(toHold span: Int) {
        var size = slots.count
        while size < span { size *= 2 }
        var larger = [Entry?](repeating: nil, count: size)
        var id = first
        while id != ids.next {
            larger[Int(truncatingIfNeeded: id) & (size - 1)] = slots[slot(id)]
            id &+= 1
        }
        slots = larger
    }
}

extension OutstandingRequests: Sendable where Entry: Sendable {}
