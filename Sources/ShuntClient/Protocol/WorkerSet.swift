import ShuntCore

/// The workers that a consumer connects to: all that the master lists, and those that still answer.
///
/// Event in, actions out. A worker that is lost is tried again as long as it is listed; one that is not listed any more is
/// left alone once its connection is gone, and comes back with the master's list.
struct WorkerSet: Equatable, Sendable {
    enum Action: Equatable, Sendable {
        case connect(HostPort, after: Duration)
    }

    private struct Worker: Equatable {
        var backoff: Backoff
        var isListed = true
        var wasSubscribed = false
        /// Whether the application has been told that this worker is away.
        var isKnownAway = false
    }

    private let backoff: Backoff
    private let limit: Int
    /// Workers that are connected, or are being connected to.
    private var workers: [HostPort: Worker] = [:]

    /// - Parameter limit: the most workers to connect to; more are passed over.
    init(backoff: Backoff, limit: Int = Allocation.maximumWorkers) {
        self.backoff = backoff
        self.limit = limit
    }

    mutating func listed(_ addresses: [HostPort]) -> [Action] {
        for address in workers.keys { workers[address]?.isListed = false }
        var actions: [Action] = []
        for address in addresses {
            if workers[address] != nil {
                workers[address]?.isListed = true
            } else if workers.count < limit {
                workers[address] = Worker(backoff: backoff)
                actions.append(.connect(address, after: .zero))
            }
        }
        return actions
    }

    /// The worker has taken the subscription.
    /// - Returns: whether it had taken it before.
    mutating func subscribed(_ address: HostPort) -> Bool {
        defer {
            workers[address]?.wasSubscribed = true
            workers[address]?.isKnownAway = false
        }
        return workers[address]?.wasSubscribed ?? false
    }

    /// The worker cannot be connected to, or refuses the subscription for now.
    /// - Returns: whether that is news.
    mutating func away(_ address: HostPort) -> Bool {
        defer { workers[address]?.isKnownAway = true }
        return workers[address]?.isKnownAway == false
    }

    /// A connection is gone, or did not open.
    /// - Parameters:
    ///   - lifetime: for how long it was subscribed; zero if it never was.
    ///   - random: 0 up to 1, for the jitter.
    mutating func lost(_ address: HostPort, after lifetime: Duration, random: Double) -> [Action] {
        guard var worker = workers[address] else { return [] }
        guard worker.isListed else {
            workers[address] = nil
            return []
        }
        if lifetime >= .seconds(1) { worker.backoff.reset() }
        let delay = worker.backoff.next(random: random)
        workers[address] = worker
        return [.connect(address, after: delay)]
    }
}
