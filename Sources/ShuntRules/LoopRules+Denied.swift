import CLuaHost
import ShuntCore

/// What rules wanted to send, and nobody lets them.
extension LoopRules {
    public func denied(rule index: Int, _ action: AccessAction, _ subject: Bytes, by place: String, now: Double) {
        guard rules.indices.contains(index), denialLog.tells(index, now: now) else { return }
        let step = TracedMessage.Step.denied(set.rules[index].definition.name, action, subject, by: place)
        let note = RuleFigures.Failure(
            at: now, hook: "", code: .accessDenied, text: "\(step.sends[0]): \(step.why)", topic: step.sends[0], client: clientShown)
        rules[index].notes.add(note)
        let last = denialLog.isLast(index) ? " (further ones of this rule and second are counted only)" : ""
        log(
            RuleLogEntry(
                level: .warn, rule: step.rule, text: "what it sends to \(step.sends[0]) goes nowhere: \(step.why) (access.denied)\(last)",
                topic: action == .publish ? note.topic : "", client: note.client))
    }
}
