/// A report for people: what was measured, a table, and what its reader should know.
public struct ReportText {
    private let comparison: Comparison
    private var report: BenchReport { comparison.now }

    public init(_ comparison: Comparison) { self.comparison = comparison }

    /// With a line end after each line.
    public var text: String { ([headline, ""] + table).joined(separator: "\n") + "\n" }

    private var headline: String {
        var parts = ["\(report.scenario) at \(report.broker)", "MQTT \(report.mqtt)"]
        if let qos = report.qos, let size = report.size, let rate = report.rate {
            parts += ["QoS \(qos)", "\(Quantity.grouped(size)) bytes"]
            parts.append(rate == 0 ? "as fast as possible" : "\(Self.number(rate)) messages a second")
        }
        parts.append("\(Quantity.seconds(report.duration))" + (report.warmUp.map { " after \(Quantity.seconds($0)) of warm-up" } ?? " held"))
        return parts.joined(separator: ", ")
    }

    private var table: [String] {
        let rows = comparison.rows
        let hasBefore = comparison.before != nil
        var cells = rows.map { row in
            [row.figure.name, row.figure.text] + (hasBefore ? [row.before?.text ?? "-", row.ratio.map { Quantity.significant($0) } ?? "-"] : [])
        }
        if hasBefore { cells.insert(["", "now", "before", "ratio"], at: 0) }
        let widths = (cells.first ?? []).indices.map { column in cells.map { $0[column].count }.max() ?? 0 }
        return cells.map { row in
            row.indices.map { column in
                let blanks = String(repeating: " ", count: widths[column] - row[column].count)
                return column == 0 ? row[column] + blanks : blanks + row[column]
            }.joined(separator: "  ")
        }
    }

    /// What takes from the figures' meaning, most important first.
    public var warnings: [String] {
        var warnings: [String] = []
        if !report.isComplete { warnings.append("the load was ended early") }
        for (reason, count) in report.connections.reasons.sorted(by: { ($1.value, $0.key) < ($0.value, $1.key) }) {
            warnings.append("\(Quantity.grouped(count)): \(reason)")
        }
        if let messages = report.messages { warnings += Self.warnings(messages, report) }
        if report.processor > 0.9 {
            let share = Int((report.processor * 100).rounded())
            warnings.append("a thread of the load took \(share) % of a processor: the load may be the limit; --threads gives it more")
        }
        if !comparison.differences.isEmpty {
            warnings += comparison.differences.map { "compared with another load: \($0)" }
        }
        return warnings
    }

    private static func warnings(_ messages: BenchReport.Messages, _ report: BenchReport) -> [String] {
        var warnings: [String] = []
        func warn(_ count: Int, _ text: String) { if count > 0 { warnings.append("\(Quantity.grouped(count)) \(text)") } }
        warn(messages.lost, "messages were lost" + (report.qos == 0 ? ", which QoS 0 allows" : ""))
        if messages.isCutOff { warnings.append("messages still came when the load ended: --drain has it wait longer") }
        warn(messages.unacknowledged, "messages were not acknowledged")
        warn(messages.unsent, "messages that were due were not sent, and are not in the latencies: the broker did not keep up")
        warn(messages.strays, "messages came that were for others, or not of this load")
        if let qos = report.qos, messages.grantedQos < qos {
            warnings.append("the broker granted QoS \(messages.grantedQos) to subscriptions of QoS \(qos)")
        }
        return warnings
    }

    private static func number(_ number: Double) -> String {
        number == number.rounded() ? Quantity.grouped(Int(number)) : Quantity.significant(number)
    }
}
