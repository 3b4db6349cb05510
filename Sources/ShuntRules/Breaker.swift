/// Switches a rule off that fails too often, and tries it again later. Time is handed in.
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

    init(_ limits: RuleDefinition.Breaker) { self.limits = limits }

    /// - Returns: whether this error switches the rule off.
    mutating func failed(now: Double) -> Bool {
        switch state {
        case .off: return false
        case .trying(let since) where now - since < limits.window: break
        case .trying: state = .closed(since: now, errors: 1)
        case .closed(let since, let errors):
            state = now - since < limits.window ? .closed(since: since, errors: errors + 1) : .closed(since: now, errors: 1)
        }
        if case .closed(_, let errors) = state, errors <= limits.errors { return false }
        state = .off(until: now + limits.retry)
        return true
    }

    /// - Returns: whether the rule may run again.
    mutating func retried(now: Double) -> Bool {
        guard case .off(let until) = state, now >= until else { return false }
        state = .trying(since: now)
        return true
    }
}
