/// The open connections of an endpoint, and which one makes room where there are too many. Pure.
struct ConnectionTable<ID: Hashable & Sendable>: Sendable {
    private let limit: Int
    /// Those without a whole request to be answered, and since which step.
    private var waiting: [ID: Int] = [:]
    private var busy: Set<ID> = []
    private var step = 0

    init(limit: Int) { self.limit = max(1, limit) }

    /// - Returns: a connection to close: of those that wait for a request, or for the rest of one, the one that does so longest.
    mutating func opened(_ id: ID) -> ID? {
        var victim: ID?
        if waiting.count + busy.count >= limit {
            victim = waiting.min { $0.value < $1.value }?.key
            if let victim { closed(victim) }
        }
        wait(id)
        return victim
    }

    /// A whole request has come.
    mutating func began(_ id: ID) {
        if waiting.removeValue(forKey: id) != nil { busy.insert(id) }
    }

    /// It has been answered.
    mutating func answered(_ id: ID) {
        if busy.remove(id) != nil { wait(id) }
    }

    mutating func closed(_ id: ID) {
        waiting[id] = nil
        busy.remove(id)
    }

    private mutating func wait(_ id: ID) {
        step += 1
        waiting[id] = step
    }
}
