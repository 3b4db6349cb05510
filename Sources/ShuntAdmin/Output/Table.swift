/// Rows under titles, fitted into a width.
struct Table {
    enum Tone {
        case plain, good, warning, bad, faint
    }

    struct Cell: ExpressibleByStringLiteral {
        var text: String
        var tone: Tone

        init(_ text: String, _ tone: Tone = .plain) {
            self.text = Text.printable(text)
            self.tone = tone
        }

        init(stringLiteral value: String) {
            self.init(value)
        }
    }

    struct Column {
        var title: String
        /// Numbers stand to the right, and are shown whole or not at all: a cut number would be another number.
        var isNumber = false
        /// Whether its texts say nothing when they are cut.
        var isWhole = false
        /// Whether a text that has no room goes on in lines below.
        var wraps = false
        /// The column with the lowest rank is hidden first if there is no room for all; of equals the rightmost.
        var rank = 0
    }

    struct Rendered: Equatable {
        var text: String
        /// Titles of the columns that had no room.
        var hidden: [String]
    }

    /// Text is not cut below this while there is a column that can be hidden instead.
    static let minimumTextWidth = 6
    /// The same for the first column, which says what the row is about; a whole IPv4 address and port. At most half the width.
    static let minimumKeyWidth = 21
    /// The same for a column whose texts go on below.
    static let minimumWrappedWidth = 16
    private static let gap = 2

    var columns: [Column]
    var rows: [[Cell]]

    /// With a line end after each line; no line is longer than `width`, unless it is nil.
    func render(width: Int?, colors: Bool) -> Rendered {
        let natural = columns.indices.map { index in
            rows.reduce(Text.width(columns[index].title)) { max($0, Text.width($1[index].text)) }
        }
        let (shown, widths) = width.map { fit(natural, into: $0) } ?? (Array(columns.indices), natural)
        var text = line(columns.map { Cell($0.title, .faint) }, shown, widths, colors: colors)
        for row in rows {
            for part in wrapped(row, shown, widths) { text += line(part, shown, widths, colors: colors) }
        }
        return Rendered(text: text, hidden: columns.indices.filter { !shown.contains($0) }.map { columns[$0].title })
    }

    /// Hides columns until the rest can be shrunk to fit, then shrinks the widest texts.
    private func fit(_ natural: [Int], into width: Int) -> (shown: [Int], widths: [Int]) {
        var widths = natural.map { min($0, max(width, 1)) }
        func least(_ index: Int) -> Int {
            if columns[index].isNumber || columns[index].isWhole { return widths[index] }
            if columns[index].wraps { return min(widths[index], Self.minimumWrappedWidth) }
            return min(widths[index], index == 0 ? min(Self.minimumKeyWidth, width / 2) : Self.minimumTextWidth)
        }
        func total(_ shown: [Int], _ width: (Int) -> Int) -> Int {
            shown.reduce(Self.gap * (shown.count - 1)) { $0 + width($1) }
        }
        var shown = Array(columns.indices)
        while shown.count > 1, total(shown, least) > width, let victim = leastImportant(of: shown) {
            shown.removeAll { $0 == victim }
        }
        while total(shown, { widths[$0] }) > width {
            guard let widest = shown.filter({ widths[$0] > least($0) }).max(by: { widths[$0] < widths[$1] }) else { break }
            widths[widest] -= 1
        }
        if shown.count == 1 { widths[shown[0]] = min(widths[shown[0]], max(width, 1)) }
        return (shown, widths)
    }

    private func leastImportant(of shown: [Int]) -> Int? {
        // The first column says what the row is about, and stays.
        shown.dropFirst().min { (columns[$0].rank, -$0) < (columns[$1].rank, -$1) }
    }

    /// The row, and as many below it as its wrapped texts need.
    private func wrapped(_ row: [Cell], _ shown: [Int], _ widths: [Int]) -> [[Cell]] {
        var parts = [row]
        for index in shown where columns[index].wraps {
            let lines = Text.wrap(row[index].text, to: widths[index])
            guard lines.count > 1 else { continue }
            while parts.count < lines.count { parts.append(row.map { _ in Cell("") }) }
            for (number, line) in lines.enumerated() { parts[number][index] = Cell(line, row[index].tone) }
        }
        return parts
    }

    private func line(_ cells: [Cell], _ shown: [Int], _ widths: [Int], colors: Bool) -> String {
        var line = ""
        for (position, index) in shown.enumerated() {
            let cell = cells[index]
            let text = Text.cut(cell.text, to: widths[index])
            let isLast = position == shown.count - 1
            let padded =
                isLast && !columns[index].isNumber ? text : Text.pad(text, to: widths[index], right: columns[index].isNumber)
            line += colors ? Self.color(padded, cell.tone) : padded
            if !isLast { line += String(repeating: " ", count: Self.gap) }
        }
        return line + "\n"
    }

    private static func color(_ text: String, _ tone: Tone) -> String {
        let code: String? =
            switch tone {
            case .plain: nil
            case .good: "32"
            case .warning: "33"
            case .bad: "31"
            case .faint: "2"
            }
        return code.map { "\u{1B}[\($0)m\(text)\u{1B}[0m" } ?? text
    }
}
