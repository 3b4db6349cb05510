import CLuaHost
import ShuntCore
import Synchronization

/// A call of the rules that waits for a look-up.
final class WaitingCall {
    let pointer: OpaquePointer
    /// Names its look-up.
    let lookup: UInt64
    /// The rule that asks, and until when its call may wait; and when the look-up has waited as long as it may: seconds since 1970.
    let patience: RuleWaits.Patience
    let lookupUntil: Double
    /// The subscription that it is about.
    let asked: SubscriptionRequest?

    init(_ pointer: OpaquePointer, _ asked: RuleWaits.Asked, about request: SubscriptionRequest?) {
        (self.pointer, self.asked) = (pointer, request)
        (lookup, patience, lookupUntil) = (asked.lookup, asked.patience, asked.until)
    }
}

/// What calls of a loop's rules wait for. A client has at most one call that waits, as nothing of it is read meanwhile.
struct RuleWaits {
    var calls: [ConnectionID: WaitingCall] = [:]
    var clients: [UInt64: ConnectionID] = [:]
    /// Of the chain that runs: how long the rule may wait that has asked last, and what it has asked for.
    var patience: Patience?
    var asked: Asked?

    /// Until when one rule's call may wait, all its look-ups together: seconds since 1970. Each rule of a chain has its own.
    struct Patience {
        let rule: Int
        let until: Double
    }

    struct Asked {
        let lookup: UInt64
        let until: Double
        let patience: Patience
    }

    /// Names a look-up, in the whole process: an answer may come when these rules are gone.
    static let lookups = Atomic<UInt64>(0)
}

/// Calls that wait: they are kept by their clients, and go on when the answer is there.
extension LoopRules {
    /// Runs a hook that may wait.
    func mayWait(_ peer: ConnectionID, _ body: () -> Void) {
        if !waits.calls.isEmpty { abandon(peer) }
        (waits.patience, waits.asked) = (nil, nil)
        body()
    }

    /// - Returns: whether the call waits.
    func keepWaiting(_ call: OpaquePointer?, of peer: ConnectionID, _ request: SubscriptionRequest? = nil) -> Bool {
        guard let call else { return false }
        guard let asked = waits.asked else {
            // A call yields only to ask.
            shunt_waiting_free(host.pointer, call)
            return false
        }
        waits.calls[peer] = WaitingCall(call, asked, about: request)
        waits.clients[asked.lookup] = peer
        waits.asked = nil
        return true
    }

    /// A rule asks for something, in a call that runs.
    func lookUp(_ lookup: RuleLookup, rule index: Int) -> LookupStep {
        guard let lookups, set.rules.indices.contains(index) else { return .refused("nothing can be looked up here") }
        let plugin = set.rules[index].plugin.name
        let begun = waits.patience.flatMap { $0.rule == index ? $0 : nil }
        let patience = begun ?? RuleWaits.Patience(rule: index, until: now + lookups.patience(of: plugin))
        waits.patience = patience
        guard patience.until > now else { return .known(.failed("timed out: the call has waited as long as it may")) }
        let timeLimit = min(patience.until - now, lookup.timeout ?? .infinity)
        let id = RuleWaits.lookups.wrappingAdd(1, ordering: .relaxed).newValue
        var lookup = lookup
        lookup.network = client.flatMap { peers?.network(of: $0) } ?? 0
        let step = lookups.lookUp(lookup, of: plugin, timeLimit: timeLimit, call: id)
        if case .waits = step { waits.asked = RuleWaits.Asked(lookup: id, until: now + timeLimit, patience: patience) }
        return step
    }

    /// A look-up has an answer.
    /// - Returns: whose call has ended, and how; nil where it waits again, or nobody waits.
    public func lookedUp(_ lookup: UInt64, _ answer: LookupAnswer, now: Double) -> (ConnectionID, WaitedOutcome)? {
        guard let peer = waits.clients.removeValue(forKey: lookup), let call = waits.calls.removeValue(forKey: peer) else { return nil }
        let hook = shunt_waiting_hook(call.pointer)
        begin(now, peer, hook)
        shunt_host_end_turn(host.pointer)
        // Unless the same call waits again.
        defer { if waits.calls[peer]?.pointer != call.pointer { shunt_waiting_free(host.pointer, call.pointer) } }
        // A guard that was switched off meanwhile lets nobody through.
        let left = RuleSelection(mask: shunt_waiting_rules(call.pointer))
        if !off.isEmpty, let why = refusalOfOff(in: left, for: hook) { return (peer, WaitedOutcome(hook, refused: why)) }
        (waits.patience, waits.asked) = (call.patience, nil)
        let outcome = answer.value.encoded.withUnsafeBytes { bytes in resume(call, hook, shunt_bytes(bytes), of: peer) }
        return outcome.map { (peer, $0) }
    }

    private func resume(_ call: WaitingCall, _ hook: shunt_hook, _ answer: shunt_bytes, of peer: ConnectionID) -> WaitedOutcome? {
        if let asked = call.asked {
            var outcome = shunt_subscribe_outcome()
            concerning(asked.topic) { shunt_subscribe_resume(host.pointer, call.pointer, answer, off.mask, now, &outcome) }
            let result = subscribeOutcome(outcome, of: asked, by: peer)
            return result == .waits ? nil : .subscribe(result)
        }
        var outcome = shunt_connect_outcome()
        shunt_connect_resume(host.pointer, call.pointer, answer, off.mask, now, &outcome)
        if hook == SHUNT_ON_AUTH {
            let result = authOutcome(outcome, of: peer)
            return result == .waits ? nil : .auth(result)
        }
        if hook == SHUNT_ON_REGISTER {
            let result = registerOutcome(outcome, of: peer)
            return result == .waits ? nil : .register(result)
        }
        let result = connectOutcome(outcome, of: peer)
        return result == .waits ? nil : .connect(result)
    }

    /// The client has gone, or is asked about anew: its call is given up.
    public func abandon(_ peer: ConnectionID) {
        guard let call = waits.calls.removeValue(forKey: peer) else { return }
        waits.clients[call.lookup] = nil
        shunt_waiting_free(host.pointer, call.pointer)
    }

    /// The rules change: what waits begins anew, with those that come.
    func abandonAll() {
        for peer in Array(waits.calls.keys) { abandon(peer) }
    }

    /// Look-ups whose answers should be there by now: they get none. Their time is kept where they are made; this is for what hangs.
    public func overdueLookups(now: Double) -> [UInt64] {
        guard !waits.calls.isEmpty else { return [] }
        return waits.calls.values.filter { now > $0.lookupUntil + Self.lookupGrace || now < $0.lookupUntil - Self.longestLookup }.map(\.lookup)
    }

    private static let lookupGrace = 0.25
    /// Longer than any look-up may take: the clock was set.
    private static let longestLookup = 120.0

    // MARK: on_auth

    public func onAuth(_ peer: Peer, _ step: AuthStep, now: Double) -> AuthOutcome {
        begin(now, peer.id, SHUNT_ON_AUTH)
        shunt_host_end_turn(host.pointer)
        if !off.isEmpty, let why = refusalOfOff(for: SHUNT_ON_AUTH) { return .reject(why: why) }
        return peer.withRecord { record in
            step.data.withUnsafeBytes { data in
                var outcome = shunt_connect_outcome()
                mayWait(peer.id) { shunt_on_auth(host.pointer, record, shunt_bytes(data), ~off.mask, now, &outcome) }
                return authOutcome(outcome, of: peer.id)
            }
        }
    }

    private func authOutcome(_ outcome: shunt_connect_outcome, of peer: ConnectionID) -> AuthOutcome {
        refusedBy = Int(outcome.rule)
        if keepWaiting(outcome.waiting, of: peer) { return .waits }
        switch outcome.verdict {
        case SHUNT_VERDICT_REJECT: return .reject(why: String(outcome.why))
        case SHUNT_VERDICT_CONTINUE: return .proceed(data: Array(Bytes(outcome.data)))
        case SHUNT_VERDICT_REPLACE:
            let changes = Peer.changes(in: Bytes(outcome.record))
            return .accept(
                AuthOutcome.Identity(
                    uid: outcome.has_uid ? changes.uid : nil, tags: outcome.has_tags ? changes.tags : nil,
                    alias: outcome.has_alias ? changes.alias : nil, terms: ClientTerms(outcome, changes.attributes)))
        default: return .unknown
        }
    }
}

extension WaitedOutcome {
    fileprivate init(_ hook: shunt_hook, refused why: String) {
        switch hook {
        case SHUNT_ON_SUBSCRIBE: self = .subscribe(.reject(why: why))
        case SHUNT_ON_AUTH: self = .auth(.reject(why: why))
        case SHUNT_ON_REGISTER: self = .register(.reject(why: why))
        default: self = .connect(.reject(why: why))
        }
    }
}

extension LookupAnswer {
    /// As Lua gets it.
    var value: LuaValue {
        switch self {
        case .response(let status, let headers, let body):
            .object(["status": .int(Int64(status)), "headers": .object(headers.mapValues(LuaValue.string)), "body": .bytes(body)])
        case .addresses(let addresses): .array(addresses.map(LuaValue.string))
        case .failed(let why): .string(why)
        }
    }
}

extension RuleLookup {
    init(_ lookup: shunt_lookup) {
        let target = String(lookup.target)
        switch lookup.kind {
        case SHUNT_POST: self.init(.post(target, body: Array(Bytes(lookup.body))))
        case SHUNT_RESOLVE: self.init(.resolve(target))
        default: self.init(.get(target))
        }
        headers = Bytes(lookup.headers).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        timeout = lookup.timeout > 0 ? lookup.timeout : nil
        cache = lookup.cache > 0 ? lookup.cache : nil
    }
}
