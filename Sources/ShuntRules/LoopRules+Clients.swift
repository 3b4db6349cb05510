import CLuaHost
import ShuntCore

/// The hooks of clients that come, subscribe and go, and `on_tick`.
extension LoopRules {
    public func onConnect(_ peer: Peer, now: Double) -> ConnectOutcome {
        begin(now, peer.id, SHUNT_ON_CONNECT)
        shunt_host_end_turn(host.pointer)
        if !off.isEmpty, let why = refusalOfOff(for: SHUNT_ON_CONNECT) { return .reject(why: why) }
        return peer.withRecord { record in
            var outcome = shunt_connect_outcome()
            mayWait(peer.id) { shunt_on_connect(host.pointer, record, ~off.mask, now, &outcome) }
            return connectOutcome(outcome, of: peer.id)
        }
    }

    func connectOutcome(_ outcome: shunt_connect_outcome, of peer: ConnectionID) -> ConnectOutcome {
        refusedBy = Int(outcome.rule)
        if keepWaiting(outcome.waiting, of: peer) { return .waits }
        switch outcome.verdict {
        case SHUNT_VERDICT_REJECT: return .reject(why: String(outcome.why))
        case SHUNT_VERDICT_REDIRECT: return .redirect(to: String(outcome.why))
        case SHUNT_VERDICT_REPLACE:
            let changes = Peer.changes(in: Bytes(outcome.record))
            return .acceptAs(
                uid: outcome.has_uid ? changes.uid : nil, tags: outcome.has_tags ? changes.tags : nil,
                alias: outcome.has_alias ? changes.alias : nil, terms: ClientTerms(outcome, changes.attributes))
        default: return .accept
        }
    }

    public func onSubscribe(_ request: SubscriptionRequest, from peer: ConnectionID, now: Double) -> SubscribeOutcome {
        begin(now, peer, SHUNT_ON_SUBSCRIBE)
        shunt_host_end_turn(host.pointer)
        if !off.isEmpty, let why = refusalOfOff(for: SHUNT_ON_SUBSCRIBE) { return .reject(why: why) }
        return with(request, from: peer) { subscription in
            var outcome = shunt_subscribe_outcome()
            concerning(request.topic) {
                mayWait(peer) { shunt_on_subscribe(host.pointer, &subscription, ~off.mask, now, &outcome) }
            }
            return subscribeOutcome(outcome, of: request, by: peer)
        }
    }

    /// - Parameter asked: what the client asked for.
    func subscribeOutcome(_ outcome: shunt_subscribe_outcome, of asked: SubscriptionRequest, by peer: ConnectionID) -> SubscribeOutcome {
        refusedBy = Int(outcome.rule)
        if keepWaiting(outcome.waiting, of: peer, asked) { return .waits }
        switch outcome.verdict {
        case SHUNT_VERDICT_REJECT: return .reject(why: String(outcome.why))
        case SHUNT_VERDICT_REPLACE:
            return .acceptAs(
                SubscriptionRequest(
                    topic: String(outcome.topic), group: String(outcome.group), key: asked.key,
                    qos: QoS(rawValue: outcome.qos) ?? .atMostOnce))
        default: return .accept
        }
    }

    public func onUnsubscribe(_ request: SubscriptionRequest, from peer: ConnectionID, now: Double) {
        begin(now, peer, SHUNT_ON_UNSUBSCRIBE)
        shunt_host_end_turn(host.pointer)
        if !off.isEmpty { retry() }
        with(request, from: peer) { subscription in
            concerning(request.topic) { shunt_on_unsubscribe(host.pointer, &subscription, ~off.mask, now) }
        }
    }

    private func with<Value>(
        _ request: SubscriptionRequest, from peer: ConnectionID, _ body: (inout shunt_subscription) -> Value
    ) -> Value {
        withBytes(of: request.topic) { topic in
            withBytes(of: request.group) { group in
                withBytes(of: request.key ?? "") { key in
                    var subscription = shunt_subscription(
                        topic: topic, group: group, key: key, has_key: request.key != nil, qos: request.qos.rawValue, sender: peer.raw)
                    return body(&subscription)
                }
            }
        }
    }

    public func onDisconnect(_ peer: Peer, why: String, now: Double) {
        begin(now, peer.id, SHUNT_ON_DISCONNECT)
        shunt_host_end_turn(host.pointer)
        guard rules.contains(where: { $0.has(SHUNT_ON_DISCONNECT) }) else { return }
        if !off.isEmpty { retry() }
        peer.withRecord { record in
            withBytes(of: why) { why in shunt_on_disconnect(host.pointer, record, why, ~off.mask, now) }
        }
    }

    // MARK: time

    public func onTick(now: Double, sent: () -> Void = {}) {
        // The clock was set back.
        if nextTick != .infinity, nextTick - now > Self.longestTick {
            for index in ticks.indices where ticks[index] != .infinity { ticks[index] = now }
            nextTick = now
        }
        guard now >= nextTick else { return }
        begin(now, nil, SHUNT_ON_TICK)
        shunt_host_end_turn(host.pointer)
        if !off.isEmpty { retry() }
        let due = ticks.indices.filter { ticks[$0] <= now }
        for index in due { ticks[index] = now + set.rules[index].definition.tick }
        nextTick = ticks.min() ?? .infinity
        // One after the other: each may send as much as one call may.
        for index in due where !off.contains(index) {
            shunt_on_tick(host.pointer, 1 << UInt64(index), now)
            sent()
        }
    }

    /// Seconds.
    static let longestTick = 86_400.0
}
