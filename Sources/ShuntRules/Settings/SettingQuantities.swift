/// Durations and sizes as settings give them, and numbers as people read them.
enum SettingQuantity {
    private static let durations: [(unit: String, scale: Double)] = [
        ("d", 86400), ("h", 3600), ("m", 60), ("s", 1), ("ms", 1e-3), ("us", 1e-6),
    ]
    private static let sizes: [(unit: String, scale: Double)] = [
        ("GiB", 1_073_741_824), ("MiB", 1_048_576), ("KiB", 1024), ("B", 1),
    ]

    /// Seconds: of a number itself, of a text such as `1.5h`.
    static func seconds(_ value: SettingValue) -> Double? { read(value, durations) }
    static func bytes(_ value: SettingValue) -> Double? { read(value, sizes) }

    private static func read(_ value: SettingValue, _ units: [(unit: String, scale: Double)]) -> Double? {
        switch value {
        case .int(let number): return Double(number)
        case .double(let number): return number
        case .string(let text):
            let digits = text.prefix { $0.isASCII && $0.isNumber || $0 == "." }
            let unit = text.dropFirst(digits.count).drop { $0 == " " }
            guard digits.first?.isNumber == true, digits.last?.isNumber == true, let number = Double(digits),
                let scale = units.first(where: { $0.unit == unit })?.scale
            else { return nil }
            // A thousandth is not exact: 1.5ms are 0.0015 all the same.
            return scale < 1 ? number / (1 / scale).rounded() : number * scale
        default: return nil
        }
    }

    static func duration(_ seconds: Double) -> String { write(seconds, durations) ?? "\(number(seconds))s" }
    static func size(_ bytes: Double) -> String { bytes == 0 ? "0B" : write(bytes, sizes) ?? "\(number(bytes))B" }

    /// In the largest unit that leaves a whole number.
    private static func write(_ value: Double, _ units: [(unit: String, scale: Double)]) -> String? {
        for (unit, scale) in units where value != 0 {
            let count = scale < 1 ? value * (1 / scale).rounded() : value / scale
            if count == count.rounded(), abs(count) < 1e15 { return "\(Int(count))\(unit)" }
        }
        return nil
    }

    /// Without a fraction where there is none.
    static func number(_ value: Double) -> String { whole(value).map(String.init) ?? "\(value)" }

    static func whole(_ value: Double) -> Int64? { Int64(exactly: value) }

    /// A whole number where it is one.
    static func value(_ number: Double) -> SettingValue { whole(number).map(SettingValue.int) ?? .double(number) }
}

extension SettingValue {
    /// `a text`: what it is, without its value.
    var typeName: String {
        switch self {
        case .null: "null"
        case .bool: "a boolean"
        case .int, .double: "a number"
        case .string: "a text"
        case .array: "a list"
        case .object: "a table"
        }
    }

    /// In one line, as a configuration would give it; long texts are cut.
    var text: String {
        switch self {
        case .null: "null"
        case .bool(let value): "\(value)"
        case .int(let value): "\(value)"
        case .double(let value): SettingQuantity.number(value)
        case .string(let value): "\"\(Self.cut(value).replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n"))\""
        case .array(let values): "[" + values.map(\.text).joined(separator: ", ") + "]"
        case .object(let values):
            "{" + values.sorted { $0.key < $1.key }.map { "\(Self.cut($0.key)): \($0.value.text)" }.joined(separator: ", ") + "}"
        }
    }

    private static func cut(_ text: String) -> String { text.unicodeScalars.count > 60 ? String(text.unicodeScalars.prefix(60)) + "…" : text }
}
