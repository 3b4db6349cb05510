import ShuntCore

/// A rule's settings, as the config gives them.
public indirect enum SettingValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(String)
    case array([SettingValue])
    case object([String: SettingValue])
}

extension SettingValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByFloatLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    public init(stringLiteral value: String) { self = .string(value) }
    public init(integerLiteral value: Int64) { self = .int(value) }
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    public init(floatLiteral value: Double) { self = .double(value) }
    public init(arrayLiteral elements: SettingValue...) { self = .array(elements) }
    public init(dictionaryLiteral elements: (String, SettingValue)...) {
        self = .object(Dictionary(elements) { _, last in last })
    }
}

/// A value as it goes between Swift and Lua: `value.c` is the other end.
indirect enum LuaValue: Equatable {
    case null
    case bool(Bool)
    case int(Int64)
    case double(Double)
    case string(String)
    /// A text that is not UTF-8.
    case bytes([UInt8])
    case array([LuaValue])
    case object([String: LuaValue])
    /// With the line it starts on.
    case function(line: Int)
    case other

    init(_ setting: SettingValue) {
        self =
            switch setting {
            case .null: .null
            case .bool(let value): .bool(value)
            case .int(let value): .int(value)
            case .double(let value): .double(value)
            case .string(let value): .string(value)
            case .array(let values): .array(values.map(LuaValue.init))
            case .object(let values): .object(values.mapValues(LuaValue.init))
            }
    }

    var typeName: String {
        switch self {
        case .null: "nil"
        case .bool: "boolean"
        case .int, .double: "number"
        case .string, .bytes: "text"
        case .array: "list"
        case .object: "table"
        case .function: "function"
        case .other: "userdata"
        }
    }

    var string: String? {
        if case .string(let value) = self { value } else { nil }
    }

    init(text: Bytes) {
        if let valid = String(validating: text, as: UTF8.self) {
            self = .string(valid)
        } else {
            self = .bytes(Array(text))
        }
    }

    /// A text's.
    var bytes: [UInt8]? {
        switch self {
        case .string(let value): Array(value.utf8)
        case .bytes(let value): value
        default: nil
        }
    }

    var number: Double? {
        switch self {
        case .int(let value): Double(value)
        case .double(let value): value
        default: nil
        }
    }

    /// An empty Lua table is a list and a table.
    var list: [LuaValue]? {
        switch self {
        case .array(let values): values
        case .object(let values) where values.isEmpty: []
        default: nil
        }
    }

    var table: [String: LuaValue]? {
        if case .object(let values) = self { values } else { nil }
    }

    subscript(key: String) -> LuaValue { table?[key] ?? .null }
}

// MARK: as bytes

extension LuaValue {
    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        encode(into: &bytes)
        return bytes
    }

    private func encode(into bytes: inout [UInt8]) {
        func append(_ tag: Character, _ value: some FixedWidthInteger) {
            bytes.append(tag.asciiValue ?? 0)
            withUnsafeBytes(of: value) { bytes.append(contentsOf: $0) }
        }
        func append(_ text: String) {
            append("s", UInt32(text.utf8.count))
            bytes.append(contentsOf: text.utf8)
        }
        switch self {
        case .null, .function, .other: bytes.append(UInt8(ascii: "n"))
        case .bool(let value): bytes.append(UInt8(ascii: value ? "t" : "f"))
        case .int(let value): append("i", value)
        case .double(let value): append("d", value.bitPattern)
        case .string(let value): append(value)
        case .bytes(let value):
            append("s", UInt32(value.count))
            bytes.append(contentsOf: value)
        case .array(let values):
            append("a", UInt32(values.count))
            for value in values { value.encode(into: &bytes) }
        case .object(let values):
            append("o", UInt32(values.count))
            // In an order of its own: equal values have equal bytes.
            for (key, value) in values.sorted(by: { $0.key < $1.key }) {
                append(key)
                value.encode(into: &bytes)
            }
        }
    }

    /// nil where the bytes are not a value.
    init?(encoded bytes: UnsafeRawBufferPointer) {
        var reader = Reader(bytes: bytes)
        guard let value = reader.value() else { return nil }
        self = value
    }

    private struct Reader {
        let bytes: UnsafeRawBufferPointer
        var at = 0

        init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

        mutating func load<T: FixedWidthInteger>(_ type: T.Type) -> T? {
            let size = MemoryLayout<T>.size
            guard bytes.count - at >= size else { return nil }
            defer { at += size }
            return bytes.loadUnaligned(fromByteOffset: at, as: type)
        }

        mutating func text() -> UnsafeRawBufferPointer? {
            guard let count = load(UInt32.self), bytes.count - at >= Int(count) else { return nil }
            defer { at += Int(count) }
            return UnsafeRawBufferPointer(rebasing: bytes[at..<at + Int(count)])
        }

        mutating func value() -> LuaValue? {
            guard let tag = load(UInt8.self) else { return nil }
            switch UnicodeScalar(tag) {
            case "n": return .null
            case "t": return .bool(true)
            case "f": return .bool(false)
            case "i": return load(Int64.self).map(LuaValue.int)
            case "d": return load(UInt64.self).map { .double(Double(bitPattern: $0)) }
            case "s": return text().map(LuaValue.init(text:))
            case "F": return load(UInt32.self).map { .function(line: Int($0)) }
            case "x": return .other
            case "a": return list().map(LuaValue.array)
            case "o": return object().map(LuaValue.object)
            default: return nil
            }
        }

        private mutating func list() -> [LuaValue]? {
            guard let count = load(UInt32.self) else { return nil }
            var values: [LuaValue] = []
            for _ in 0..<count {
                guard let value = value() else { return nil }
                values.append(value)
            }
            return values
        }

        private mutating func object() -> [String: LuaValue]? {
            guard let count = load(UInt32.self) else { return nil }
            var values: [String: LuaValue] = [:]
            for _ in 0..<count {
                guard load(UInt8.self) == UInt8(ascii: "s"), let key = text(), let value = value() else { return nil }
                values[String(decoding: key, as: UTF8.self)] = value
            }
            return values
        }
    }
}
