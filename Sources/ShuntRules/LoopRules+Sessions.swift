import CLuaHost
import ShuntCore

/// Devices, groups, wills, sessions and acknowledgements; and what rules send of their own.
extension LoopRules {
    public func onRegister(_ peer: Peer, now: Double) -> RegisterOutcome {
        begin(now, peer.id, SHUNT_ON_REGISTER)
        shunt_host_end_turn(host.pointer)
        if !off.isEmpty, let why = refusalOfOff(for: SHUNT_ON_REGISTER) { return .reject(why: why) }
        return peer.withRecord { record in
            var outcome = shunt_connect_outcome()
            mayWait(peer.id) { shunt_on_register(host.pointer, record, ~off.mask, now, &outcome) }
            return registerOutcome(outcome, of: peer.id)
        }
    }

    func registerOutcome(_ outcome: shunt_connect_outcome, of peer: ConnectionID) -> RegisterOutcome {
        refusedBy = Int(outcome.rule)
        if keepWaiting(outcome.waiting, of: peer) { return .waits }
        switch outcome.verdict {
        case SHUNT_VERDICT_REJECT: return .reject(why: String(outcome.why))
        case SHUNT_VERDICT_REPLACE:
            let changes = Peer.changes(in: Bytes(outcome.record))
            return .acceptAs(tags: outcome.has_tags ? changes.tags : nil, alias: outcome.has_alias ? changes.alias : nil)
        default: return .accept
        }
    }

    public var emitted: UnsafeBufferPointer<RoutedMessage> {
        var count = 0
        let routed = shunt_host_emitted(host.pointer, &count)
        return messages(routed, count)
    }

    public func onSelect(_ group: String, _ members: [GroupMember], _ message: MessageView, now: Double) -> Int? {
        begin(now, message.sender, SHUNT_ON_SELECT)
        let selection = selection(SHUNT_ON_SELECT, for: message.kind, message.topic)
        guard !selection.isEmpty else { return nil }
        if !off.isEmpty { retry() }
        var view = shunt_message(message)
        let all = members.map {
            shunt_member(id: $0.id.raw, delivered: $0.delivered, is_congested: $0.isCongested, is_absent: $0.isAbsent)
        }
        let place = withBytes(of: group) { group in
            shunt_on_select(host.pointer, group, all, all.count, &view, selection.subtracting(off).mask, now)
        }
        return place < 0 ? nil : Int(place)
    }

    public func onWill(_ message: MessageView, of peer: Peer, now: Double) -> MessageOutcome {
        concerning("", peer) { will(message, of: peer, now: now) }
    }

    private func will(_ message: MessageView, of peer: Peer, now: Double) -> MessageOutcome {
        begin(now, peer.id, SHUNT_ON_WILL)
        let selection = selection(SHUNT_ON_WILL, for: .topic, message.topic)
        guard !selection.isEmpty else { return .pass }
        if !off.isEmpty, let outcome = outcomeOfOff(in: selection, for: SHUNT_ON_WILL) { return outcome }
        view.pointee = shunt_message(message)
        return peer.withRecord { record in
            guard shunt_on_will(host.pointer, view, record, selection.subtracting(off).mask, now, outcome) else { return .pass }
            var result = finished()
            result.isFinal = decision == SHUNT_VERDICT_DONE
            return result
        }
    }

    public func onSession(_ event: SessionEvent, _ session: SessionView, now: Double) {
        concerning("", Peer(session)) { tell(event, session, now: now) }
    }

    private func tell(_ event: SessionEvent, _ session: SessionView, now: Double) {
        begin(now, session.client, SHUNT_ON_SESSION)
        shunt_host_end_turn(host.pointer)
        if !off.isEmpty { retry() }
        withBytes(of: event.rawValue) { event in
            withBytes(of: session.clientID) { clientID in
                withBytes(of: session.uid) { uid in
                    withBytes(of: session.version) { version in
                        var view = shunt_session(
                            client_id: clientID, uid: uid, version: version, expiry: session.expiry, is_connected: session.isConnected,
                            subscriptions: session.subscriptions, waiting: session.waiting, inflight: session.inflight)
                        shunt_on_session(host.pointer, event, &view, ~off.mask, now)
                    }
                }
            }
        }
    }

    public func onAcked(_ message: MessageView, by peer: ConnectionID, now: Double) {
        begin(now, peer, SHUNT_ON_ACKED)
        let selection = selection(SHUNT_ON_ACKED, for: message.kind, message.topic)
        guard !selection.isEmpty else { return }
        if !off.isEmpty { retry() }
        var view = shunt_message(message)
        shunt_on_acked(host.pointer, &view, peer.raw, selection.subtracting(off).mask, now)
    }

    public func setDelayRoom(messages: Int, bytes: Int) { shunt_host_set_delay_room(host.pointer, max(0, messages), max(0, bytes)) }

    public func name(of rule: Int) -> String { set.rules.indices.contains(rule) ? set.rules[rule].definition.name : "" }
    public func rule(named name: String) -> Int? {
        if let rule = set.rules.firstIndex(where: { $0.definition.name == name }) { return rule }
        guard name.hasSuffix(RuleTrial.suffix) else { return nil }
        return rule(named: String(name.dropLast(RuleTrial.suffix.count)))
    }
    public func versions(of rule: Int) -> RuleSelection {
        guard set.rules.indices.contains(rule) else { return .none }
        var versions = RuleSelection.none
        versions.insert(rule)
        // The version beside a rule stands in front of it.
        if set.rules[rule].isBeside { versions.insert(rule + 1) } else if rule > 0, set.rules[rule - 1].isBeside { versions.insert(rule - 1) }
        return versions
    }

    /// A rule has failed on the message that the hook is about. Nothing comes of the message by one on trial.
    func tellFailedMessage(rule: Int, _ hook: shunt_hook, _ code: ErrorCode) {
        guard !(hasModes && observed.contains(rule)) else { return }
        guard hook == SHUNT_ON_MESSAGE || hook == SHUNT_ON_BROADCAST || hook == SHUNT_ON_CHAT || hook == SHUNT_ON_WILL else { return }
        peers?.failed(name(of: rule), code, on: MessageView(view.pointee))
    }
}

extension Peer {
    /// A session's client, as far as the session knows it.
    fileprivate init(_ session: SessionView) {
        self.init(
            id: .none, uid: session.uid, device: session.clientID, tags: [], alias: [], protocolName: "mqtt", address: "",
            connectedAt: 0, mqtt: MQTT(clientID: session.clientID, version: session.version, keepAlive: 0, properties: [], will: nil))
    }
}

extension ClientTerms {
    init(_ outcome: shunt_connect_outcome, _ attributes: [UserProperty]) {
        self.init(
            attributes: outcome.has_attributes ? attributes : nil, expiresAt: outcome.expires_at < .infinity ? outcome.expires_at : nil,
            messagesPerSecond: outcome.messages < 0 ? nil : Int(outcome.messages), bytesPerSecond: outcome.bytes < 0 ? nil : Int(outcome.bytes))
    }
}

extension MessageView {
    /// A view of the same bytes as Lua's.
    init(_ message: shunt_message) {
        self.init(
            kind: MessageKind(rawValue: message.kind) ?? .topic, topic: Bytes(message.topic), key: message.has_key ? Bytes(message.key) : nil,
            payload: Bytes(message.payload), format: PayloadFormat(rawValue: message.format) ?? .none,
            compression: PayloadCompression(rawValue: message.compression) ?? .none, id: message.id, hops: message.hops,
            sender: ConnectionID(raw: message.sender))
        (qos, isRetained, properties) = (QoS(rawValue: message.qos) ?? .atMostOnce, message.retain, Bytes(message.properties))
    }
}
