import ShuntCore
import ShuntRegistry

/// Charts of figures over time, of block elements; a chart below the other.
struct HistoryPlot {
    private let history: HistoryDocument
    private let figures: [String]
    private let width: Int

    /// Lines of a chart without its title and axis; each shows eight heights.
    private static let height = 6
    private static let eighths = Array(" ▁▂▃▄▅▆▇█")
    private static let usual = ["connections", "requests", "deliveries", HistoryDocument.time]
    /// Columns for the numbers at the left.
    private static let margin = 10

    /// - Parameter figures: none: the usual ones.
    init(_ history: HistoryDocument, figures: [String], width: Int) {
        self.figures = figures.isEmpty ? Self.usual : figures
        self.width = max(width, Self.margin + 10)
        // A column is a step, or several are.
        let columns = self.width - Self.margin - 2
        self.history = history.merged(by: (history.count + columns - 1) / columns)
    }

    var text: String {
        let charts = figures.map { name in chart(name, history.series[name] ?? []) }
        return charts.joined(separator: "\n")
    }

    private func chart(_ name: String, _ values: [Double?]) -> String {
        let known = values.compactMap { $0 }
        let highest = known.max() ?? 0
        var lines = Text.wrap(title(name, values, known), to: width)
        for row in (0..<Self.height).reversed() {
            let label = row == Self.height - 1 && highest > 0 ? HistoryListing.text(highest, of: name) : ""
            let bar = values.map { value in String(repeating: Self.block(value, of: highest, row: row), count: columnsEach) }.joined()
            lines.append(Text.pad(label, to: Self.margin, right: true) + " │" + bar)
        }
        let axis = values.map { String(repeating: $0 == nil ? "┈" : "─", count: columnsEach) }.joined()
        lines.append(Text.pad("0", to: Self.margin, right: true) + " └" + axis)
        lines.append(String(repeating: " ", count: Self.margin + 2) + times)
        return lines.map { line in line.last == " " ? Self.trimmed(line) : line }.joined(separator: "\n") + "\n"
    }

    /// Columns of a step.
    private var columnsEach: Int { max(1, (width - Self.margin - 2) / max(history.count, 1)) }

    private func title(_ name: String, _ values: [Double?], _ known: [Double]) -> String {
        let head = name.replacing("_", with: " ") + (WorkerFigures.counterNames.contains(name) ? " a second" : "")
        guard let least = known.min(), let most = known.max() else { return head + ": nothing is known" }
        func text(_ value: Double) -> String { HistoryListing.text(value, of: name) }
        let mean = known.reduce(0, +) / Double(known.count)
        let last = values.last.flatMap { $0 }.map { "last \(text($0)), " } ?? ""
        return "\(head): \(last)mean \(text(mean)), from \(text(least)) to \(text(most))"
    }

    private static func block(_ value: Double?, of highest: Double, row: Int) -> Character {
        guard let value, highest > 0 else { return " " }
        let eighths = Int((value / highest * Double(height * 8)).rounded())
        // What is more than nothing is seen.
        let shown = value > 0 ? max(eighths, 1) : 0
        return Self.eighths[min(max(shown - row * 8, 0), 8)]
    }

    /// The times of the first and the last step, and one between them where there is room.
    private var times: String {
        let columns = columnsEach * history.count
        let last = history.start + (history.count - 1) * history.step
        let isLong = last - history.start > 86_400
        func text(_ at: Int) -> String {
            let whole = Humane.time(Double(at))
            guard whole.utf8.count == 20 else { return whole }
            return isLong ? String(whole.dropFirst(5).prefix(11)).replacing("T", with: " ") : String(whole.dropFirst(11).prefix(5))
        }
        let (first, end) = (text(history.start), text(last))
        var line = first
        let middle = history.count / 2
        let between = text(history.start + middle * history.step)
        if middle * columnsEach > first.count + 1, columns - end.count > middle * columnsEach + between.count + 1 {
            line = Text.pad(line, to: middle * columnsEach) + between
        }
        guard columns - end.count > line.count else { return line }
        return Text.pad(line, to: columns - end.count) + end
    }

    private static func trimmed(_ line: String) -> String {
        var line = Substring(line)
        while line.last == " " { line.removeLast() }
        return String(line)
    }
}
