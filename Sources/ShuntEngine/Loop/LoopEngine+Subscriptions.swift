import ShuntCore

/// Subscriptions, as any front asks for them.
extension LoopEngine {
    /// Enters a subscription, which rules may change or refuse.
    /// - Parameters:
    ///   - request: has passed `check`; then what rules have made of it. Without a group, the client is one of its own: of all its
    ///     subscriptions that take a message, one gets it.
    ///   - terms: with the QoS of the request, which rules may have made lower.
    ///   - decided: what rules have decided about it already.
    ///   - replaced: a subscription of the client's that it takes the place of.
    /// - Throws: `rule.rejected`, `subscription.limit`; what `check` throws of what a rule has made of it.
    func subscribe(
        _ request: inout SubscriptionRequest, terms: DeliveryTerms = .exchange, decided: SubscribeOutcome? = nil,
        replacing replaced: SubscriptionRequest? = nil, _ connection: ConnectionID
    ) throws(ShuntError) -> Subscribing {
        var terms = terms
        let asked = request
        try demand(request, connection)
        if let hooks {
            router.begin(hooks)
            let outcome = decided ?? hooks.onSubscribe(request, from: connection, now: now)
            let rule = hooks.refusing ?? ""
            sendEmitted(hooks)
            switch outcome {
            case .accept: break
            case .waits:
                beginWait(connection)
                return .waits
            case .acceptAs(let changed): try take(changed, for: &request, &terms, by: rule, connection)
            case .reject(let why):
                throw ShuntError(.ruleRejected, why.isEmpty ? "a rule rejected the subscription" : why)
            }
        }
        // Of a subscription of its own, a client of MQTT gets what it may read.
        if try withholds(request, connection, isGroup: terms.form == .exchange || !request.group.isEmpty) { terms = terms.askingSession }
        let subscriber = subscriber(of: connection)
        let group = request.group.isEmpty ? Self.ownGroup(of: subscriber) : request.group
        let slot = connection.slot
        guard isCurrent(connection), clients[slot].state != .closing else { return .known }
        guard !isLeaving(subscriber) else { throw ShuntError(.workerElsewhere, neighbour(nil, Int(clients[slot].listener)) ?? "") }
        if let replaced {
            _ = giveUp(replaced, tellsRules: false, connection)
        } else if hasAsked(for: asked, connection) {
            guard SubscriptionName(standing(asked, connection)) != SubscriptionName(request) else { return .known }
            _ = giveUp(asked, connection)
        }
        try checkRewritten(asked, connection)
        guard Int(clients[slot].subscriptions) < limits.subscriptions else {
            throw ShuntError(
                .subscriptionLimit, "this connection has \(clients[slot].subscriptions) subscriptions",
                help: "no more are allowed (limits.subscriptions)")
        }
        let subscription = Subscription(
            id: nextSubscription(), connection: subscriber, filter: request.topic, group: group, key: request.key, terms: terms)
        // Another one that the client has asked for is the same: the last terms count.
        let wasThere = !router.index.insert(subscription)
        if wasThere, !remove(request, tellsRules: false, connection) || !router.index.insert(subscription) { return .known }
        note(asked, became: request, wasThere: wasThere, connection)
        clients[slot].subscriptions += 1
        noteClient(subscriber)
        output.figures.subscriptions += 1
        output.tell(.subscribed(subscription))
        if clients[slot].pressure != .none {
            router.index.setPressure(clients[slot].pressure, of: subscriber)
            output.tell(.pressure(clients[slot].pressure, subscriber))
        }
        return .entered
    }

    enum Subscribing {
        case entered
        /// The client has it already, or is gone.
        case known
        /// A rule looks something up: `whenDecided`.
        case waits
    }

    /// - Throws: `access.denied`.
    func demand(_ request: SubscriptionRequest, _ connection: ConnectionID) throws(ShuntError) {
        try demand(request.group.isEmpty ? .subscribe : .share, request.topic, group: request.group.isEmpty ? nil : request.group, connection)
    }

    /// Ends a subscription.
    /// - Returns: false where the client has none like that.
    func unsubscribe(_ request: SubscriptionRequest, tellsRules: Bool = true, _ connection: ConnectionID) -> Bool {
        forgetRewritten(request, connection)
        return remove(request, tellsRules: tellsRules, connection)
    }

    func remove(_ request: SubscriptionRequest, tellsRules: Bool = true, _ connection: ConnectionID) -> Bool {
        let (filter, key) = (request.topic, request.key)
        let subscriber = subscriber(of: connection)
        let group = request.group.isEmpty ? Self.ownGroup(of: subscriber) : request.group
        guard router.index.remove(connection: subscriber, filter: filter, group: group, key: key) != nil else { return false }
        clients[connection.slot].subscriptions -= 1
        noteClient(subscriber)
        output.figures.subscriptions -= 1
        router.forgetQuestions(of: subscriber, filter: filter)
        output.tell(.unsubscribed(subscriber, filter: filter, group: group, key: key))
        releaseProducers(heldBy: subscriber)
        if tellsRules { tellUnsubscribed(request, connection) }
        return true
    }

    /// Gives all subscriptions of a client, or of a session, other terms, on every loop.
    func changeTerms(of subscriber: ConnectionID, _ change: (DeliveryTerms) -> DeliveryTerms) {
        for subscription in router.index.subscriptions(of: subscriber) {
            var changed = subscription
            changed.terms = change(subscription.terms)
            guard changed.terms != subscription.terms else { continue }
            _ = router.index.remove(
                connection: subscriber, filter: subscription.filter, group: subscription.group, key: subscription.key)
            output.tell(.unsubscribed(subscriber, filter: subscription.filter, group: subscription.group, key: subscription.key))
            _ = router.index.insert(changed)
            output.tell(.subscribed(changed))
        }
    }

    /// The group of a client that has named none. No client can name it.
    static func ownGroup(of connection: ConnectionID) -> String { "\0" + String(connection.slot << 8 | Int(connection.loop), radix: 36) }

    /// - Throws: `topic.invalid`, `request.invalid`.
    func check(_ request: SubscriptionRequest, mayHaveNoGroup: Bool = false) throws(ShuntError) {
        guard !request.topic.isEmpty, request.topic.utf8.count <= limits.topic else {
            throw ShuntError(
                .topicInvalid, "the topic has \(request.topic.utf8.count) bytes", help: "1 to \(limits.topic) (limits.topic)")
        }
        guard TopicFilter.isFilter(request.topic) else {
            throw ShuntError(
                .topicInvalid, "the topic filter '\(request.topic)' has a wildcard inside a level, # before the last level, or NUL",
                help: "+ stands for one whole level, # for all levels at the end, as in orders/+ and orders/# (MQTT 5 §4.7.1)")
        }
        guard TopicFilter.levels(of: request.topic) <= TopicFilter.maximumLevels || !TopicFilter.isPattern(request.topic) else {
            throw ShuntError(
                .topicInvalid, "the topic filter has \(TopicFilter.levels(of: request.topic)) levels",
                help: "at most \(TopicFilter.maximumLevels) where there are wildcards")
        }
        guard !request.group.isEmpty || mayHaveNoGroup, request.group.utf8.count <= limits.group else {
            throw ShuntError(
                .requestInvalid, "the group's name has \(request.group.utf8.count) bytes",
                help: "1 to \(limits.group) (limits.group)")
        }
        guard request.group.utf8.first != 0 else { throw ShuntError(.requestInvalid, "the group's name begins with NUL", help: "a text") }
        guard (request.key?.utf8.count ?? 0) <= limits.topic else {
            throw ShuntError(
                .requestInvalid, "the key has \(request.key?.utf8.count ?? 0) bytes", help: "at most \(limits.topic) (limits.topic)")
        }
    }
}
