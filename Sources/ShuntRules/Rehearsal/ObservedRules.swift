import CLuaHost
import Glibc
import ShuntCore
import Synchronization

/// The rules of a loop, asked one at a time, so that it can be told what each of them did. For `shunt rule run`: the engine sees them as it
/// sees a worker's rules.
///
/// Clients that connect, register and subscribe are let in without asking the rules.
public final class ObservedRules: RuleHooks {
    let rules: LoopRules
    private let limits: RuleLimits
    /// Whether `on_deliver` and `on_undelivered` are called: somebody may have subscribed.
    private let watchesDeliveries: Bool
    private let lines = ObservedLines()
    let clients = ObservedClients()
    private let kept = KeptMessages()
    private let delivered = KeptMessages()
    private var sending: UnsafeMutableBufferPointer<RoutedMessage> = .allocate(capacity: 0)
    private var reason: ContiguousArray<UInt8> = []
    private var delayRoom: (messages: Int, bytes: Int)?
    /// The message that the next hook is about, until it is called.
    private var asked: RehearsedMessage?

    /// What the rules have done since `begin`.
    public private(set) var steps: [RuleStep] = []
    /// What has left the rules since `begin`: messages that no other rule is asked about.
    public private(set) var out: [ObservedMessage] = []
    /// The names of the rules that were not asked about the message itself.
    public private(set) var unmatched: [String] = []
    /// Whether the rules have been asked about the message; not where the `match` of none takes it.
    public var isAsked: Bool { asked == nil }
    /// Whether a message was dropped since it had passed `limits.hops` topics.
    public private(set) var exceedsHops = false

    /// - Parameter now: seconds since 1970.
    public init(set: RuleSet, limits: RuleLimits, watchesDeliveries: Bool, now: Double) throws(ShuntError) {
        var limits = limits
        limits.failuresPerSecond = .max
        limits.logsPayloads = true
        self.limits = limits
        self.watchesDeliveries = watchesDeliveries
        let lines = lines
        rules = try LoopRules(
            set: set, worker: "rehearsal", loop: 0, limits: limits, shared: try SharedStore(limits: limits), apart: try SharedStore(limits: limits),
            log: { lines.add($0) }, inflate: { _, _, _, _ in [] }, now: now)
        rules.peers = clients
        for rule in rules.rules { shunt_rule_set_metered(rule.pointer, true) }
    }

    deinit { sending.deallocate() }

    /// What `on_load` said.
    public var loadingLines: [RuleLogEntry] { lines.all }

    /// The names of the rules, by priority.
    public var names: [String] { rules.set.rules.map(\.definition.name) }

    /// Another message is sent.
    /// - Parameters:
    ///   - sender: with the connection that it has here.
    ///   - others: finds the clients that are not the sender.
    public func begin(_ message: RehearsedMessage, from sender: Peer, others: any PeerDirectory) {
        (steps, out, unmatched, exceedsHops, asked) = ([], [], [], false, message)
        if let delayRoom { rules.setDelayRoom(messages: delayRoom.messages, bytes: delayRoom.bytes) }
        (clients.sender, clients.others, clients.hasClosedSender) = (sender, others, false)
    }

    /// Whether a rule has closed the sender's connection since `begin`.
    public var hasClosedSender: Bool { clients.hasClosedSender }

    // MARK: what the engine asks

    public func selection(for kind: MessageKind, topic: Bytes) -> RuleSelection { rules.selection(for: kind, topic: topic) }
    public func grants(of rule: Int) -> (any RuleGrants)? { rules.grants(of: rule) }
    public func beginTurn() { rules.beginTurn() }
    /// What is delayed never goes out here, and takes no room from the messages that come after it: each has all that there is at first.
    public func setDelayRoom(messages: Int, bytes: Int) {
        if delayRoom == nil { delayRoom = (messages, bytes) }
    }

    public func name(of rule: Int) -> String { rules.name(of: rule) }
    public func rule(named name: String) -> Int? { rules.rule(named: name) }
    public func versions(of rule: Int) -> RuleSelection { rules.versions(of: rule) }

    public var wanted: RuleHookSet {
        let ofMessages: RuleHookSet = watchesDeliveries ? [.broadcast, .chat, .deliver, .undelivered, .select] : [.broadcast, .chat]
        return rules.wanted.intersection(ofMessages)
    }

    public func onConnect(_ peer: Peer, now: Double) -> ConnectOutcome {
        guard let sender = clients.sender, sender.id == peer.id else { return .accept }
        return .acceptAs(uid: sender.uid, tags: sender.tags, alias: sender.alias)
    }

    public func onSubscribe(_ request: SubscriptionRequest, from peer: ConnectionID, now: Double) -> SubscribeOutcome { .accept }
    public func onDisconnect(_ peer: Peer, why: String, now: Double) {}

    public func exceededHops(rule: Int, message: MessageView, now: Double) {
        exceedsHops = true
        rules.exceededHops(rule: rule, message: message, now: now)
        if let last = steps.lastIndex(where: { $0.rule == names[rule] }), steps[last].error == nil { steps[last].error = failure(of: rule) }
        withdraw(message)
    }

    /// A standing decision is told as a step, though the rule is not called.
    public func decided(by standing: StandingVerdict) {
        rules.decided(by: standing)
        guard let message = asked.map({ ObservedMessage($0) }) else { return }
        asked = nil
        let rule = Int(standing.rule)
        unmatched = names.indices.filter { $0 != rule }.map { names[$0] }
        out = standing.targets.map { target in
            var sent = message
            if let topic = target.topic { sent.topic = Array(topic) }
            return sent
        }
        var step = RuleStep(rule: names[rule], hook: String(cString: shunt_hook_name(SHUNT_ON_MESSAGE)), before: message)
        (step.decision, step.isAlways, step.isStanding, step.sent) = (standing.verdict.name, true, true, out)
        if case .reject(let why) = standing.decision { step.why = rules.secretTexts.hiding(why, of: names[rule]) }
        steps.append(step)
    }

    public func onMessage(_ message: MessageView, selection: RuleSelection, now: Double) -> MessageOutcome {
        decide(SHUNT_ON_MESSAGE, message, filter: .none, chat: nil, selection, now: now)
    }

    public func onBroadcast(_ push: MessageView, filter: Bytes, now: Double) -> MessageOutcome {
        let selection = rules.selection(SHUNT_ON_BROADCAST, for: .broadcast, push.topic)
        return decide(SHUNT_ON_BROADCAST, push, filter: filter, chat: nil, selection, now: now)
    }

    public func onChat(_ message: MessageView, in chat: ChatView, now: Double) -> MessageOutcome {
        let selection = rules.selection(SHUNT_ON_CHAT, for: .chat, message.topic)
        return decide(SHUNT_ON_CHAT, message, filter: .none, chat: chat, selection, now: now)
    }

    // MARK: messages

    private func decide(
        _ hook: shunt_hook, _ message: MessageView, filter: Bytes, chat: ChatView?, _ selection: RuleSelection, now: Double
    ) -> MessageOutcome {
        kept.removeAll()
        guard let asked else { return decide(hook, message, filter, chat, selection, now) }
        self.asked = nil
        chooseTrials(for: message.sender)
        unmatched = rules.set.rules.indices.filter { !selection.contains($0) || rules.skipped.contains($0) }.map { names[$0] }
        guard message.kind != .topic else { return decide(hook, message, filter, chat, selection, now) }
        // What the frames of the rehearsal cannot carry is the author's.
        return asked.message.withView { own, ownFilter in
            var view = message
            (view.qos, view.isRetained, view.format, view.hops, view.id) = (own.qos, own.isRetained, own.format, own.hops, own.id)
            (view.payload, view.properties) = (kept.keep(own.payload), kept.keep(own.properties))
            return decide(hook, view, hook == SHUNT_ON_BROADCAST ? kept.keep(ownFilter) : filter, chat, selection, now)
        }
    }

    private func decide(
        _ hook: shunt_hook, _ message: MessageView, _ filter: Bytes, _ chat: ChatView?, _ selection: RuleSelection, _ now: Double
    ) -> MessageOutcome {
        // One that a rule sent to this topic has not left the rules yet.
        if message.hops > 0 { withdraw(message) }
        chooseTrials(for: message.sender)
        var course = Course(view: message, filter: filter)
        var left = rules.withoutForwarded(selection, kind: message.kind, topic: message.topic).subtracting(rules.skipped)
        while !course.isStopped, let rule = left.first {
            left = left.removing(rule)
            // It wants the topic for another hook.
            guard rules.rules[rule].has(hook) else { continue }
            course.asked.insert(rule)
            var step = step(of: rule, String(cString: shunt_hook_name(hook)), ObservedMessage(course.view, filter: course.filter))
            var next = course
            if let action = refusal(of: rule, for: hook, &step) {
                next.stop(action, rule, kept.keep(bytes(of: step.why)))
            } else {
                let outcome = observe(rule, &step) { call(hook, course, chat, rule, now) }
                let decision = outcome == nil ? SHUNT_VERDICT_PASS : rules.decision
                take(outcome ?? .pass, decision, of: rule, hook, &next, &step)
            }
            if step.isApplied { course = next }
            steps.append(step)
        }
        return finish(course)
    }

    /// A message that a rule sent to another topic does not go out as it is.
    private func withdraw(_ message: MessageView) {
        let here = ObservedMessage(message)
        if let place = out.firstIndex(where: { $0.isSame(as: here) }) { out.remove(at: place) }
    }

    /// - Returns: nil where the rule lets the message pass.
    private func call(_ hook: shunt_hook, _ course: Course, _ chat: ChatView?, _ rule: Int, _ now: Double) -> MessageOutcome? {
        begin(now, course.view.sender)
        var view = course.view
        view.room -= min(view.room, course.sent.count)
        rules.view.pointee = shunt_message(view, filter: course.filter)
        let mask: UInt64 = 1 << UInt64(rule)
        let isMore =
            switch hook {
            case SHUNT_ON_BROADCAST: shunt_on_broadcast(rules.host.pointer, rules.view, mask, now, rules.outcome)
            case SHUNT_ON_CHAT:
                shunt_on_chat(
                    rules.host.pointer, rules.view, chat.map { rules.bytes(of: $0) } ?? shunt_bytes(), mask, now, rules.outcome)
            default: shunt_on_message(rules.host.pointer, rules.view, mask, now, rules.outcome)
            }
        return isMore ? rules.finished() : nil
    }

    /// What a rule that is switched off does to the message, if it does not let it pass.
    private func refusal(of rule: Int, for hook: shunt_hook, _ step: inout RuleStep) -> MessageOutcome.Verdict? {
        rules.retry()
        guard rules.off.contains(rule) else { return nil }
        let action = rules.set.rules[rule].definition.onError(of: hook)
        (step.decision, step.onError) = ("off", action.rawValue)
        step.why = "rule \(step.rule) is switched off"
        switch action {
        case .pass: return .pass
        case .drop: return .drop
        case .reject: return .reject
        }
    }

    /// Runs a call and notes what it took and said.
    private func observe<Outcome>(_ rule: Int, _ step: inout RuleStep, _ call: () -> Outcome) -> Outcome {
        let pointer = rules.rules[rule].pointer
        lines.clear()
        rules.failure = nil
        clients.closed = nil
        let before = shunt_rule_meter(pointer)
        let start = Self.nanoseconds()
        let outcome = call()
        step.nanoseconds = Self.nanoseconds() - start
        let after = shunt_rule_meter(pointer)
        (step.bytes, step.allocations) = (after.bytes - before.bytes, after.allocations - before.allocations)
        step.error = failure(of: rule)
        step.lines = lines.all.filter { $0.text != rules.failure }
        step.closed = clients.closed
        return outcome
    }

    private func failure(of rule: Int) -> RuleStep.Failure? {
        rules.failure.map { RuleStep.Failure(text: $0, placed: rules.set.rules[rule].plugin.placed($0)) }
    }

    private static func nanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// Goes on with what a rule has decided.
    private func take(
        _ outcome: MessageOutcome, _ decision: shunt_verdict, of rule: Int, _ hook: shunt_hook, _ course: inout Course, _ step: inout RuleStep
    ) {
        var made = outcome.messages.map { routed in
            var routed = kept.keep(routed)
            course.noteSenders(&routed)
            return routed
        }
        step.decision = decision.name
        step.isAlways = rules.outcome.pointee.always || rules.outcome.pointee.passing >> UInt64(rule) & 1 != 0
        stand(&course)
        if step.error != nil {
            step.decision = "failed"
            step.onError = rules.set.rules[rule].definition.onError(of: hook).rawValue
        }
        if decision == SHUNT_VERDICT_REPLACE, outcome.verdict == .send, let replacement = made.popLast() {
            step.replacement = ObservedMessage(replacement)
            course.replace(by: replacement)
        }
        step.sent = made.map(ObservedMessage.init)
        course.sent += made
        switch outcome.verdict {
        case .pass: if decision == SHUNT_VERDICT_DONE { (course.rule, course.isStopped) = (UInt8(rule), true) }
        case .send: if decision != SHUNT_VERDICT_REPLACE { course.stop(.send, rule, .none) }
        case .drop, .reject, .redirect:
            step.why = rules.secretTexts.hiding(outcome.reason, of: names[rule])
            course.stop(outcome.verdict, rule, kept.keep(outcome.why))
        }
    }

    /// Whether what a rule has decided holds for all messages of the topic. It does not where a rule before has changed the topic, and while
    /// rules are on trial.
    private func stand(_ course: inout Course) {
        guard !rules.hasModes, course.changes.isDisjoint(with: [.topic, .kind]) else { return }
        course.isStanding = rules.outcome.pointee.always
        course.passing.mask |= rules.outcome.pointee.passing & ~rules.selecting
    }

    private func bytes(of text: String) -> Bytes {
        reason = ContiguousArray(text.utf8)
        return reason.withUnsafeBytes { kept.keep($0) }
    }

    private func finish(_ course: Course) -> MessageOutcome {
        var verdict = course.verdict
        var sent = course.sent
        if verdict == .pass, var replacement = course.replacement {
            verdict = .send
            course.noteSeen(&replacement)
            sent.append(replacement)
        }
        out += sent.map { ObservedMessage($0) }
        if verdict == .pass { out.append(ObservedMessage(course.view, filter: course.filter)) }
        sending.deallocate()
        sending = .allocate(capacity: sent.count)
        _ = sending.initialize(from: sent)
        var outcome = MessageOutcome(verdict, why: course.why, messages: UnsafeBufferPointer(sending), rule: course.rule)
        (outcome.isStanding, outcome.passing) = (course.isStanding, course.passing)
        return outcome
    }

    // MARK: deliveries

    public func onDeliver(_ message: MessageView, filter: Bytes, to peer: ConnectionID, now: Double) -> DeliverOutcome {
        delivered.removeAll()
        var view = message
        var replacement: RoutedMessage?
        // A canary decides about the recipients of its share.
        chooseTrials(for: peer)
        var left = rules.selection(SHUNT_ON_DELIVER, for: message.kind, message.topic).subtracting(rules.skipped)
        while let rule = left.first {
            left = left.removing(rule)
            var step = step(of: rule, "on_deliver", ObservedMessage(view, filter: filter))
            step.recipient = clients.peer(peer)?.uid ?? ""
            defer { steps.append(step) }
            if let action = refusal(of: rule, for: SHUNT_ON_DELIVER, &step) {
                if action == .pass || !step.isApplied { continue }
                return .drop(why: step.why)
            }
            var outcome = shunt_deliver_outcome()
            observe(rule, &step) {
                begin(now, peer)
                var given = shunt_message(view, filter: filter)
                shunt_on_deliver(rules.host.pointer, &given, peer.raw, 1 << UInt64(rule), now, &outcome)
            }
            step.decision = step.error == nil ? outcome.verdict.name : "failed"
            if outcome.verdict == SHUNT_VERDICT_DROP {
                step.why = rules.secretTexts.hiding(String(outcome.why), of: step.rule)
                if step.isApplied { return .drop(why: step.why) }
            }
            guard outcome.verdict == SHUNT_VERDICT_REPLACE else { continue }
            var routed = delivered.keep(withUnsafePointer(to: outcome.routed) { RoutedMessage($0) })
            routed.changes.formUnion(replacement?.changes ?? [])
            step.replacement = ObservedMessage(routed)
            guard step.isApplied else { continue }
            view.take(routed)
            replacement = routed
        }
        return replacement.map(DeliverOutcome.replace) ?? .deliver
    }

    public func onSelect(_ group: String, _ members: [GroupMember], _ message: MessageView, now: Double) -> Int? {
        let asked = rules.selection(SHUNT_ON_SELECT, for: message.kind, message.topic)
        guard let first = asked.first else { return nil }
        var step = step(of: first, "on_select", ObservedMessage(message))
        step.why = "group \(group)"
        let place = observe(first, &step) { rules.onSelect(group, members, message, now: now) }
        if let place, members.indices.contains(place) {
            (step.decision, step.recipient) = ("select", clients.peer(members[place].id)?.uid ?? "")
        }
        if step.error != nil { step.decision = "failed" }
        steps.append(step)
        return place
    }

    public func onUndelivered(_ message: MessageView, why: String, now: Double) {
        var left = rules.selection(SHUNT_ON_UNDELIVERED, for: message.kind, message.topic)
        while let rule = left.first {
            left = left.removing(rule)
            var step = step(of: rule, "on_undelivered", ObservedMessage(message))
            step.why = why
            if refusal(of: rule, for: SHUNT_ON_UNDELIVERED, &step) == nil {
                observe(rule, &step) {
                    begin(now, message.sender)
                    var view = shunt_message(message)
                    withBytes(of: why) { shunt_on_undelivered(rules.host.pointer, &view, $0, 1 << UInt64(rule), now) }
                }
                if step.error != nil { step.decision = "failed" }
            }
            steps.append(step)
        }
    }
}

private final class ObservedLines: Sendable {
    private let entries = Mutex<[RuleLogEntry]>([])
    func add(_ entry: RuleLogEntry) { entries.withLock { $0.append(entry) } }
    func clear() { entries.withLock { $0.removeAll() } }
    var all: [RuleLogEntry] { entries.withLock { $0 } }
}

/// The sender as its author describes it, and the other clients as the engine knows them.
final class ObservedClients: PeerDirectory {
    var sender: Peer?
    weak var others: (any PeerDirectory)?
    var closed: String?
    var hasClosedSender = false

    func peer(_ id: ConnectionID) -> Peer? { sender?.id == id ? sender : others?.peer(id) }
    func hasPeer(_ id: ConnectionID) -> Bool { sender?.id == id || others?.hasPeer(id) == true }

    func close(_ id: ConnectionID, why: String, by rule: String) {
        closed = why
        if id == sender?.id { hasClosedSender = true }
    }
}
