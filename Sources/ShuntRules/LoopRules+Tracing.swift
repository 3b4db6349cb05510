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
        failure = nil
        let outcome = onMessage(message, selection: selection, now: now)
        let topic = String(decoding: message.topic, as: UTF8.self)
        for (index, earlier) in zip(asked, before) {
            let after = shunt_rule_figures(rules[index].pointer, SHUNT_ON_MESSAGE).pointee
            let (figures, figuresBefore) = (RuleFigures.Hook(after), RuleFigures.Hook(earlier))
            let isLast = outcome.rule.map { Int($0) == index } ?? false
            var step = TracedMessage.Step(
                rule: set.rules[index].definition.name, verdict: "", why: "", seconds: Self.seconds(after, since: earlier), topic: topic,
                sends: outcome.messages.lazy.filter { Int($0.rule) == index && $0.isElsewhere }.prefix(Self.shownMessages).map(Self.destination))
            if let (code, _) = figures.errors.first(where: { $0.value != figuresBefore.errors[$0.key] ?? 0 }) {
                (step.verdict, step.why) = ("error", failure ?? code.rawValue)
            } else if let (verdict, _) = figures.verdicts.first(where: { $0.value != figuresBefore.verdicts[$0.key] ?? 0 }) {
                step.verdict = verdict
                step.why = hasModes && observed.contains(index) ? "on trial: not applied" : isLast ? reason(of: outcome, from: index) : ""
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

    /// Why a rule has decided so, for operators: a reason may have been made of the payload.
    private func reason(of outcome: MessageOutcome, from index: Int) -> String {
        guard shunt_rule_repeats_payload(host.pointer, rules[index].pointer, shunt_bytes(outcome.why)) else {
            return secretTexts.hiding(outcome.reason, of: set.rules[index].definition.name)
        }
        return "the reason repeats the payload, which is not shown"
    }

    private static let shownMessages = 5

    private static func seconds(_ after: shunt_figures, since before: shunt_figures) -> Double {
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
