import ShuntClient
import ShuntCore

/// Writes the outcome of a broadcast.
public enum NotifyPrinter {
    /// A line for each worker, and one for the sums, if somebody counts.
    public static func text(_ report: NotifyReport) -> [UInt8] {
        var lines: [UInt8] = []
        for worker in report.workers {
            lines.appendEscaped(Array(worker.address.description.utf8))
            lines.append(UInt8(ascii: "\t"))
            lines.appendEscaped(Array(text(worker.outcome).utf8))
            lines.append(UInt8(ascii: "\n"))
        }
        guard report.workers.contains(where: { !$0.outcome.isUncounted }) else { return lines }
        let counts = report.counts
        let workers = report.workers.count == 1 ? "1 worker" : "\(report.workers.count) workers"
        lines += "\(workers)\t\(counts.matched) matched, \(counts.sent) sent, \(counts.matched - counts.sent) not sent\n".utf8
        return lines
    }

    /// One JSON object, and a line feed.
    public static func json(_ report: NotifyReport) -> [UInt8] {
        var line = Array("{\"workers\":[".utf8)
        for (number, worker) in report.workers.enumerated() {
            if number > 0 { line.append(UInt8(ascii: ",")) }
            line += "{\"address\":".utf8
            line.appendJSON(worker.address.description)
            append(worker.outcome, to: &line)
            line.append(UInt8(ascii: "}"))
        }
        line += "],\"matched\":\(report.counts.matched),\"sent\":\(report.counts.sent)}\n".utf8
        return line
    }

    private static func text(_ outcome: NotifyReport.Outcome) -> String {
        switch outcome {
        case .delivered(nil, _): "sent; nobody counts there"
        case .delivered(_?, let text): text
        case .noMatch: "no device matches"
        case .refused(let refusal): "refused: \(refusal)"
        case .unreachable(let error): "not reached: \(error.message)"
        }
    }

    private static func append(_ outcome: NotifyReport.Outcome, to line: inout [UInt8]) {
        switch outcome {
        case .delivered(let counts, _):
            line += ",\"outcome\":\"delivered\"".utf8
            if let counts { line += ",\"matched\":\(counts.matched),\"sent\":\(counts.sent)".utf8 }
        case .noMatch: line += ",\"outcome\":\"no_match\",\"matched\":0,\"sent\":0".utf8
        case .refused(let refusal):
            line += ",\"outcome\":\"refused\",\"status\":\(refusal.status),\"code\":\"\(refusal.code.rawValue)\"".utf8
        case .unreachable(let error): line += ",\"outcome\":\"unreachable\",\"code\":\"\(error.code.rawValue)\"".utf8
        }
        switch outcome {
        case .delivered(_, let text) where text.isEmpty: break
        case .noMatch: break
        case .delivered(_, let text): append(text: text, to: &line)
        case .refused(let refusal): append(text: refusal.text, to: &line)
        case .unreachable(let error): append(text: error.message, to: &line)
        }
    }

    private static func append(text: String, to line: inout [UInt8]) {
        line += ",\"text\":".utf8
        line.appendJSON(text)
    }
}

extension NotifyReport.Outcome {
    /// Whether it was delivered, to nobody knows how many devices.
    fileprivate var isUncounted: Bool {
        if case .delivered(nil, _) = self { true } else { false }
    }
}
