import ShuntCore

/// Decides where a producer connects next: to the workers that a master has listed, least loaded first, then to the masters again, each in
/// turn. It pauses when all of them were asked in vain.
struct WorkerSearch: Equatable, Sendable {
    enum Step: Equatable, Sendable {
        case connect(HostPort)
        /// Ask this master for workers.
        case ask(HostPort)
        case pause(Duration)
    }

    private let route: ClientRoute
    private var backoff: Backoff
    private var candidates: [HostPort] = []
    private var master = 0
    /// Masters still to be asked before a pause; with fixed workers, passes over them.
    private var asksLeft: Int

    init(route: ClientRoute, backoff: Backoff) {
        self.route = route
        self.backoff = backoff
        asksLeft = Self.asks(route)
    }

    /// - Parameter random: 0 up to 1, for the pause's jitter.
    mutating func next(random: Double) -> Step {
        if !candidates.isEmpty { return .connect(candidates.removeFirst()) }
        guard asksLeft > 0 else {
            asksLeft = Self.asks(route)
            return .pause(backoff.next(random: random))
        }
        asksLeft -= 1
        switch route {
        case .masters(let masters): return .ask(masters[master])
        case .workers, .mqtt:
            candidates = route.addresses
            return .connect(candidates.removeFirst())
        }
    }

    /// A master has answered. If none of these takes the connection, there is a pause before the next question.
    mutating func listed(_ workers: [HostPort]) {
        candidates = workers
        asksLeft = 0
    }

    /// The master could not be reached, or knows no worker.
    mutating func askFailed() {
        if case .masters(let masters) = route { master = (master + 1) % masters.count }
    }

    /// The connection that was found is gone. A connection that did not last counts as a failed attempt, so that a worker that hangs up at
    /// once is not tried all the time.
    mutating func lost(after lifetime: Duration) {
        guard lifetime >= .seconds(1) else {
            candidates = []
            asksLeft = 0
            return
        }
        backoff.reset()
        asksLeft = Self.asks(route)
    }

    private static func asks(_ route: ClientRoute) -> Int {
        switch route {
        case .masters(let masters): masters.count
        case .workers, .mqtt: min(1, route.addresses.count)
        }
    }
}
