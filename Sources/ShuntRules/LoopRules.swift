import CLuaHost
import Glibc
import ShuntCore

/// Unpacks a payload to at most so many bytes, calling the last argument between pieces.
/// - Throws: `limit.memory` where there are more bytes, what the check throws, any other error where it is not what it says.
public typealias PayloadInflater = (
    _ packed: Bytes, _ compression: PayloadCompression, _ limit: Int, _ check: @escaping () throws(ShuntError) -> Void
) throws(ShuntError) -> [UInt8]

/// The rules of one loop, each in a Lua state of its own, called on that loop's thread only.
///
/// The thread needs a stack of at least 2 MiB: rules may nest as deeply as Lua allows.
public final class LoopRules: RuleHooks {
    /// Where `msg.sender` and `conn:close()` go. It has to live as long as these rules: a weak reference to the loop's engine
    /// would slow down every use of it.
    public unowned(unsafe) var peers: (any PeerDirectory)?

    let host: LuaHost
    private let pointer: OpaquePointer
    var set: RuleSet
    var rules: [LoadedRule] = []
    /// By hook: which rules want what.
    var matchers = [[NativeMatch]](repeating: [], count: Int(SHUNT_HOOKS.rawValue))
    public internal(set) var wanted: RuleHookSet = []
    /// The rules that have `on_select`, by their bits.
    var selecting: UInt64 = 0
    var breakers: [Breaker] = []
    /// The rules that a breaker has switched off, and when the first of them is tried again.
    var off = RuleSelection.none { didSet { seeWhetherAnswers() } }
    var retryAt = Double.infinity
    /// When each rule's `on_tick` is due, and when the first of them is.
    var ticks: [Double] = []
    var nextTick = Double.infinity
    private(set) var now = 0.0
    public private(set) var takesLong = false
    private var calls: UInt32 = 0
    private var readBegan: UInt64 = 0
    /// Who caused the hook that runs, or whom its message is for; nil where that is nobody.
    private(set) var client: ConnectionID?
    /// What the hook that runs is about, where that is no message: a chat's id, or a subscription's filter.
    private var subject = ""
    /// Who caused the hook that runs, where that is no client of the loop: a session's client that is away.
    private var absent: Peer?
    /// The chat of the hook that runs, as Lua reads it: kept for its memory.
    var chatRecord = shunt_buffer()
    private var routed = UnsafeMutablePointer<RoutedMessage>.allocate(capacity: 16)
    private var routedCapacity = 16
    /// What Lua is given of a message, in the host, and what came of it: in one place for all messages. And the former as the router writes it.
    let view: UnsafeMutablePointer<shunt_message>
    let written: UnsafeMutablePointer<MessageView>
    let outcome = UnsafeMutablePointer<shunt_outcome>.allocate(capacity: 1)
    /// The rules that look at deliveries of the topic that was delivered last.
    var delivered = (topic: LastTopic(), rules: RuleSelection.none)
    /// The last refusal of a rule that is off.
    private var refusal: ContiguousArray<UInt8> = []
    /// The version before, until `settle` or `revert`.
    var before: Version?
    /// Whether it is noted who calls a rule, and for whom that fails; and for how many seconds after it has begun to decide.
    var isWatching = false { didSet { seeWhetherAnswers() } }
    private(set) var watchedFor: Double
    /// Which rules are on trial, and, of the hook that runs: whose decisions are not applied, and who is not called.
    var modes = Modes()
    var hasModes = false { didSet { seeWhetherAnswers() } }
    /// Whether there is no more to do for a message than to call each rule.
    private var answersAtOnce = true
    var observed = RuleSelection.none
    var skipped = RuleSelection.none
    /// How many examples of what rules on trial decide are still noted in this second.
    var examples = (second: 0.0, left: 0)
    /// What the rules returned for the last message: for rule tests.
    var decision: shunt_verdict { outcome.pointee.decision }

    /// Where rules look things up; nil: nowhere.
    public var lookups: (any RuleLookups)? { didSet { allowLookups() } }
    /// Where rules find sessions; nil: there are none.
    public var sessions: SessionDirectory?
    /// Calls that wait for that.
    var waits = RuleWaits()

    /// The last failure that was told: for rule tests.
    var failure: String?
    /// The same by the rules' places, while a message is followed; nil otherwise.
    var failures: [Int: String]?

    private var failureLog: FailureLog
    var denialLog: FailureLog
    let counterCapacity: Int
    let logger: @Sendable (RuleLogEntry) -> Void
    let secretTexts: SecretTexts
    private let inflater: PayloadInflater

    /// Loads the rules into states of their own and calls their `on_load`.
    /// - Parameters:
    ///   - shared: the worker's one store.
    ///   - apart: the same for rules whose decisions are not applied.
    ///   - watched: the rules that the worker looks at, as they have begun while it runs.
    ///   - log: what rules log, and what is to be said about them. Called on the loop.
    ///   - inflate: the plain bytes of a packed payload.
    ///   - now: seconds since 1970.
    public init(
        set: RuleSet, worker: String, loop: Int, limits: RuleLimits = RuleLimits(), shared: SharedStore, apart: SharedStore? = nil,
        watching watched: Set<String> = [], log: @escaping @Sendable (RuleLogEntry) -> Void, inflate: @escaping PayloadInflater, now: Double
    ) throws(ShuntError) {
        outcome.initialize(to: shunt_outcome())
        host = try LuaHost(worker: worker, loop: loop, limits: limits, shared: shared, apart: apart)
        pointer = host.pointer
        view = shunt_host_message(pointer)
        precondition(shunt_message.isLaidOutAsViews)
        // The host's memory, which nobody else writes; the fields lie where Swift has them.
        written = UnsafeMutableRawPointer(view).assumingMemoryBound(to: MessageView.self)
        self.set = .empty
        let secretTexts = SecretTexts()
        self.secretTexts = secretTexts
        // A secret is never shown, whatever else rules may log.
        logger = { entry in log(secretTexts.hiding(entry)) }
        counterCapacity = limits.counters
        watchedFor = limits.watchedSeconds
        inflater = inflate
        failureLog = FailureLog(linesPerSecond: limits.failuresPerSecond)
        denialLog = failureLog
        chatRecord.limit = 16 << 20
        host.owner = self
        // Until the engine says what room there is; nothing else keeps messages.
        setDelayRoom(messages: Self.delayRoom.messages, bytes: Self.delayRoom.bytes)
        if let error = replace(with: set, watching: watched, now: now) { throw error }
    }

    /// The place of the rule that has refused somebody last.
    var refusedBy = -1
    public var refusing: String? { self.set.rules.indices.contains(refusedBy) ? self.set.rules[refusedBy].definition.name : nil }
    public func hidesReason(_ why: String) -> Bool {
        guard rules.indices.contains(refusedBy) else { return false }
        if secretTexts.hiding(why, of: set.rules[refusedBy].definition.name) != why { return true }
        return withBytes(of: why) { shunt_rule_repeats_secret(host.pointer, rules[refusedBy].pointer, $0) }
    }

    private static let delayRoom = (messages: 100_000, bytes: 64 << 20)

    deinit {
        abandonAll()
        routed.deallocate()
        outcome.deallocate()
        delivered.topic.deallocate()
        shunt_buffer_free(&chatRecord)
    }

    /// Bytes that the states use.
    public var memory: Int { host.memory }

    /// Takes on what a reload may change for all rules of the loop; a rule's own budget comes with its next version.
    public func setLimits(_ limits: RuleLimits) {
        watchedFor = limits.watchedSeconds
        shunt_host_set_limits(
            host.pointer, limits.stateMemory, limits.inflatedBytes, UInt32(clamping: limits.fanout), limits.topicBytes,
            limits.turnNanoseconds, limits.logsPayloads)
    }

    /// Which rules may look something up, as the configuration says.
    public func allowLookups() {
        wanted.remove(.lookups)
        for (index, rule) in rules.enumerated() {
            let isAllowed = lookups?.allows(set.rules[index].plugin.name) ?? false
            shunt_rule_set_lookups(rule.pointer, isAllowed)
            if isAllowed { wanted.insert(.lookups) }
        }
    }

    // MARK: messages

    public func selection(for kind: MessageKind, topic: Bytes) -> RuleSelection {
        switch kind {
        case .topic:
            // The router asks rules only about topics that some want: a group's choice is such a wish.
            RuleSelection(mask: selection(SHUNT_ON_MESSAGE, for: kind, topic).mask | selection(SHUNT_ON_SELECT, for: kind, topic).mask)
        case .broadcast: selection(SHUNT_ON_BROADCAST, for: kind, topic)
        case .chat: selection(SHUNT_ON_CHAT, for: kind, topic)
        }
    }

    /// The rules whose `match` takes this for a hook.
    func selection(_ hook: shunt_hook, for kind: MessageKind, _ topic: Bytes) -> RuleSelection {
        var selection = RuleSelection.none
        for matcher in matchers[Int(hook.rawValue)] where matcher.takes(kind, topic) { selection.insert(matcher.rule) }
        return selection
    }

    private func seeWhetherAnswers() { answersAtOnce = off.isEmpty && !hasModes && !isWatching }

    public var message: UnsafeMutablePointer<MessageView>? { written }

    public func answer(selection: RuleSelection, now: Double) -> RuleAnswer {
        guard answersAtOnce else { return .notAsked }
        count(now, written.pointee.sender)
        if shunt_on_published(pointer, selection.mask, now, outcome) { return .decided }
        return takesLong ? .passesLate : .passes
    }

    public var decided: MessageOutcome { finished() }

    @inline(__always)
    public func onMessage(_ message: MessageView, selection: RuleSelection, now: Double) -> MessageOutcome {
        begin(now, message.sender, SHUNT_ON_MESSAGE)
        if !off.isEmpty, let outcome = outcomeOfOff(in: selection, for: SHUNT_ON_MESSAGE) { return outcome }
        let selection = hasModes ? withoutForwarded(selection, kind: message.kind, topic: message.topic) : selection
        written.show(message)
        guard shunt_on_message(pointer, view, selection.mask & ~off.mask, now, outcome) else { return .pass }
        return finished()
    }

    public func beginTurn() { shunt_host_begin_turn(pointer) }

    public func beginRead() {
        takesLong = false
        readBegan = Self.milliseconds()
    }

    /// Milliseconds after which other clients have their turn.
    private static let longRead: UInt64 = 10

    /// As of the kernel's last tick, some milliseconds ago: that costs a tenth of the exact time.
    private static func milliseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC_COARSE, &time)
        return UInt64(time.tv_sec) * 1000 + UInt64(time.tv_nsec) / 1_000_000
    }

    @inline(__always)
    func begin(_ now: Double, _ client: ConnectionID?, _ hook: shunt_hook? = nil) {
        count(now, client)
        if hasModes { chooseModes(for: client) }
        if isWatching { noteCaller(hook) }
    }

    /// Runs a hook about something else than a message, or one that somebody has caused who is away.
    func concerning<Value>(_ subject: String = "", _ absent: Peer? = nil, _ body: () -> Value) -> Value {
        (self.subject, self.absent) = (subject, absent)
        defer { (self.subject, self.absent) = ("", nil) }
        return body()
    }

    /// Who a client is, or else the one who is away.
    func person(_ client: ConnectionID?) -> Peer? { client.flatMap { peers?.peer($0) } ?? absent }

    /// What the hook that runs is about: a message's topic, a chat's id or a filter.
    var subjectShown: String {
        let topic = Bytes(shunt_host_topic(pointer))
        return topic.isEmpty ? Self.shown(subject) : Self.shown(topic)
    }

    @inline(__always)
    private func count(_ now: Double, _ client: ConnectionID?) {
        self.now = now
        self.client = client
        calls &+= 1
        // A look at the clock costs half of a call: at one in eight.
        if calls & 7 == 0 { lookAtClock() }
    }

    @inline(never)
    private func lookAtClock() {
        if Self.milliseconds() - readBegan > Self.longRead { takesLong = true }
    }

    /// What came of a message.
    @inline(__always)
    func finished() -> MessageOutcome {
        let outcome = outcome
        var result = MessageOutcome(
            verdict(outcome.pointee.verdict), why: Bytes(outcome.pointee.why),
            messages: messages(outcome.pointee.messages, outcome.pointee.count),
            rule: outcome.pointee.rule < 0 ? nil : UInt8(truncatingIfNeeded: outcome.pointee.rule))
        // While rules are on trial, each message is asked about.
        guard !hasModes else { return result }
        result.isStanding = outcome.pointee.always
        // A rule that chooses members is to see that the topic stays a topic of rules.
        result.passing = RuleSelection(mask: outcome.pointee.passing & ~selecting)
        return result
    }

    public func decided(by standing: StandingVerdict) {
        guard rules.indices.contains(Int(standing.rule)) else { return }
        shunt_rule_decided(rules[Int(standing.rule)].pointer, standing.verdict)
    }

    private func verdict(_ verdict: shunt_verdict) -> MessageOutcome.Verdict {
        switch verdict {
        case SHUNT_VERDICT_PASS: .pass
        case SHUNT_VERDICT_DROP: .drop
        case SHUNT_VERDICT_REJECT: .reject
        case SHUNT_VERDICT_REDIRECT: .redirect
        default: .send
        }
    }

    func messages(_ given: UnsafePointer<shunt_routed>?, _ count: Int) -> UnsafeBufferPointer<RoutedMessage> {
        guard let given, count > 0 else { return UnsafeBufferPointer(start: nil, count: 0) }
        if count > routedCapacity { makeRoom(for: count) }
        for index in 0..<count { (routed + index).initialize(to: RoutedMessage(given + index)) }
        return UnsafeBufferPointer(start: routed, count: count)
    }

    private func makeRoom(for count: Int) {
        routed.deallocate()
        routedCapacity = count * 2
        routed = .allocate(capacity: routedCapacity)
    }

    // MARK: rules that are switched off

    func retry() {
        guard now >= retryAt else { return }
        retryAt = .infinity
        for index in breakers.indices where off.contains(index) {
            if breakers[index].retried(now: now) {
                off = off.removing(index)
                logger(RuleLogEntry(level: .info, rule: set.rules[index].definition.name, text: "switched on again, to try", event: .on))
            } else if case .off(let until) = breakers[index].state {
                retryAt = min(retryAt, until)
            }
        }
    }

    /// A rule that is off fails without being run: its `on_error` stands, so that a guard that is off lets nobody through.
    private func actionOfOff(_ rules: RuleSelection, for hook: shunt_hook) -> (RuleDefinition.OnError, why: String, rule: Int)? {
        retry()
        let deciding = hasModes ? rules.subtracting(observed).subtracting(skipped) : rules
        for index in self.rules.indices where off.contains(index) && deciding.contains(index) && self.rules[index].has(hook) {
            let action = set.rules[index].definition.onError(of: hook)
            if action != .pass { return (action, "rule \(set.rules[index].definition.name) is switched off", index) }
        }
        return nil
    }

    func outcomeOfOff(in selection: RuleSelection, for hook: shunt_hook) -> MessageOutcome? {
        guard let (action, why, rule) = actionOfOff(selection, for: hook) else { return nil }
        // It lives until the next call, as what Lua gives does.
        refusal = ContiguousArray(why.utf8)
        return refusal.withUnsafeBytes { MessageOutcome(action == .drop ? .drop : .reject, why: $0, rule: UInt8(rule)) }
    }

    func refusalOfOff(in selection: RuleSelection = RuleSelection(mask: .max), for hook: shunt_hook) -> String? {
        guard let action = actionOfOff(selection, for: hook) else { return nil }
        refusedBy = action.rule
        return action.why
    }
}

extension StandingVerdict {
    var verdict: shunt_verdict {
        switch decision {
        case .send where targets.count > 1: SHUNT_VERDICT_FANOUT
        case .send: targets.first?.topic == nil ? SHUNT_VERDICT_DONE : SHUNT_VERDICT_ROUTE
        case .drop: SHUNT_VERDICT_DROP
        case .reject: SHUNT_VERDICT_REJECT
        }
    }
}

extension LoopRules: LuaHostOwner {
    func tells(rule index: Int) -> Bool { failureLog.tells(index, now: now) }

    func failed(rule index: Int, hook: shunt_hook, code: ErrorCode, message: String?) {
        guard breakers.indices.contains(index) else { return }
        if let message { tell(failureOf: index, in: hook, code, message) }
        tellFailedMessage(rule: index, hook, code)
        // Who fills the worker's room for delayed messages must not make the rule fail for all others.
        guard code != .delayLimit else { return }
        noteFailure(of: index, in: hook)
        // A client that sends what it should not must not switch the rule off for all others.
        guard code != .payloadInvalid else { return }
        // The sender of what is delivered and acknowledged is not known: failures there count as one client's.
        let client = hook.isOfRecipient ? ConnectionID.none : client
        let switchedOff = breakers[index].failed(
            by: client?.raw, from: { [peers] in client.flatMap { peers?.network(of: $0) } }, now: now)
        guard switchedOff, case .off(let until) = breakers[index].state else { return }
        off.insert(index)
        retryAt = min(retryAt, until)
        let definition = set.rules[index].definition
        rules[index].trips += 1
        logger(
            RuleLogEntry(
                level: .error, rule: definition.name, text: "switched off: too many errors; tried again in \(definition.breaker.retry) s",
                event: .off))
    }

    private func tell(failureOf index: Int, in hook: shunt_hook, _ code: ErrorCode, _ said: String) {
        let name = String(cString: shunt_hook_name(hook))
        let message = secretTexts.hiding(said, of: set.rules[index].definition.name)
        let text = "\(name): \(message) (\(code.rawValue))"
        failure = text
        failures?[index] = text
        let note = RuleFigures.Failure(
            at: now, hook: name, code: code, text: message, topic: subjectShown, client: clientShown)
        rules[index].notes.add(note)
        let last = failureLog.isLast(index) ? " (further errors of this rule and second are counted only)" : ""
        logger(
            RuleLogEntry(
                level: .error, rule: set.rules[index].definition.name, text: text + last, topic: note.topic, client: note.client))
    }

    /// Counted and told, but not for the breaker: the rule alone did nothing wrong, the rules together go too far.
    public func grants(of rule: Int) -> (any RuleGrants)? { set.rules.indices.contains(rule) ? set.rules[rule].definition.grants : nil }

    public func exceededHops(rule index: Int, message: MessageView, now: Double) {
        guard rules.indices.contains(index) else { return }
        shunt_rule_failed(rules[index].pointer, SHUNT_ON_MESSAGE, SHUNT_HOPS)
        guard failureLog.tells(index, now: now) else { return }
        concerning(String(decoding: message.topic, as: UTF8.self)) {
            tell(failureOf: index, in: SHUNT_ON_MESSAGE, .hopLimit, "what it sends on had come over limits.hops topics, and is dropped")
        }
    }

    func log(_ entry: RuleLogEntry) { logger(entry) }
    func peer(_ id: ConnectionID) -> Peer? { peers?.peer(id) }
    func text(_ text: PeerText, of id: ConnectionID) -> String? { peers?.text(text, of: id) }
    func hasPeer(_ id: ConnectionID) -> Bool { peers?.hasPeer(id) ?? false }
    func mayDelay(bytes: Int) -> Bool { client.flatMap { peers?.mayDelay(by: $0, bytes: bytes) } ?? true }
    func close(_ id: ConnectionID, why: String, rule: Int) {
        guard rules.indices.contains(rule) else { return }
        let name = set.rules[rule].definition.name
        peers?.close(id, why: secretTexts.hiding(why, of: name), by: name)
    }
    func stands(_ text: Bytes, inRule rule: Int, searched: inout Int) -> Bool {
        rules.indices.contains(rule) && rules[rule].plugin.contains(text, searched: &searched)
    }

    func inflate(
        _ packed: Bytes, _ compression: PayloadCompression, limit: Int, check: @escaping () throws(ShuntError) -> Void
    ) throws(ShuntError) -> [UInt8] {
        try inflater(packed, compression, limit, check)
    }
}

extension PeerDirectory {
    /// What tells clients of one host: see `PeerAddress.network`. Of a chat's sender on another loop only the address's text is known.
    func network(of id: ConnectionID) -> UInt64? {
        if let address = address(of: id) { return address.network }
        return peer(id).flatMap { PeerAddress(host: $0.host) }?.network
    }
}
