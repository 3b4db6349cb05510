import CLuaHost
import ShuntCore

/// Messages that operators follow: the figures of each rule before and after tell what it has decided, and in what time.
extension LoopRules {
    public func onMessage(
        _ message: MessageView, selection: RuleSelection, now: Double, telling tell: (TracedMessage.Step) -> Void
    ) -> MessageOutcome {
        let asked = rules.indices.filter { selection.contains($0) && rules[$0].has(SHUNT_ON_MESSAGE) }
        for index in asked { shunt_rule_time_next(rules[index].pointer, SHUNT_ON_MESSAGE) }
        let before = asked.map { shunt_rule_figures(rules[$0].pointer, SHUNT_ON_MESSAGE).pointee }
        failures = [:]
        let outcome = onMessage(message, selection: selection, now: now)
        let failures = failures ?? [:]
        self.failures = nil
        // The outcome tells where a message goes that is let through. Copies that a rule sends of a message that it refuses are told here.
        let isRefused = [.drop, .reject, .redirect].contains(outcome.verdict)
        let topic = String(decoding: message.topic, as: UTF8.self)
        for (index, earlier) in zip(asked, before) {
            let after = shunt_rule_figures(rules[index].pointer, SHUNT_ON_MESSAGE).pointee
            let isLast = outcome.rule.map { Int($0) == index } ?? false
            var step = TracedMessage.Step(
                rule: set.rules[index].definition.name, verdict: "", why: "", seconds: Self.seconds(after, since: earlier), topic: topic,
                sends: outcome.messages.lazy.filter { Int($0.rule) == index && (isRefused || $0.isElsewhere) }
                    .prefix(Self.shownMessages).map(Self.destination))
            if let decided = decision(since: earlier, after, failure: failures[index]) {
                step.verdict = decided.verdict
                step.why = decided.why ?? (isLast ? reason(of: outcome, from: index) : "")
                if hasModes, observed.contains(index) { step.why = Self.notApplied(decided.why) }
            } else if isLast {
                // Switched off: it was not called.
                (step.verdict, step.why) = ("off", outcome.reason)
            } else {
                continue
            }
            tell(step)
        }
        return outcome
    }

    /// What a rule has decided on a message between two looks at its figures, and how it has failed; nil where it was not called.
    /// - Parameter failure: what was told of its failure; nil where that is counted only.
    func decision(since before: shunt_figures, _ after: shunt_figures, failure: String?) -> (verdict: String, why: String?)? {
        let (before, after) = (RuleFigures.Hook(before), RuleFigures.Hook(after))
        if let (code, _) = after.errors.first(where: { $0.value != before.errors[$0.key] ?? 0 }) { return ("error", failure ?? code.rawValue) }
        return after.verdicts.first { $0.value != before.verdicts[$0.key] ?? 0 }.map { ($0.key, nil) }
    }

    /// - Parameter why: how the rule has failed.
    static func notApplied(_ why: String?) -> String { "on trial: not applied" + (why.map { "; \($0)" } ?? "") }

    /// Why a rule has decided so, for operators: a reason may have been made of the payload.
    private func reason(of outcome: MessageOutcome, from index: Int) -> String {
        guard shunt_rule_repeats_payload(host.pointer, rules[index].pointer, shunt_bytes(outcome.why)) else {
            return secretTexts.hiding(outcome.reason, of: set.rules[index].definition.name)
        }
        return "the reason repeats the payload, which is not shown"
    }

    private static let shownMessages = 5

    static func seconds(_ after: shunt_figures, since before: shunt_figures) -> Double {
        let calls = after.sampled &- before.sampled
        return calls == 0 ? 0 : Double(after.sampled_nanoseconds &- before.sampled_nanoseconds) / Double(calls) * 1e-9
    }

    private static func destination(_ routed: RoutedMessage) -> String {
        let target =
            switch routed.kind {
            case .topic: shown(routed.topic)
            case .chat: "chat \(shown(routed.topic))"
            case .broadcast: "devices"
            }
        return routed.changes.contains(.delayed) ? "\(target), after \(Double(routed.delay) / 1000) s" : target
    }
}

extension RoutedMessage {
    /// Whether it goes to others than the message that the rules were given, or later.
    fileprivate var isElsewhere: Bool { changes.contains(.topic) || changes.contains(.kind) || changes.contains(.delayed) }
}
