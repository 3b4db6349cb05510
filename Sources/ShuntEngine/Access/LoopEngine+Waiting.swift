import ShuntCore

/// What goes on when the rules have decided about a client that waits.
typealias RuleContinuation = (LoopEngine, WaitedOutcome) -> Void

/// Clients whose rules look something up. Nothing of such a client is read, so what it sends keeps its order; others go on.
extension LoopEngine {
    func isWaiting(_ connection: ConnectionID) -> Bool { !ruleWaits.isEmpty && ruleWaits[connection] != nil }

    /// A rule looks something up: the client waits. What goes on then is said next, by `whenDecided`.
    func beginWait(_ connection: ConnectionID) {
        ruleWaits[connection] = { _, _ in }
        output.actions.append(.wait(connection))
    }

    func whenDecided(_ connection: ConnectionID, _ goOn: @escaping RuleContinuation) { ruleWaits[connection] = goOn }

    /// The rules have decided about a client that waits.
    /// - Returns: whether it is to be read from again.
    public func decided(_ outcome: WaitedOutcome, by rulesAbout: ConnectionID, now: Double) -> Bool {
        let connection = rulesAbout
        router.now = now
        guard let goOn = ruleWaits.removeValue(forKey: connection) else { return false }
        guard isCurrent(connection), clients[connection.slot].state == .open else { return false }
        clients[connection.slot].heardAt = Self.eighths(now)
        router.index.blocker = .none
        router.permissions = clients[connection.slot].identity?.access?.permissions
        router.publisher = clients[connection.slot].isAdmitted ? subscriber(of: connection) : .none
        hooks?.beginTurn()
        goOn(self, outcome)
        return !isWaiting(connection)
    }

    /// The clients that wait. When the rules have changed, each is asked about anew: `decided(.anew)`.
    public var waitingClients: [ConnectionID] { ruleWaits.isEmpty ? [] : Array(ruleWaits.keys) }

    /// The client has gone.
    func forgetWait(of connection: ConnectionID) {
        if !ruleOutcomes.isEmpty { ruleOutcomes[connection] = nil }
        if !authentications.isEmpty { authentications[connection] = nil }
        guard !ruleWaits.isEmpty, ruleWaits.removeValue(forKey: connection) != nil else { return }
        hooks?.abandon(connection)
    }

    // MARK: Subscriptions

    func isSubscribed(_ request: SubscriptionRequest, _ connection: ConnectionID) -> Bool {
        let subscriber = subscriber(of: connection)
        let group = request.group.isEmpty ? Self.ownGroup(of: subscriber) : request.group
        return router.index.has(connection: subscriber, filter: request.topic, group: group, key: request.key)
    }

    func tellUnsubscribed(_ request: SubscriptionRequest, _ connection: ConnectionID) {
        guard let hooks, hooks.wanted.contains(.unsubscribe) else { return }
        hooks.onUnsubscribe(request, from: connection, now: now)
        sendEmitted(hooks)
    }
}
