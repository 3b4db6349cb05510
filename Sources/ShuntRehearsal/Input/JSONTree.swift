import ShuntCore
import ShuntRules

/// A JSON value (RFC 8259) whose members keep their order and whose numbers keep their digits.
public indirect enum JSONTree: Equatable, Sendable {
    case null
    case bool(Bool)
    case number(String)
    case string(String)
    case array([JSONTree])
    case object([Member])

    public struct Member: Equatable, Sendable {
        public var name: String
        public var value: JSONTree

        public init(name: String, value: JSONTree) {
            self.name = name
            self.value = value
        }
    }

    /// The value of a member; of several of one name, the last.
    public subscript(name: String) -> JSONTree? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.name == name }?.value
    }

    public var string: String? { if case .string(let text) = self { text } else { nil } }

    /// In one line.
    public var text: String {
        switch self {
        case .null: "null"
        case .bool(let value): value ? "true" : "false"
        case .number(let digits): digits
        case .string(let text): Self.quoted(text)
        case .array(let values): "[" + values.map(\.text).joined(separator: ",") + "]"
        case .object(let members): "{" + members.map { "\(Self.quoted($0.name)):\($0.value.text)" }.joined(separator: ",") + "}"
        }
    }

    /// As the settings of a rule are given.
    public var setting: SettingValue {
        switch self {
        case .null: .null
        case .bool(let value): .bool(value)
        case .number(let digits): Int64(digits).map(SettingValue.int) ?? .double(Double(digits) ?? 0)
        case .string(let text): .string(text)
        case .array(let values): .array(values.map(\.setting))
        case .object(let members): .object(Dictionary(members.map { ($0.name, $0.value.setting) }) { _, last in last })
        }
    }

    /// A string as JSON writes it.
    public static func quoted(_ text: String) -> String {
        var result = "\"".unicodeScalars
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"", "\\": result.append(contentsOf: ["\\", scalar])
            case "\n": result.append(contentsOf: ["\\", "n"])
            case _ where scalar.value < 0x20: result.append(contentsOf: PrintableText.jsonEscape(scalar).unicodeScalars)
            default: result.append(scalar)
            }
        }
        result.append("\"")
        return String(result)
    }
}

extension JSONTree {
    /// How deep arrays and objects may nest.
    static let depth = 64

    /// Reads a file's text.
    /// - Parameter isLine: whether the place names the file's line that this is.
    /// - Throws: `usage` with what is wrong at which line and column.
    public init(parsing bytes: [UInt8], at place: String, isLine: Bool = false) throws(ShuntError) {
        var parser = JSONTreeParser(Array(Self.withoutMark(bytes)))
        do throws(JSONTreeParser.Fault) {
            self = try parser.whole()
        } catch {
            throw ShuntError(
                .usage, "not JSON: \(error.text)",
                at: place + ":" + (isLine ? "\(parser.position.column)" : "\(parser.position.line):\(parser.position.column)"))
        }
    }

    /// The text of a file, whose author's editor may have put a byte order mark before it.
    static func withoutMark(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
        bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? bytes.dropFirst(3) : bytes[...]
    }

    /// nil where the bytes are not JSON.
    public init?(_ bytes: [UInt8]) {
        var parser = JSONTreeParser(bytes)
        guard let value = try? parser.whole() else { return nil }
        self = value
    }
}

/// Reads one value, and stays where it went wrong.
private struct JSONTreeParser {
    struct Fault: Error {
        let text: String
    }

    private let bytes: [UInt8]
    private var at = 0

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// Both from 1.
    var position: (line: Int, column: Int) {
        let before = bytes[..<min(at, bytes.count)]
        let line = before.count { $0 == 0x0A }
        let column = before.count - (before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0)
        return (line + 1, column + 1)
    }

    mutating func whole() throws(Fault) -> JSONTree {
        let value = try value(0)
        skipSpace()
        guard at == bytes.count else { throw Fault(text: "there is more after the value") }
        return value
    }

    private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

    private mutating func skipSpace() {
        while let byte = next, [0x20, 0x09, 0x0A, 0x0D].contains(byte) { at += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        skipSpace()
        guard next == byte else { return false }
        at += 1
        return true
    }

    private mutating func value(_ depth: Int) throws(Fault) -> JSONTree {
        guard depth <= JSONTree.depth else { throw Fault(text: "nested deeper than \(JSONTree.depth)") }
        skipSpace()
        guard let byte = next else { throw Fault(text: "a value is missing") }
        switch byte {
        case UInt8(ascii: "{"): return try object(depth)
        case UInt8(ascii: "["): return try array(depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "-"), 0x30...0x39: return try number()
        default:
            for (word, value) in [("true", JSONTree.bool(true)), ("false", .bool(false)), ("null", .null)]
            where bytes[at...].starts(with: word.utf8) {
                at += word.utf8.count
                return value
            }
            throw Fault(text: "a value is wanted here")
        }
    }

    private mutating func object(_ depth: Int) throws(Fault) -> JSONTree {
        at += 1
        var members: [JSONTree.Member] = []
        if take(UInt8(ascii: "}")) { return .object(members) }
        repeat {
            skipSpace()
            guard next == UInt8(ascii: "\"") else { throw Fault(text: "a name in quotes is wanted here") }
            let name = try string()
            guard take(UInt8(ascii: ":")) else { throw Fault(text: "a colon is wanted here") }
            members.append(.init(name: name, value: try value(depth + 1)))
        } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "}")) else { throw Fault(text: "a comma or } is wanted here") }
        return .object(members)
    }

    private mutating func array(_ depth: Int) throws(Fault) -> JSONTree {
        at += 1
        var values: [JSONTree] = []
        if take(UInt8(ascii: "]")) { return .array(values) }
        repeat { values.append(try value(depth + 1)) } while take(UInt8(ascii: ","))
        guard take(UInt8(ascii: "]")) else { throw Fault(text: "a comma or ] is wanted here") }
        return .array(values)
    }

    private mutating func digits() -> Int {
        let start = at
        while let byte = next, (0x30...0x39).contains(byte) { at += 1 }
        return at - start
    }

    private mutating func number() throws(Fault) -> JSONTree {
        let start = at
        if next == UInt8(ascii: "-") { at += 1 }
        let first = next
        let whole = digits()
        guard whole > 0, whole == 1 || first != UInt8(ascii: "0") else {
            at = start
            throw Fault(text: "not a number")
        }
        if next == UInt8(ascii: ".") {
            at += 1
            guard digits() > 0 else { throw Fault(text: "a number's point wants digits after it") }
        }
        if let byte = next, byte | 0x20 == UInt8(ascii: "e") {
            at += 1
            if let sign = next, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { at += 1 }
            guard digits() > 0 else { throw Fault(text: "an exponent wants digits") }
        }
        return .number(String(decoding: bytes[start..<at], as: UTF8.self))
    }

    private mutating func string() throws(Fault) -> String {
        at += 1
        var text: [UInt8] = []
        while let byte = next {
            at += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let valid = String(validating: text, as: UTF8.self) else { throw Fault(text: "a string that is not UTF-8") }
                return valid
            case UInt8(ascii: "\\"): try escape(&text)
            case 0..<0x20: throw Fault(text: "a control character in a string; write it as an escape")
            default: text.append(byte)
            }
        }
        throw Fault(text: "a string without its end")
    }

    private static let escapes: [UInt8: UInt8] = [
        UInt8(ascii: "\""): 0x22, UInt8(ascii: "\\"): 0x5C, UInt8(ascii: "/"): 0x2F, UInt8(ascii: "b"): 8, UInt8(ascii: "f"): 12,
        UInt8(ascii: "n"): 10, UInt8(ascii: "r"): 13, UInt8(ascii: "t"): 9,
    ]

    private mutating func escape(_ text: inout [UInt8]) throws(Fault) {
        guard let byte = next else { throw Fault(text: "a string without its end") }
        at += 1
        if let plain = Self.escapes[byte] { return text.append(plain) }
        guard byte == UInt8(ascii: "u"), var code = unit() else { throw Fault(text: "no such escape in a string") }
        if (0xD800..<0xDC00).contains(code), bytes[at...].starts(with: "\\u".utf8) {
            at += 2
            guard let low = unit(), (0xDC00..<0xE000).contains(low) else { throw Fault(text: "half of a pair of escapes") }
            code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
        }
        text += Array(String(Character(Unicode.Scalar(code) ?? "\u{FFFD}")).utf8)
    }

    /// Four hexadecimal digits.
    private mutating func unit() -> UInt32? {
        guard at + 4 <= bytes.count, let code = UInt32(String(decoding: bytes[at..<at + 4], as: UTF8.self), radix: 16) else { return nil }
        at += 4
        return code
    }
}
