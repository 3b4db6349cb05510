import ShuntJSON
import ShuntRegistry

/// Comma-separated values (RFC 4180): CRLF line ends, quotes where they are needed. A text that a spreadsheet would take for a
/// formula gets an apostrophe before it: any client can register a device with such a text, and a formula can read other cells and send
/// them.
struct CSV {
    private(set) var text = ""

    init(header: [String]? = nil) {
        if let header { append(header) }
    }

    mutating func append(_ fields: [String]) {
        text += fields.map { Self.quote(Self.disarm($0)) }.joined(separator: ",") + "\r\n"
    }

    /// Several texts in one field: a JSON array.
    static func list(_ texts: [String]) -> String {
        // Any string can be encoded.
        String(decoding: (try? RecordJSON.encode(texts)) ?? [], as: UTF8.self)
    }

    private static func disarm(_ field: String) -> String {
        // Some spreadsheets read the wide forms as the narrow ones.
        guard let first = field.unicodeScalars.first, "=+-@\t\r＝＋－＠".unicodeScalars.contains(first), !isNegativeNumber(field) else {
            return field
        }
        return "'" + field
    }

    private static func isNegativeNumber(_ field: String) -> Bool {
        field.utf8.first == UInt8(ascii: "-") && field.utf8.allSatisfy { "0123456789.eE+-".utf8.contains($0) } && Double(field) != nil
    }

    private static func quote(_ field: String) -> String {
        // By byte: a CRLF is one Character, which neither CR nor LF equals.
        let needsQuotes = field.utf8.contains { [UInt8(ascii: ","), UInt8(ascii: "\""), 0x0A, 0x0D].contains($0) }
        guard needsQuotes else { return field }
        var quoted = "\""
        for scalar in field.unicodeScalars {
            if scalar == "\"" { quoted += "\"" }
            quoted.unicodeScalars.append(scalar)
        }
        return quoted + "\""
    }
}
