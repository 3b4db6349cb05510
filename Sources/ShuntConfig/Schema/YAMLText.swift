import ShuntCore

/// Writes YAML that fits one line.
enum YAMLText {
    static func list(_ items: some Sequence<String>) -> String {
        "[" + items.joined(separator: ", ") + "]"
    }

    static func mapping(_ entries: some Sequence<(key: String, value: String)>) -> String {
        "{" + entries.map { "\(scalar($0.key)): \($0.value)" }.joined(separator: ", ") + "}"
    }

    /// Writes a mapping of paths and values. Longer paths become mappings inside; paths with the same beginning must follow one another.
    static func mapping(_ entries: [(path: ArraySlice<String>, value: String)]) -> String {
        var nested: [(key: String, value: String)] = []
        for entry in entries {
            guard let key = entry.path.first, key != nested.last?.key else { continue }
            let below = entries.filter { $0.path.first == key }.map { (path: $0.path.dropFirst(), value: $0.value) }
            nested.append((key, entry.path.count == 1 ? entry.value : mapping(below)))
        }
        return mapping(nested)
    }

    /// A text, in quotes where it would read as something else without.
    static func scalar(_ text: String) -> String {
        isPlain(text) ? text : quoted(text)
    }

    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last, first.isASCIILetterOrDigit || first == UInt8(ascii: "/"),
            last != UInt8(ascii: ":"), ConfigValue(plain: text) == .string(text)
        else { return false }
        return text.utf8.allSatisfy { $0.isASCIILetterOrDigit || "_-./:".utf8.contains($0) }
    }

    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case _ where scalar.value < 0x20 || (0x7f...0x9f).contains(scalar.value):
                let hex = String(scalar.value, radix: 16)
                quoted += "\\x" + (hex.utf8.count == 1 ? "0" : "") + hex
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
