import ShuntCore
import ShuntRules

/// What became of many messages.
public struct RehearsalSummary: Sendable {
    /// One hook of one rule.
    struct Hook: Sendable {
        var calls = 0
        /// By decision.
        var decisions: [String: Int] = [:]
        var nanoseconds: [UInt64] = []
        var bytes: UInt64 = 0

        /// On average.
        var bytesOfCall: Double { Double(bytes) / Double(max(calls, 1)) }
    }

    public private(set) var messages = 0
    public private(set) var failed = 0
    private(set) var outcomes: [String: Int] = [:]
    private(set) var reasons: [String: Int] = [:]
    private(set) var hooks: [[String]: Hook] = [:]
    private(set) var order: [[String]] = []
    private(set) var recipients: [String: Int]?
    /// The first failures: the message's number and the error.
    private(set) var failures: [(message: Int, error: String)] = []

    private static let examples = 5
    private static let mostReasons = 1000

    public init() {}

    public mutating func add(_ result: RehearsalResult) {
        messages += 1
        outcomes[result.outcome, default: 0] += 1
        if !result.why.isEmpty, reasons.count < Self.mostReasons || reasons[result.why] != nil { reasons[result.why, default: 0] += 1 }
        if result.hasFailed { failed += 1 }
        for step in result.steps {
            let name = [step.rule, step.hook]
            if hooks[name] == nil { order.append(name) }
            hooks[name, default: Hook()].decisions[step.decision, default: 0] += 1
            guard !step.isStanding else { continue }
            hooks[name]?.calls += 1
            hooks[name]?.nanoseconds.append(step.nanoseconds)
            hooks[name]?.bytes += step.bytes
            if let error = step.error, failures.count < Self.examples { failures.append((messages, error.placed)) }
        }
        for one in result.recipients ?? [] { recipients = (recipients ?? [:]).merging([one.uid: 1], uniquingKeysWith: +) }
    }

    public func text(_ style: ReportStyle) -> String {
        let counts = RehearsalResult.outcomes.compactMap { name in outcomes[name].map { "\($0) \(name)" } }
        var lines = [style.bold("\(messages) \(messages == 1 ? "message" : "messages")") + ": " + counts.joined(separator: ", ")]
        if failed > 0 { lines.append(style.bad("a rule failed on \(failed) of them")) }
        for failure in failures { lines.append("     message \(failure.message): \(ReportStyle.short(failure.error, 400))") }
        if !reasons.isEmpty { lines.append("why:") }
        for (why, count) in reasons.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }).prefix(10) {
            lines.append("     \(count)  \(ReportStyle.short(why))")
        }
        if !order.isEmpty {
            lines.append("")
            let rows = order.compactMap { name in hooks[name].map { row(name, $0) } }
            lines += ReportStyle.table([["rule", "hook", "calls", "median", "p99", "memory", "decisions"]] + rows, numbersFrom: 2, textFrom: 6)
        }
        if let recipients {
            lines += ["", "recipients:"]
            for (uid, count) in recipients.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }).prefix(20) {
                lines.append("     \(count)  \(ReportStyle.short(uid.isEmpty ? "-" : uid))")
            }
        }
        return lines.joined(separator: "\n")
    }

    private func row(_ name: [String], _ hook: Hook) -> [String] {
        let sorted = hook.nanoseconds.sorted()
        let decisions = hook.decisions.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { "\($0.value) \($0.key)" }
        return [
            name[0], name[1], "\(hook.calls)", ReportStyle.time(Double(Self.part(sorted, 0.5))), ReportStyle.time(Double(Self.part(sorted, 0.99))),
            ReportStyle.size(hook.bytesOfCall), decisions.joined(separator: ", "),
        ]
    }

    private static func part(_ sorted: [UInt64], _ share: Double) -> UInt64 {
        sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }

    public var tree: JSONTree {
        func counts(_ values: [String: Int]) -> JSONTree {
            .object(values.sorted { $0.key < $1.key }.map { .init(name: $0.key, value: .number("\($0.value)")) })
        }
        let rules = order.compactMap { name -> JSONTree? in
            guard let hook = hooks[name] else { return nil }
            let sorted = hook.nanoseconds.sorted()
            return .members([
                "rule": .string(name[0]), "hook": .string(name[1]), "calls": .number("\(hook.calls)"), "decisions": counts(hook.decisions),
                "median_nanoseconds": .number("\(Self.part(sorted, 0.5))"), "p99_nanoseconds": .number("\(Self.part(sorted, 0.99))"),
                "bytes": .number(ReportStyle.decimal(hook.bytesOfCall, 2)),
            ])
        }
        return .members([
            "messages": .number("\(messages)"), "outcomes": counts(outcomes), "failed": .number("\(failed)"), "reasons": counts(reasons),
            "rules": .array(rules), "recipients": recipients.map(counts),
        ])
    }
}
