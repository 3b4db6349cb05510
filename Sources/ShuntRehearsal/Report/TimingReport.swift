import ShuntCore
import ShuntRules

/// What calls of rules' hooks cost, for people and for programs.
public struct TimingReport {
    private let timings: [RuleTiming]
    private let messages: Int
    private let untaken: [(rule: String, count: Int)]

    /// - Parameters:
    ///   - messages: how many messages were given.
    ///   - untaken: for how many of them a rule is not called.
    public init(_ timings: [RuleTiming], messages: Int = 0, untaken: [(rule: String, count: Int)] = []) {
        self.timings = timings
        self.messages = messages
        self.untaken = untaken.filter { $0.count > 0 }
    }

    public func text(_ style: ReportStyle) -> String {
        let head = ["rule", "hook", "median", "p99", "empty hook", "p99", "memory", "allocations", "decides"]
        let rows = timings.map { one in
            [
                one.rule, one.hook, ReportStyle.time(one.nanoseconds.median), ReportStyle.time(one.nanoseconds.p99),
                ReportStyle.time(one.empty.median), ReportStyle.time(one.empty.p99), ReportStyle.size(one.bytes),
                ReportStyle.decimal(one.allocations, 1), Self.decisions(one),
            ]
        }
        var lines = ReportStyle.table([head] + rows, numbersFrom: 2, textFrom: 8)
        for one in timings where one.failures > 0 {
            let text = one.failure.map { ": \(ReportStyle.short($0, 400))" } ?? ""
            lines.append(style.bad("\(one.rule) \(one.hook) failed in \(ReportStyle.count(one.failures, "call"))\(text)"))
        }
        for (rule, count) in untaken {
            let what = count == messages ? "none of" : "\(count) of"
            let end = count == messages ? "is one that it is called for: small ones took their place" : "left out: it is not called for them"
            lines.append("\(rule): \(what) \(ReportStyle.count(messages, "message")) \(end)")
        }
        if let first = timings.first {
            let batches = "of a call, over \(first.batches) batches of about 1 ms of processor time;"
            lines += [style.faint(batches), style.faint("the empty hook's batches ran between them")]
        }
        return lines.joined(separator: "\n")
    }

    private static func decisions(_ timing: RuleTiming) -> String {
        let all = timing.verdicts.values.reduce(0, +)
        return timing.verdicts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { name, count in
            count == all ? name : "\(ReportStyle.decimal(100 * Double(count) / Double(all), 0)) % \(name)"
        }.joined(separator: ", ")
    }

    public var tree: JSONTree {
        .members([
            "hooks": .array(timings.map(\.tree)),
            "not_taken": untaken.isEmpty ? nil : .object(untaken.map { .init(name: $0.rule, value: .number("\($0.count)")) }),
        ])
    }
}

extension RuleTiming {
    var tree: JSONTree {
        func number(_ value: Double) -> JSONTree { .number(ReportStyle.decimal(value, 2)) }
        func spread(_ spread: Spread) -> JSONTree { .members(["median": number(spread.median), "p99": number(spread.p99)]) }
        return .members([
            "rule": .string(rule), "hook": .string(hook), "nanoseconds": spread(nanoseconds), "empty_nanoseconds": spread(empty),
            "bytes": number(bytes), "allocations": number(allocations), "batches": .number("\(batches)"),
            "calls_per_batch": .number("\(callsPerBatch)"),
            "verdicts": .object(verdicts.sorted { $0.key < $1.key }.map { .init(name: $0.key, value: .number("\($0.value)")) }),
            "failures": .number("\(failures)"), "failure": failure.map(JSONTree.string),
        ])
    }
}
