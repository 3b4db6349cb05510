/// Comma-separated values (RFC 4180): CRLF line ends, quotes where they are needed.
struct CSV {
    private(set) var text = ""

    init(header: [String]? = nil) {
        if let header { append(header) }
    }

    mutating func append(_ fields: [String]) {
        text += fields.map(Self.quote).joined(separator: ",") + "\r\n"
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
