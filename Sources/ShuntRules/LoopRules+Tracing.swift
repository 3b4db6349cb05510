import CLuaHost
import Glibc
import ShuntCore

/// Messages that operators follow: the figures of each rule before and after tell what it has decided.
extension LoopRules {
    public func onMessage(
        _ message: MessageView, selection: RuleSelection, now: Double, telling tell: (TracedMessage.Step) -> Void
    ) -> MessageOutcome {
        let asked = rules.indices.filter { selection.contains($0) && rules[$0].has(SHUNT_ON_MESSAGE) }
        let before = asked.map { RuleFigures.Hook(shunt_rule_figures(rules[$0].pointer, SHUNT_ON_MESSAGE).pointee) }
        failure = nil
        let began = Self.nanoseconds()
        let outcome = onMessage(message, selection: selection, now: now)
        let seconds = Double(Self.nanoseconds() &- began) * 1e-9
        let topic = String(decoding: message.topic, as: UTF8.self)
        for (index, earlier) in zip(asked, before) {
            let figures = RuleFigures.Hook(shunt_rule_figures(rules[index].pointer, SHUNT_ON_MESSAGE).pointee)
            let isLast = outcome.rule.map { Int($0) == index } ?? false
            let name = set.rules[index].definition.name
            if let (code, _) = figures.errors.first(where: { $0.value != earlier.errors[$0.key] ?? 0 }) {
                tell(.init(rule: name, verdict: "error", why: failure ?? code.rawValue, seconds: seconds, topic: topic))
            } else if let (verdict, _) = figures.verdicts.first(where: { $0.value != earlier.verdicts[$0.key] ?? 0 }) {
                let why = hasModes && observed.contains(index) ? "on trial: not applied" : isLast ? outcome.reason : ""
                tell(.init(rule: name, verdict: verdict, why: why, seconds: seconds, topic: topic))
            } else if isLast {
                // Switched off: it was not called.
                tell(.init(rule: name, verdict: "off", why: outcome.reason, seconds: seconds, topic: topic))
            }
        }
        return outcome
    }
}
