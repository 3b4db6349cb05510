/// Switches a rule off that fails too often, and tries it again later. Time is handed in.
///
/// The failures that one client causes count once a window: by what it sends alone no client switches a rule off for the others.
struct Breaker: Equatable {
    enum State: Equatable {
        /// Runs; errors counted since the window began.
        case closed(since: Double, errors: Int)
        case off(until: Double)
        /// Runs again: one error switches it off, a window without one closes the breaker.
        case trying(since: Double)
    }

    let limits: RuleDefinition.Breaker
    private(set) var state = State.closed(since: 0, errors: 0)
    /// Whose failures have been counted in this window. Those of clients for whom there is no more room count each time.
    private var clients: Set<UInt64> = []
    private static let clientsKept = 1024

    init(_ limits: RuleDefinition.Breaker) { self.limits = limits }

    /// - Parameter client: who caused the call; 0 where nobody did, as on the end of an idle chat.
    /// - Returns: whether this error switches the rule off.
    mutating func failed(by client: UInt64, now: Double) -> Bool {
        switch state {
        case .off: return false
        case .trying(let since) where now - since < limits.window: break
        case .trying: begin(now)
        case .closed(let since, _) where now - since >= limits.window: begin(now)
        case .closed: break
        }
        if case .closed(let since, let errors) = state {
            guard counts(client) else { return false }
            state = .closed(since: since, errors: errors + 1)
            if errors + 1 <= limits.errors { return false }
        }
        state = .off(until: now + limits.retry)
        return true
    }

    private mutating func begin(_ now: Double) {
        state = .closed(since: now, errors: 0)
        clients.removeAll()
    }

    /// Whether a failure is the first that this client causes in the window.
    private mutating func counts(_ client: UInt64) -> Bool {
        guard client != 0, !clients.contains(client) else { return client == 0 }
        if clients.count < Self.clientsKept { clients.insert(client) }
        return true
    }

    /// - Returns: whether the rule may run again.
    mutating func retried(now: Double) -> Bool {
        guard case .off(let until) = state, now >= until else { return false }
        state = .trying(since: now)
        return true
    }
}
