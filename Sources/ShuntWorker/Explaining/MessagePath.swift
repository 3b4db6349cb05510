import ShuntCore
import ShuntRules

/// Follows a message through rules that run in states of their own, and tells where it would go. Nothing is sent.
struct MessagePath {
    /// Where a message goes.
    struct Stop {
        var message: RuleMessage
        /// The rule that has sent it there.
        var by: String?
        var refused: String?
        /// Seconds after which it goes there.
        var after = 0.0
    }

    private let rules: LoopRules?
    private let permissions: (any Permissions)?
    private let hopLimit: Int
    private let showsPayloads: Bool
    private let now: Double

    /// Decisions that are told, at most: rules may send on what others have sent on.
    private static let decisions = 500
    /// Characters of a payload that are shown.
    private static let shown = 2000

    private(set) var record = ExplainRecord()
    private(set) var stops: [Stop] = []
    private var hasRefusal = false
    /// Whether something goes out that is no topic message, or is one later.
    private(set) var hasOthers = false

    init(rules: LoopRules?, permissions: (any Permissions)?, hopLimit: Int, showsPayloads: Bool, now: Double) {
        (self.rules, self.permissions, self.hopLimit) = (rules, permissions, hopLimit)
        (self.showsPayloads, self.now) = (showsPayloads, now)
    }

    /// Follows a client's message.
    /// - Parameter refusal: why no client may send it.
    mutating func follow(_ message: RuleMessage, refusedBy refusal: ShuntError?) {
        if let refusal {
            record.outcome = "denied"
            record.why = refusal.message + (refusal.help.map { "; \($0)" } ?? "")
            return
        }
        if let permissions, !message.topic.withUnsafeBytes({ permissions.may(.publish, $0, group: nil) }) {
            record.outcome = "denied"
            record.why = "the sender may not publish to this topic"
            return
        }
        if let rules {
            let wanted = selection(message.topic)
            record.unmatched = rules.names.indices.filter { rules.readers.contains($0) && !wanted.contains($0) }.map { rules.names[$0] }
        }
        switch ask(selection(message.topic), about: message, excluded: .none, by: nil, after: 0) {
        case .pass, .send, .redirect: record.outcome = "delivered"
        case .drop(let why): (record.outcome, record.why) = ("dropped", why)
        case .reject(let why): (record.outcome, record.why) = ("rejected", why)
        }
    }

    /// Whether rights have kept all from everybody that rules wanted to send.
    var isRefused: Bool { hasRefusal && stops.allSatisfy { $0.refused != nil } }

    /// A message that a rule has made.
    private struct Made {
        var message: RuleMessage
        /// Whether it has another topic than the message that the rules were given.
        var isMoved: Bool
        /// The rule that has made it, and the one that has given it its topic.
        var rule: Int
        var topicRule: Int
        /// The rules that have sent it on, and those that have seen it under its topic.
        var sentOn: RuleSelection
        var seenBy: RuleSelection
    }

    private enum End {
        case pass, send, redirect
        case drop(String)
        case reject(String)
    }

    private func selection(_ topic: [UInt8]) -> RuleSelection {
        guard let rules else { return .none }
        return topic.withUnsafeBytes { rules.selection(for: .topic, topic: $0) }
    }

    /// - Parameters:
    ///   - by: the rule that has sent the message to its topic.
    ///   - after: seconds that rules have delayed it.
    private mutating func ask(
        _ wanted: RuleSelection, about message: RuleMessage, excluded: RuleSelection, by: String?, after: Double
    ) -> End {
        var (current, last, end, isDone) = (message, Int?.none, End.pass, false)
        var (renamers, asked, renamedBy) = (RuleSelection.none, RuleSelection.none, Int?.none)
        var made: [Made] = []
        // Others only choose members of groups.
        var rest = RuleSelection(mask: wanted.mask & (rules?.readers.mask ?? 0))
        while let rule = rest.first, let rules {
            rest = rest.removing(rule)
            asked.insert(rule)
            guard record.rules.count < Self.decisions else { break }
            let decision = rules.decide(current, rule: rule, now: now)
            note(decision, about: current)
            made += decision.sent.map { sent in
                let before = sent.isMoved || sent.message.kind != .topic ? nil : renamedBy
                return Made(
                    message: sent.message, isMoved: sent.isMoved || renamedBy != nil, rule: rule, topicRule: before ?? rule,
                    sentOn: renamers.inserting(rule), seenBy: before.map { asked.after($0) } ?? .none)
            }
            if let replacement = decision.replacement { (current, last) = (replacement, rule) }
            if decision.isMoved {
                renamedBy = rule
                renamers.insert(rule)
            }
            guard decision.stops else { continue }
            switch decision.outcome {
            case .drop: end = .drop(reason(of: decision))
            case .reject: end = .reject(reason(of: decision))
            case .redirect: end = .redirect
            case .send: end = .send
            case .pass: isDone = true
            }
            break
        }
        if case .pass = end {
            if let last {
                let (rule, seenBy) = (renamedBy ?? last, isDone ? .all : renamedBy.map { asked.after($0) } ?? .none)
                made.append(Made(message: current, isMoved: renamedBy != nil, rule: rule, topicRule: rule, sentOn: renamers, seenBy: seenBy))
            } else {
                stops.append(Stop(message: message, by: by, after: after))
            }
        }
        for one in made { pass(one, excluded: excluded, by: by, after: after) }
        return end
    }

    private func reason(of decision: RuleDecision) -> String {
        "rule \(decision.name)" + (decision.why.isEmpty ? " gives no reason" : ": \(decision.why)")
    }

    private mutating func pass(_ made: Made, excluded: RuleSelection, by: String?, after: Double) {
        guard let rules else { return }
        let isMoved = made.isMoved
        var message = made.message
        let name = rules.names[made.rule]
        let isLater = message.delay > 0
        if message.kind != .topic || isLater {
            let isRefused = (isMoved || message.kind != .topic) && !maySend(message, made.topicRule, rules)
            hasRefusal = hasRefusal || isRefused
            hasOthers = hasOthers || !isRefused
            let refusal = isRefused ? ": it does not go out: the sender may not send it, and the rule's table grants it to nobody" : ""
            record.others.append("\(name): \(Self.target(message))\(refusal)")
            guard message.kind == .topic, !isRefused else { return }
        }
        let after = after + Double(message.delay) / 1000
        message.delay = 0
        func stop(_ refused: String? = nil) -> Stop { Stop(message: message, by: isMoved || isLater ? name : by, refused: refused, after: after) }
        guard isMoved || isLater else { return stops.append(stop()) }
        if !isLater, !maySend(message, made.topicRule, rules) {
            hasRefusal = true
            return stops.append(stop("the sender may not publish there, and the rule's table grants it to nobody"))
        }
        var excluded = isLater ? RuleSelection.none : excluded
        excluded.formUnion(made.sentOn)
        excluded.formUnion(rules.versions(of: made.rule))
        let wanted = selection(message.topic).subtracting(excluded).subtracting(isLater ? .none : made.seenBy)
        guard !wanted.isEmpty else { return stops.append(stop()) }
        guard Int(message.hops) < hopLimit else { return stops.append(stop("it has come over limits.hops topics (\(hopLimit))")) }
        var next = message
        next.hops += 1
        switch ask(wanted, about: next, excluded: excluded, by: name, after: after) {
        case .drop(let why), .reject(let why): stops.append(stop(why))
        case .pass, .send, .redirect: break
        }
    }

    /// Whether the sender's rights, or the rule's grants, let what the rule has made go out.
    private func maySend(_ message: RuleMessage, _ rule: Int, _ rules: LoopRules) -> Bool {
        guard let permissions else { return true }
        let action: AccessAction =
            switch message.kind {
            case .topic: .publish
            case .broadcast: .broadcast
            case .chat: .chat
            }
        return message.topic.withUnsafeBytes { bytes in
            let subject = action == .broadcast ? Bytes.none : bytes
            return permissions.may(action, subject, group: nil) || rules.grants(of: rule)?.allow(action, subject) == true
        }
    }

    private mutating func note(_ decision: RuleDecision, about message: RuleMessage) {
        var told = ExplainRecord.Rule(
            rule: decision.name, topic: Self.text(message.topic), verdict: decision.verdict, why: decision.why, seconds: decision.seconds,
            changes: decision.changes,
            // A copy under the message's own topic is not listed: the message's recipients are told already. Where a rule refuses the message
            // there are none, and the copy is listed.
            sends: decision.sent.filter { sent in
                let isRefused = decision.outcome != .pass && decision.outcome != .send
                return sent.isMoved || sent.message.kind != .topic || sent.message.delay > 0 || isRefused
            }.map { Self.target($0.message) })
        if showsPayloads, let replacement = decision.replacement, replacement.payload != message.payload {
            told.before = Self.shown(message.payload)
            told.after = Self.shown(replacement.payload)
        }
        record.rules.append(told)
    }

    private static func target(_ message: RuleMessage) -> String {
        let target =
            switch message.kind {
            case .topic: text(message.topic)
            case .broadcast: message.filter.isEmpty ? "a broadcast" : "a broadcast to devices of \(shown(message.filter))"
            case .chat: "chat \(text(message.topic))"
            }
        return target + (message.delay > 0 ? ", after \(Double(message.delay) / 1000) s" : "")
    }

    static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private static func shown(_ payload: [UInt8]) -> String {
        String(decoding: payload.prefix(shown), as: UTF8.self) + (payload.count > shown ? " … (\(payload.count) bytes)" : "")
    }
}
