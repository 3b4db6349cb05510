import ShuntCore

/// Switches a rule off that fails too often, and tries it again later. Time is handed in.
///
/// The failures that one client causes count once a window, and those of one address for at most half of what it takes: by what it sends
/// alone no client switches a rule off for the others, nor does one that comes back again and again.
struct Breaker: Equatable {
    enum State: Equatable {
        /// Runs; errors counted since the window began.
        case closed(since: Double, errors: Int)
        case off(until: Double)
        /// Runs again: more than a tenth of the errors, and never one alone, switch it off; a window without them closes the breaker.
        case trying(since: Double, errors: Int)
    }

    let limits: RuleDefinition.Breaker
    private(set) var state = State.closed(since: 0, errors: 0)
    /// How many errors are borne while the rule is tried: one at least, for else a single client would keep it off. Only a rule that bears none
    /// at all is switched off by one.
    private var triedErrors: Int { min(limits.errors, max(1, limits.errors / 10)) }
    /// Whose failures have been counted in this window; of one address no more than its share. Failures of clients for whom there is no more room
    /// count each time, but never those of nobody known, which count as one client's.
    private var clients: Set<UInt64> = []
    /// How many have been counted of each address.
    private var networks: [UInt64: Int] = [:]
    private static let clientsKept = 1024

    init(_ limits: RuleDefinition.Breaker) { self.limits = limits }

    /// - Parameters:
    ///   - client: who caused the call; nil where nobody did, as on the end of an idle chat.
    ///   - network: the client's address; nil where it is not known, or this machine. Asked for once a client and window.
    /// - Returns: whether this error switches the rule off.
    mutating func failed(by client: UInt64?, from network: () -> UInt64? = { nil }, now: Double) -> Bool {
        switch state {
        case .closed(let since, _), .trying(let since, _):
            if now - since >= limits.window { begin(.closed(since: now, errors: 0)) }
        case .off: break
        }
        let (since, errors, bound): (Double, Int, Int)
        switch state {
        case .off: return false
        case .trying(let began, let count): (since, errors, bound) = (began, count + 1, triedErrors)
        case .closed(let began, let count): (since, errors, bound) = (began, count + 1, limits.errors)
        }
        guard counts(client, network, share: max(1, bound / 2)) else { return false }
        if errors > bound {
            begin(.off(until: now + limits.retry))
            return true
        }
        if case .trying = state { state = .trying(since: since, errors: errors) } else { state = .closed(since: since, errors: errors) }
        return false
    }

    private mutating func begin(_ new: State) {
        state = new
        clients.removeAll()
        networks.removeAll()
    }

    /// Whether a failure is the first that this client causes in the window, and its address has not had its share.
    private mutating func counts(_ client: UInt64?, _ network: () -> UInt64?, share: Int) -> Bool {
        guard let client else { return true }
        guard !clients.contains(client) else { return false }
        if let network = network() {
            let count = networks[network, default: 0]
            guard count < share else { return false }
            if count > 0 || networks.count < Self.clientsKept { networks[network] = count + 1 }
        }
        if clients.count < Self.clientsKept || client == ConnectionID.none.raw { clients.insert(client) }
        return true
    }

    /// - Returns: whether the rule may run again.
    mutating func retried(now: Double) -> Bool {
        guard case .off(let until) = state, now >= until else { return false }
        begin(.trying(since: now, errors: 0))
        return true
    }
}
