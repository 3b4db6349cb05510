import Logging

/// Lines for people.
enum TextLine {
    static func write(_ line: LogLine, colour: Bool, to bytes: inout [UInt8]) {
        line.time.write(to: &bytes)
        bytes.append(UInt8(ascii: " "))
        if colour { bytes.append(contentsOf: Self.colour(of: line.level).utf8) }
        bytes.append(contentsOf: name(of: line.level).utf8)
        if colour { bytes.append("\u{1b}[0m") }
        bytes.append(UInt8(ascii: " "))
        bytes.append(line.subsystem, escape: escape)
        bytes.append(": ")
        bytes.append(line.message, escape: escape)
        for (key, value) in LogLine.shown(line.metadata) {
            bytes.append(UInt8(ascii: " "))
            bytes.append(key) { $0 == " " || $0 == "=" || $0 == "\"" ? "_" : escape($0) }
            bytes.append(UInt8(ascii: "="))
            write(value, depth: 0, to: &bytes)
        }
    }

    private static func write(_ value: Logger.MetadataValue, depth: Int, to bytes: inout [UInt8]) {
        guard depth < LogLine.maximumDepth else { return bytes.append("…") }
        switch value {
        case .string(let text): writeWord(text, to: &bytes)
        case .stringConvertible(let convertible): writeWord(convertible.description, to: &bytes)
        case .array(let values):
            bytes.append(UInt8(ascii: "["))
            for (index, value) in values.prefix(LogLine.maximumEntries).enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                write(value, depth: depth + 1, to: &bytes)
            }
            bytes.append(UInt8(ascii: "]"))
        case .dictionary(let entries):
            bytes.append(UInt8(ascii: "{"))
            for (index, entry) in LogLine.shown(entries).enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                writeWord(entry.key, to: &bytes)
                bytes.append(UInt8(ascii: "="))
                write(entry.value, depth: depth + 1, to: &bytes)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    /// In quotes where it would not read as one word.
    private static func writeWord(_ text: String, to bytes: inout [UInt8]) {
        let isWord = !text.isEmpty && text.utf8.allSatisfy { !#" "\=,[]{}"#.utf8.contains($0) }
        if isWord { return bytes.append(text, escape: escape) }
        bytes.append(UInt8(ascii: "\""))
        bytes.append(text) { $0 == "\"" ? "\\\"" : $0 == "\\" ? "\\\\" : escape($0) }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func escape(_ scalar: Unicode.Scalar) -> String? {
        switch scalar {
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        case _ where scalar.isUnsafe: "\\u{\(scalar.hex(digits: 2))}"
        default: nil
        }
    }

    /// Equally wide.
    private static func name(of level: Logger.Level) -> String {
        switch level {
        case .trace: "TRACE"
        case .debug: "DEBUG"
        case .info: "INFO "
        case .notice: "NOTE "
        case .warning: "WARN "
        case .error: "ERROR"
        case .critical: "CRIT "
        }
    }

    private static func colour(of level: Logger.Level) -> String {
        switch level {
        case .trace, .debug: "\u{1b}[2m"
        case .info: "\u{1b}[32m"
        case .notice: "\u{1b}[36m"
        case .warning: "\u{1b}[33m"
        case .error: "\u{1b}[31m"
        case .critical: "\u{1b}[1;31m"
        }
    }
}
