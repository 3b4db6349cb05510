import ShuntCore

/// What tells a client's subscriptions apart.
struct SubscriptionName: Hashable {
    let filter: ExactText
    let group: ExactText
    let key: ExactText?

    init(_ request: SubscriptionRequest) {
        (filter, group, key) = (ExactText(request.topic), ExactText(request.group), request.key.map { ExactText($0) })
    }

    var request: SubscriptionRequest { SubscriptionRequest(topic: filter.text, group: group.text, key: key?.text) }
}

/// What rules have made of a client's subscriptions, by what the client has asked for.
struct RewrittenSubscriptions {
    /// By what the client has asked for, what that has become.
    private var standing: [SubscriptionName: SubscriptionName] = [:]
    /// By what stands, what the client has asked for that became it: at least one each.
    private var asked: [SubscriptionName: Set<SubscriptionName>] = [:]

    var isEmpty: Bool { standing.isEmpty }
    /// What the client has asked for, by number.
    var count: Int { standing.count }

    /// What a subscription has become that the client has asked for.
    subscript(request: SubscriptionName) -> SubscriptionName? { standing[request] }

    /// Whether anything that the client has asked for has become this.
    func isStanding(_ name: SubscriptionName) -> Bool { asked[name] != nil }

    /// Whether nothing else has become what this has become.
    func isLast(_ request: SubscriptionName) -> Bool { standing[request].map { asked[$0]?.count == 1 } ?? true }

    mutating func note(_ request: SubscriptionName, became name: SubscriptionName) {
        giveUp(request)
        standing[request] = name
        asked[name, default: []].insert(request)
    }

    /// - Returns: what it had become.
    @discardableResult
    mutating func giveUp(_ request: SubscriptionName) -> SubscriptionName? {
        guard let name = standing.removeValue(forKey: request) else { return nil }
        asked[name]?.remove(request)
        if asked[name]?.isEmpty == true { asked[name] = nil }
        return name
    }

    /// What stood has ended.
    mutating func end(_ name: SubscriptionName) {
        for request in asked.removeValue(forKey: name) ?? [] { standing[request] = nil }
    }
}

/// Subscriptions that rules have made others of: a client gives them up, and asks for them again, by the filters that it has named itself.
///
/// `Client.Identity.rewritten` has what those have become. Where several have become the same subscription, it ends with the last of them; one
/// that the client has asked for as it is then stands there as well.
extension LoopEngine {
    /// Takes what rules have made of a subscription, in the place of what the client has asked for.
    /// - Throws: `rule.rejected`, `access.denied`; what `check` throws.
    func take(
        _ changed: SubscriptionRequest, for request: inout SubscriptionRequest, _ terms: inout DeliveryTerms, by rule: String,
        _ connection: ConnectionID
    ) throws(ShuntError) {
        let asked = request.qos
        request = changed
        request.qos = min(changed.qos, asked)
        if terms.form != .exchange {
            terms = DeliveryTerms(
                terms.form, qos: request.qos, isNoLocal: terms.isNoLocal, isRetainAsPublished: terms.isRetainAsPublished,
                asksSession: terms.asksSession, isShared: !request.group.isEmpty)
            try MQTTFront.checkRewritten(request, by: rule)
        }
        try check(request, mayHaveNoGroup: terms.form != .exchange)
        try demand(request, connection)
    }

    /// What a subscription has become that the client has asked for.
    func standing(_ asked: SubscriptionRequest, _ connection: ConnectionID) -> SubscriptionRequest {
        guard let rewritten = clients[connection.slot].identity?.rewritten, let name = rewritten[SubscriptionName(asked)] else { return asked }
        return name.request
    }

    /// Whether a client has asked for a subscription, and has it still. Rules may have made the same of another one.
    func hasAsked(for asked: SubscriptionRequest, _ connection: ConnectionID) -> Bool {
        guard let rewritten = clients[connection.slot].identity?.rewritten, !rewritten.isEmpty else { return isSubscribed(asked, connection) }
        let name = SubscriptionName(asked)
        return rewritten[name] != nil || !rewritten.isStanding(name) && isSubscribed(asked, connection)
    }

    /// Whether a subscription ends when a client gives up what it has asked for.
    func isLast(_ asked: SubscriptionRequest, _ connection: ConnectionID) -> Bool {
        clients[connection.slot].identity?.rewritten.isLast(SubscriptionName(asked)) ?? true
    }

    /// Gives up what a client has asked for.
    /// - Returns: false where the client has not asked for it.
    func giveUp(_ asked: SubscriptionRequest, tellsRules: Bool = true, _ connection: ConnectionID) -> Bool {
        guard hasAsked(for: asked, connection) else { return false }
        guard let identity = clients[connection.slot].identity, let name = identity.rewritten.giveUp(SubscriptionName(asked)) else {
            return remove(asked, tellsRules: tellsRules, connection)
        }
        return identity.rewritten.isStanding(name) || remove(name.request, tellsRules: tellsRules, connection)
    }

    /// A client has the subscription that rules have made of what it has asked for.
    /// - Parameter wasThere: it had that subscription before.
    func note(_ asked: SubscriptionRequest, became request: SubscriptionRequest, wasThere: Bool, _ connection: ConnectionID) {
        let (asked, name) = (SubscriptionName(asked), SubscriptionName(request))
        guard asked != name || wasThere else { return }
        let identity = clients[connection.slot].identity ?? Client.Identity()
        clients[connection.slot].identity = identity
        if wasThere, !identity.rewritten.isStanding(name) { identity.rewritten.note(name, became: name) }
        identity.rewritten.note(asked, became: name)
    }

    /// A subscription has ended, by whatever name the client has asked for it.
    func forgetRewritten(_ request: SubscriptionRequest, _ connection: ConnectionID) {
        guard let identity = clients[connection.slot].identity, !identity.rewritten.isEmpty else { return }
        identity.rewritten.end(SubscriptionName(request))
    }

    /// - Throws: `subscription.limit`: a client may ask for no more than it may have, also where all becomes one subscription.
    func checkRewritten(_ asked: SubscriptionRequest, _ connection: ConnectionID) throws(ShuntError) {
        guard let rewritten = clients[connection.slot].identity?.rewritten, rewritten.count >= limits.subscriptions,
            rewritten[SubscriptionName(asked)] == nil
        else { return }
        throw ShuntError(
            .subscriptionLimit, "this connection has asked for \(rewritten.count) subscriptions", help: "no more are allowed (limits.subscriptions)")
    }
}
