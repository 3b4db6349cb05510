import ShuntCore
import ShuntRules

extension RehearsalResult {
    /// For people: what each rule saw, decided and changed, what it took, and what leaves.
    public func text(_ style: ReportStyle) -> String {
        var lines = [style.bold(Self.line(message)) + (sender.uid.isEmpty ? "" : " from \(ReportStyle.short(sender.uid))"), ""]
        for (index, step) in steps.enumerated() { lines += Self.lines(of: step, index + 1, style) }
        if steps.isEmpty { lines.append("no rule is asked about it") }
        if !unmatched.isEmpty { lines.append(style.faint("not asked about it: \(unmatched.joined(separator: ", "))")) }
        lines.append("")
        lines += ending(style)
        return lines.joined(separator: "\n")
    }

    private func ending(_ style: ReportStyle) -> [String] {
        let reason = why.isEmpty ? "" : ": \(ReportStyle.short(why))"
        let isRefused = ["dropped", "rejected", "redirected", "refused"].contains(outcome)
        var lines = [(isRefused ? style.bad(outcome) : style.good(outcome)) + (isRefused ? reason : "")]
        if exceedsHops { lines.append("     " + style.bad("a message was dropped: it had passed limits.hops topics")) }
        if !out.isEmpty { lines.append(out.count == 1 ? "goes out:" : "\(out.count) messages go out:") }
        for one in out.prefix(20) { lines.append("     " + Self.line(one)) }
        if out.count > 20 { lines.append("     and \(out.count - 20) more") }
        if let recipients {
            let nobody = delayed > 0 ? "nobody gets it now" : "nobody gets it"
            lines.append(recipients.isEmpty ? nobody : ReportStyle.count(recipients.count, "recipient") + ":")
            let rows = recipients.prefix(50).map { one in
                [
                    ReportStyle.short(one.uid.isEmpty ? "-" : one.uid), one.group.map { "group \(ReportStyle.short($0))" } ?? "",
                    one.topic.map { ReportStyle.short($0) } ?? one.device.map { "device \(ReportStyle.short($0))" } ?? "",
                ]
            }
            lines += ReportStyle.table(rows, numbersFrom: 3).map { "     " + $0 }
            if recipients.count > 50 { lines.append("     and \(recipients.count - 50) more") }
            if delayed > 0 { lines.append("who gets what goes out later is not told") }
        }
        if let answer { lines.append("the sender is told: \(answer.status) \(ReportStyle.short(answer.text))".trimmed) }
        return lines
    }

    private static func lines(of step: RuleStep, _ number: Int, _ style: ReportStyle) -> [String] {
        let trial = step.mode == .live ? "" : " (on trial as \(step.mode.name): \(step.isApplied ? "applied" : "not applied"))"
        let decision = (step.onError.map { "\(step.decision), on_error \($0)" } ?? step.decision + (step.isAlways ? ", always" : "")) + trial
        let coloured =
            step.error != nil ? style.bad(decision) : step.decision == "pass" ? decision : style.notable(decision)
        let memory = "\(ReportStyle.size(Double(step.bytes))) in \(ReportStyle.count(step.allocations, "allocation"))"
        let cost = step.isStanding ? "decided before, not called" : "\(ReportStyle.time(Double(step.nanoseconds))), \(memory)"
        let place = step.recipient.map { " for \(ReportStyle.short($0.isEmpty ? "-" : $0))" } ?? ""
        var lines = ["\(number)  \(style.bold(step.rule))  \(step.hook)\(place)  \(coloured)   \(style.faint(cost))"]
        func add(_ text: String) { lines.append("     " + text) }
        if step.before.hops > 0 { add(style.faint("sees \(line(step.before))")) }
        if !step.why.isEmpty { add("why: \(ReportStyle.short(step.why))") }
        if let replacement = step.replacement {
            let changes = MessageChange.all(from: step.before, to: replacement)
            for change in changes { add(change.text(style)) }
            if changes.isEmpty { add("with the same values") }
        }
        for one in step.sent.prefix(20) { add("sends \(line(one))") }
        if step.sent.count > 20 { add("sends \(step.sent.count - 20) more") }
        for entry in step.lines { add(entry.shown(style)) }
        if let closed = step.closed { add("closes the connection: \(ReportStyle.short(closed))") }
        if let error = step.error { add(style.bad("FAILED \(PrintableText.of(error.placed))")) }
        return lines
    }

    /// A message in a line.
    static func line(_ message: ObservedMessage) -> String {
        let name =
            switch message.kind {
            case .topic: ReportStyle.short(message.topic)
            case .chat: "chat \(ReportStyle.short(message.topic))"
            case .broadcast: "broadcast \(ReportStyle.short(message.filter))"
            }
        let key = message.key.map { " key \(ReportStyle.short($0))" } ?? ""
        let later = message.delay.map { ", after \(ReportStyle.seconds($0)) s" } ?? ""
        return "\(name)\(key)\(later)   \(message.payload.isEmpty ? "(empty)" : ReportStyle.short(message.payload))"
    }
}

extension MessageChange {
    func text(_ style: ReportStyle) -> String {
        let old = before.map { style.bad(ReportStyle.short($0.text, 80)) } ?? style.faint("(none)")
        let new = after.map { style.good(ReportStyle.short($0.text, 80)) } ?? style.faint("(none)")
        return "\(ReportStyle.short(field))   \(old) → \(new)"
    }
}

extension RuleLogEntry {
    func shown(_ style: ReportStyle) -> String {
        "log \(level)   \(ReportStyle.short(text, 1024))\(fields.isEmpty ? "" : " " + style.faint(ReportStyle.short(fields, 1024)))"
    }
}

extension String {
    fileprivate var trimmed: String {
        var text = self
        while text.hasSuffix(" ") { text.removeLast() }
        return text
    }
}
