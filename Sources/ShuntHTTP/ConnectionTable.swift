/// The open connections of an endpoint, and which one makes room where there are too many. Pure.
struct ConnectionTable<ID: Hashable & Sendable>: Sendable {
    private let limit: Int
    /// Those without a whole request to be answered, and since which step.
    private var waiting: [ID: Int] = [:]
    /// Requests of the others that are being answered: they may be pipelined.
    private var busy: [ID: Int] = [:]
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
        guard waiting.removeValue(forKey: id) != nil || busy[id] != nil else { return }
        busy[id, default: 0] += 1
    }

    /// One has been answered.
    mutating func answered(_ id: ID) {
        guard let count = busy[id] else { return }
        busy[id] = count > 1 ? count - 1 : nil
        if count == 1 { wait(id) }
    }

    mutating func closed(_ id: ID) {
        waiting[id] = nil
        busy[id] = nil
    }

    private mutating func wait(_ id: ID) {
        step += 1
        waiting[id] = step
    }
}
