import ShuntCore

/// How a report for people is written.
public struct ReportStyle: Sendable {
    public var colors: Bool

    public init(colors: Bool) { self.colors = colors }

    func bold(_ text: String) -> String { coloured("1", text) }
    func faint(_ text: String) -> String { coloured("2", text) }
    func good(_ text: String) -> String { coloured("32", text) }
    func bad(_ text: String) -> String { coloured("31", text) }
    func notable(_ text: String) -> String { coloured("33", text) }

    private func coloured(_ code: String, _ text: String) -> String { colors ? "\u{1B}[\(code)m\(text)\u{1B}[0m" : text }

    /// A text of rules, messages or files, in one line of a bounded length.
    static func short(_ text: String, _ most: Int = 160) -> String {
        let shown = PrintableText.of(String(text.prefix(most)))
        return text.count > most ? shown + "…" : shown
    }

    static func short(_ bytes: [UInt8], _ most: Int = 160) -> String {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            return "\(bytes.count) bytes, base64 " + short(Base64Text.of(Array(bytes.prefix(most))), most)
        }
        return short(text, most)
    }

    static func time(_ nanoseconds: Double) -> String {
        switch nanoseconds {
        case ..<1000: decimal(nanoseconds, nanoseconds < 10 ? 1 : 0) + " ns"
        case ..<1e6: decimal(nanoseconds / 1000, nanoseconds < 1e5 ? 1 : 0) + " µs"
        default: decimal(nanoseconds / 1e6, 1) + " ms"
        }
    }

    /// So many of a thing, whose plural ends with s.
    static func count(_ number: some BinaryInteger, _ thing: String) -> String { "\(number) \(thing)\(number == 1 ? "" : "s")" }

    /// A number of seconds without needless digits.
    static func seconds(_ seconds: Double) -> String { seconds == seconds.rounded() ? "\(Int(seconds))" : "\(seconds)" }

    static func size(_ bytes: Double) -> String {
        switch bytes {
        case ..<1024: count(Int(bytes.rounded()), "byte")
        case ..<1_048_576: decimal(bytes / 1024, 1) + " KiB"
        default: decimal(bytes / 1_048_576, 1) + " MiB"
        }
    }

    /// With so many digits after the point.
    static func decimal(_ number: Double, _ digits: Int) -> String {
        let scale = digits == 0 ? 1.0 : digits == 1 ? 10.0 : 100.0
        let whole = Int((number * scale).rounded())
        guard digits > 0 else { return "\(whole)" }
        let fraction = String(whole % Int(scale))
        return "\(whole / Int(scale)).\(String(repeating: "0", count: digits - fraction.count))\(fraction)"
    }

    static func padded(_ text: String, _ width: Int) -> String {
        text.count >= width ? text : text + String(repeating: " ", count: width - text.count)
    }

    /// Columns as wide as their widest cell; numbers stand at the right.
    static func table(_ rows: [[String]], numbersFrom first: Int, textFrom last: Int = .max) -> [String] {
        guard let columns = rows.map(\.count).max() else { return [] }
        let widths = (0..<columns).map { column in rows.map { column < $0.count ? $0[column].count : 0 }.max() ?? 0 }
        return rows.map { row in
            var line = row.enumerated().map { column, cell in
                let blanks = String(repeating: " ", count: widths[column] - cell.count)
                return column < first || column >= last ? cell + blanks : blanks + cell
            }.joined(separator: "  ")
            while line.hasSuffix(" ") { line.removeLast() }
            return line
        }
    }
}
