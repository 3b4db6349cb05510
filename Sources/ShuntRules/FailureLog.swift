import ShuntCore

/// Says why rules fail, at most so many times a second: a rule that fails on every message must not fill the log.
struct FailureLog {
    private static let linesPerSecond = 10
    private var second = 0.0
    private var lines = 0

    mutating func note(
        rule: String, hook: String, code: ErrorCode, message: String, now: Double, to log: (RuleLogEntry) -> Void
    ) {
        if now.rounded(.down) != second {
            second = now.rounded(.down)
            lines = 0
        }
        lines += 1
        guard lines <= Self.linesPerSecond else { return }
        let last = lines == Self.linesPerSecond ? " (further errors of this second are counted only)" : ""
        log(RuleLogEntry(level: .error, rule: rule, text: "\(hook): \(message) (\(code.rawValue))\(last)"))
    }
}
