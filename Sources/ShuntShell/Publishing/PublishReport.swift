import ShuntClient
import ShuntCore

/// The report of `shunt pub` at its end.
public struct PublishReport: Equatable, Sendable {
    public var totals: SendPipeline.Totals
    public var elapsed: Duration
    public var reasons: [FailureTally.Reason] = []
    public var others = 0
    /// The error of the input that ended it.
    public var fault: ShuntError?
    /// Whether a message could not be sent for what it is.
    public var hasBadMessage = false
    /// Whether messages were acknowledged, which MQTT's are not with QoS 0.
    public var hasAnswers = true

    public init(
        totals: SendPipeline.Totals, elapsed: Duration, reasons: [FailureTally.Reason] = [], others: Int = 0,
        fault: ShuntError? = nil
    ) {
        self.totals = totals
        self.elapsed = elapsed
        self.reasons = reasons
        self.others = others
        self.fault = fault
    }

    /// `10000 sent, 10000 acknowledged, 0 refused in 0.42 s (23,800/s)`
    public var summary: String {
        var parts = ["\(totals.sent) sent"]
        if hasAnswers { parts += ["\(totals.acknowledged) acknowledged", "\(totals.refused) refused"] }
        if totals.unknown > 0 { parts.append("\(totals.unknown) of unknown outcome") }
        if totals.notSent > 0 { parts.append("\(totals.notSent) not sent") }
        let seconds = elapsed / .seconds(1)
        let rate = totals.acknowledged > 1 && seconds > 0 ? " (\(Self.grouped(Double(totals.acknowledged) / seconds))/s)" : ""
        return parts.joined(separator: ", ") + " in \(Self.decimal(seconds)) s" + rate
    }

    /// The reasons, the most frequent first, one a line.
    public var details: [String] {
        var lines = reasons.prefix(5).map { reason in
            "  \(reason.count) \(reason.text)" + (reason.help.map { "; \($0)" } ?? "")
        }
        let rest = reasons.dropFirst(5).reduce(others) { $0 + $1.count }
        if rest > 0 { lines.append("  \(rest) for other reasons") }
        return lines
    }

    /// The exit code of the input's error, if there is one; 0 if every message was acknowledged, 69 if some were not because there was no
    /// connection, else 65.
    public var exitCode: Int32 {
        if let fault { return fault.code.exitCode }
        if totals.acknowledged == totals.submitted { return 0 }
        return totals.refused == 0 && !hasBadMessage && (totals.unknown > 0 || totals.notSent > 0)
            ? ErrorCode.addressUnavailable.exitCode : ErrorCode.requestInvalid.exitCode
    }

    /// Two digits after the point.
    static func decimal(_ seconds: Double) -> String {
        let hundredths = Int((seconds * 100).rounded())
        let fraction = hundredths % 100
        return "\(hundredths / 100).\(fraction < 10 ? "0" : "")\(fraction)"
    }

    /// Three significant digits, and commas: 23,800.
    static func grouped(_ number: Double) -> String {
        guard number >= 1 else { return decimal(number) }
        var unit = 1.0
        while number / unit >= 1000 { unit *= 10 }
        var digits = Array(String(Int((number / unit).rounded() * unit)))
        for position in stride(from: digits.count - 3, to: 0, by: -3) { digits.insert(",", at: position) }
        return String(digits)
    }
}
