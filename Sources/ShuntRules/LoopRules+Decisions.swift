import CLuaHost
import Glibc
import ShuntCore

/// A message with bytes of its own, on its way through rules that are asked one after another.
public struct RuleMessage: Sendable {
    public var kind = MessageKind.topic
    public var topic: [UInt8]
    public var key: [UInt8]?
    public var payload: [UInt8]
    public var format = PayloadFormat.text
    public var qos = QoS.atMostOnce
    public var isRetained = false
    public var properties: [UInt8] = []
    public var hops: UInt8 = 0
    /// Milliseconds after which it goes out.
    public var delay: UInt32 = 0
    /// Of a broadcast: its device filter, as JSON.
    public var filter: [UInt8] = []
    public var sender = ConnectionID.none

    public init(topic: [UInt8], key: [UInt8]?, payload: [UInt8]) { (self.topic, self.key, self.payload) = (topic, key, payload) }

    init(_ routed: RoutedMessage, of message: RuleMessage) {
        (kind, topic, key) = (routed.kind, Array(routed.topic), routed.key.map { Array($0) })
        (payload, format, qos, isRetained) = (Array(routed.payload), routed.format, routed.qos, routed.isRetained)
        (delay, filter) = (routed.delay, Array(routed.filter))
        (properties, hops, sender) = (Array(routed.properties), message.hops, message.sender)
    }

    public func withView<Result>(_ body: (MessageView) -> Result) -> Result {
        topic.withUnsafeBytes { topic in
            payload.withUnsafeBytes { payload in
                properties.withUnsafeBytes { properties in
                    (key ?? []).withUnsafeBytes { key in
                        var view = MessageView(
                            kind: kind, topic: topic, key: self.key == nil ? nil : key, payload: payload, format: format, id: 0, hops: hops,
                            sender: sender)
                        (view.qos, view.isRetained, view.properties) = (qos, isRetained, properties)
                        return body(view)
                    }
                }
            }
        }
    }
}

/// What one rule has decided about a message.
public struct RuleDecision: Sendable {
    public var rule: Int
    public var name: String
    /// As figures name it; `error` where the rule has failed.
    public var verdict: String
    /// What it gives as its reason, or how it has failed.
    public var why: String
    public var seconds: Double
    /// No rule after it sees the message.
    public var stops: Bool
    public var outcome: MessageOutcome.Verdict
    /// What stands for the message from now on.
    public var replacement: RuleMessage?
    /// The fields that it has changed.
    public var changes: [String]
    /// What it sends besides, or instead; and whether that goes to another topic.
    public var sent: [(message: RuleMessage, isMoved: Bool)]
    /// Whether the replacement has another topic.
    public var isMoved: Bool
}

extension LoopRules {
    /// The rules' names, by priority.
    public var names: [String] { self.set.rules.map(\.definition.name) }

    /// The rules that have `on_message`.
    public var readers: RuleSelection {
        var readers = RuleSelection.none
        for (index, rule) in rules.enumerated() where rule.has(SHUNT_ON_MESSAGE) { readers.insert(index) }
        return readers
    }

    /// The rules that may choose the members of groups which get a topic's messages.
    public func choosers(of topic: Bytes) -> [String] {
        let choosing = selection(SHUNT_ON_SELECT, for: .topic, topic)
        return names.indices.filter { choosing.contains($0) }.map { names[$0] }
    }

    /// What a rule tells of a message whose decision about it is not applied, if that is so for this client.
    private func decideUnapplied(_ message: RuleMessage, rule: Int, now: Double) -> RuleDecision? {
        guard hasModes else { return nil }
        chooseModes(for: message.sender)
        let isObserved = observed.contains(rule)
        guard isObserved || skipped.contains(rule) else { return nil }
        var decision = RuleDecision(
            rule: rule, name: names[rule], verdict: "pass", why: "the version beside it decides for this client", seconds: 0, stops: false,
            outcome: .pass, replacement: nil, changes: [], sent: [], isMoved: false)
        guard isObserved else { return decision }
        return message.withView { view in
            beginTurn()
            failure = nil
            let loaded = rules[rule].pointer
            shunt_rule_time_next(loaded, SHUNT_ON_MESSAGE)
            let before = shunt_rule_figures(loaded, SHUNT_ON_MESSAGE).pointee
            begin(now, view.sender, SHUNT_ON_MESSAGE)
            written.show(view)
            // It alone: a rule beside it is asked by itself.
            _ = shunt_on_message(host.pointer, self.view, RuleSelection(mask: 1 << UInt64(rule)).subtracting(off).mask, now, outcome)
            let after = shunt_rule_figures(loaded, SHUNT_ON_MESSAGE).pointee
            let decided = self.decision(since: before, after, failure: failure)
            (decision.verdict, decision.why) = (decided?.verdict ?? "pass", Self.notApplied(decided?.why))
            decision.seconds = Self.seconds(after, since: before)
            return decision
        }
    }

    /// Asks one rule about a message.
    public func decide(_ message: RuleMessage, rule: Int, now: Double) -> RuleDecision {
        if let decision = decideUnapplied(message, rule: rule, now: now) { return decision }
        // A canary is asked with the rule beside it, which is skipped.
        let mask: UInt64 = hasModes && set.rules[rule].isBeside ? 3 << UInt64(rule) : 1 << UInt64(rule)
        return message.withView { view in
            beginTurn()
            failure = nil
            let began = Self.nanoseconds()
            let outcome = onMessage(view, selection: RuleSelection(mask: mask), now: now)
            let seconds = Double(Self.nanoseconds() &- began) * 1e-9
            let verdict = self.outcome.pointee.decision
            var made = outcome.messages.map { (message: RuleMessage($0, of: message), isMoved: $0.changes.contains(.topic)) }
            var decision = RuleDecision(
                rule: rule, name: names[rule], verdict: failure == nil ? verdict.name : "error",
                why: failure ?? secretTexts.hiding(outcome.reason, of: names[rule]),
                seconds: seconds, stops: outcome.verdict == .drop || outcome.verdict == .reject || verdict == SHUNT_VERDICT_DONE,
                outcome: outcome.verdict, replacement: nil, changes: [], sent: [], isMoved: false)
            if verdict == SHUNT_VERDICT_REPLACE, failure == nil, let last = made.popLast() {
                decision.replacement = last.message
                decision.isMoved = last.isMoved
                decision.changes = outcome.messages.last.map { $0.changes.names } ?? []
            } else if outcome.verdict == .send {
                decision.stops = true
            }
            decision.sent = made
            return decision
        }
    }

    static func nanoseconds() -> UInt64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
    }

    /// The rules that are switched off at present.
    public var switchedOff: [String] { self.set.rules.indices.filter { off.contains($0) }.map { set.rules[$0].definition.name } }
}

extension RoutedMessage.Changes {
    /// The fields, as rules name them.
    var names: [String] {
        let all: [(RoutedMessage.Changes, String)] = [
            (.kind, "kind"), (.topic, "topic"), (.key, "key"), (.payload, "payload"), (.format, "format"), (.filter, "filter"), (.qos, "qos"),
            (.retain, "retain"), (.properties, "props"), (.delayed, "delay"),
        ]
        return all.filter { contains($0.0) }.map(\.1)
    }
}
