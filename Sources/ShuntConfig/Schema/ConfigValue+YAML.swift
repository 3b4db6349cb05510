import ShuntCore

extension ConfigValue {
    /// The value of a plain scalar by YAML 1.2's core schema (§10.3.2); nil for a number that JSON cannot express.
    init?(plain text: String) {
        switch text {
        case "", "~", "null", "Null", "NULL": self = .null
        case "true", "True", "TRUE": self = .bool(true)
        case "false", "False", "FALSE": self = .bool(false)
        case ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF": return nil
        default:
            guard Self.isNumeric(text) else {
                self = .string(text)
                return
            }
            guard let number = Self.number(text) else { return nil }
            self = number
        }
    }

    /// Digits after an optional sign, a prefix for octal or hexadecimal, or a decimal fraction and exponent.
    private static func isNumeric(_ text: String) -> Bool {
        if text.hasPrefix("0x") { return text.utf8.count > 2 && text.utf8.dropFirst(2).allSatisfy(\.isHexDigit) }
        if text.hasPrefix("0o") { return text.utf8.count > 2 && text.utf8.dropFirst(2).allSatisfy { (0x30...0x37).contains($0) } }
        var rest =
            text.utf8.first.map { $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "+") } == true
            ? text.utf8.dropFirst() : text.utf8[...]
        let whole = rest.prefix(while: \.isASCIIDigit)
        rest = rest.dropFirst(whole.count)
        var digits = whole.count
        if rest.first == UInt8(ascii: ".") {
            let fraction = rest.dropFirst().prefix(while: \.isASCIIDigit)
            digits += fraction.count
            rest = rest.dropFirst(1 + fraction.count)
        }
        guard digits > 0 else { return false }
        guard let e = rest.first else { return true }
        guard e | 0x20 == UInt8(ascii: "e") else { return false }
        rest = rest.dropFirst()
        if rest.first == UInt8(ascii: "-") || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
        return !rest.isEmpty && rest.allSatisfy(\.isASCIIDigit)
    }

    private static func number(_ text: String) -> ConfigValue? {
        if text.hasPrefix("0x") { return Int(text.dropFirst(2), radix: 16).map(ConfigValue.int) }
        if text.hasPrefix("0o") { return Int(text.dropFirst(2), radix: 8).map(ConfigValue.int) }
        if !text.utf8.contains(where: { $0 == UInt8(ascii: ".") || $0 | 0x20 == UInt8(ascii: "e") }) {
            return Int(text).map(ConfigValue.int)
        }
        guard let double = Double(text), double.isFinite else { return nil }
        return .double(double)
    }

    /// YAML in one line, keys in order.
    var text: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .int(let value): "\(value)"
        case .double(let value): "\(value)"
        case .string(let value): YAMLText.scalar(value)
        case .array(let values): YAMLText.list(values.map(\.text))
        case .object(let entries):
            YAMLText.mapping(entries.sorted { $0.key < $1.key }.map { (key: $0.key, value: $0.value.text) })
        }
    }
}
