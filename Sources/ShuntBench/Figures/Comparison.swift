/// A report beside an earlier one.
public struct Comparison: Sendable {
    public let now: BenchReport
    public let before: BenchReport?

    public init(_ now: BenchReport, before: BenchReport? = nil) { (self.now, self.before) = (now, before) }

    public struct Row: Equatable, Sendable {
        public var figure: Figure
        /// The same figure of the earlier report; nil where it has none.
        public var before: Figure?

        /// Now as a share of before; nil where that would say nothing.
        public var ratio: Double? { before.flatMap { $0.value > 0 ? figure.value / $0.value : nil } }
    }

    public var rows: [Row] {
        let earlier = Dictionary((before?.figures ?? []).map { ($0.name, $0) }) { first, _ in first }
        return now.figures.map { Row(figure: $0, before: earlier[$0.name]) }
    }

    /// What was not alike in the two loads, so that their figures can't be compared without thought.
    public var differences: [String] {
        guard let before else { return [] }
        func text(_ value: Double?) -> String { value.map { $0 == 0 ? "max" : $0 == $0.rounded() ? String(Int($0)) : String($0) } ?? "none" }
        func seconds(_ value: Double?) -> String { value.map { "\($0) s" } ?? "none" }
        let pairs: [(String, String, String)] = [
            ("scenario", before.scenario, now.scenario),
            ("rate", text(before.rate), text(now.rate)),
            ("QoS", before.qos.map(String.init) ?? "none", now.qos.map(String.init) ?? "none"),
            ("payload size", before.size.map(String.init) ?? "none", now.size.map(String.init) ?? "none"),
            ("inflight", before.inflight.map(String.init) ?? "none", now.inflight.map(String.init) ?? "none"),
            ("MQTT version", before.mqtt, now.mqtt),
            ("duration", seconds(before.duration), seconds(now.duration)),
            ("threads", String(before.threads), String(now.threads)),
        ]
        let unlike = pairs.filter { $0.1 != $0.2 }.map { "\($0.0): \($0.1) before, \($0.2) now" }
        return unlike + (before.isComplete ? [] : ["the earlier load was ended early"])
    }

    /// The report as JSON, and how it compares where there is an earlier one.
    public func json() -> String {
        guard before != nil else { return now.json() }
        var ratios: [String: Double] = [:]
        for row in rows { if let ratio = row.ratio { ratios[row.figure.name] = (ratio * 1000).rounded() / 1000 } }
        return BenchReport.text(Compared(report: now, ratios: ratios, differences: differences))
    }

    /// A report with two more members.
    private struct Compared: Encodable {
        var report: BenchReport
        var ratios: [String: Double]
        var differences: [String]

        private enum Key: CodingKey { case ratios, differences }

        func encode(to encoder: any Encoder) throws {
            try report.encode(to: encoder)
            var members = encoder.container(keyedBy: Key.self)
            try members.encode(ratios, forKey: .ratios)
            try members.encode(differences, forKey: .differences)
        }
    }
}
