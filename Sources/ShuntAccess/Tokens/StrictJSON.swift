import ShuntCore

/// A JSON text by RFC 8259, and nothing more lenient: what signs a token and what reads it must read the same. A key that stands twice in an
/// object, and half a surrogate pair, are refused.
indirect enum StrictJSON: Equatable, Sendable {
    case null
    case bool(Bool)
    case number(Double)
    case string(String)
    case array([StrictJSON])
    case object([String: StrictJSON])

    /// How deep arrays and objects may nest.
    static let maximumDepth = 16
    /// The most values of a text.
    static let maximumValues = 20_000

    /// nil if the bytes are no such text.
    init?(_ bytes: [UInt8]) {
        guard String(validating: bytes, as: UTF8.self) != nil else { return nil }
        var parser = Parser(bytes: bytes)
        guard let value = parser.value(depth: 0), parser.isAtEnd else { return nil }
        self = value
    }

    /// The value of a key of an object; nil where it is missing. One that is null is there: what it means is not this side's to guess.
    subscript(key: String) -> StrictJSON? { if case .object(let members) = self { members[key] } else { nil } }

    var string: String? { if case .string(let text) = self { text } else { nil } }
    var number: Double? { if case .number(let number) = self { number } else { nil } }
    var array: [StrictJSON]? { if case .array(let elements) = self { elements } else { nil } }
    var isObject: Bool { if case .object = self { true } else { false } }

    /// The texts of a list; nil if it is no list of texts alone.
    var strings: [String]? {
        guard let array else { return nil }
        let strings = array.compactMap(\.string)
        return strings.count == array.count ? strings : nil
    }

    private struct Parser {
        let bytes: [UInt8]
        var at = 0
        var values = 0

        init(bytes: [UInt8]) { self.bytes = bytes }

        private var next: UInt8? { at < bytes.count ? bytes[at] : nil }

        var isAtEnd: Bool {
            mutating get {
                skipSpace()
                return next == nil
            }
        }

        private mutating func skipSpace() {
            while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { at += 1 }
        }

        private mutating func take(_ character: Unicode.Scalar) -> Bool {
            guard next == UInt8(ascii: character) else { return false }
            at += 1
            return true
        }

        private mutating func take(word: StaticString) -> Bool {
            let count = word.utf8CodeUnitCount
            guard bytes[at...].prefix(count).elementsEqual(UnsafeBufferPointer(start: word.utf8Start, count: count)) else { return false }
            at += count
            return true
        }

        mutating func value(depth: Int) -> StrictJSON? {
            values += 1
            guard values <= maximumValues else { return nil }
            skipSpace()
            switch next {
            case UInt8(ascii: "{")?: return depth < maximumDepth ? object(depth: depth + 1) : nil
            case UInt8(ascii: "[")?: return depth < maximumDepth ? list(depth: depth + 1) : nil
            case UInt8(ascii: "\"")?: return string().map { .string($0) }
            case UInt8(ascii: "t")?: return take(word: "true") ? .bool(true) : nil
            case UInt8(ascii: "f")?: return take(word: "false") ? .bool(false) : nil
            case UInt8(ascii: "n")?: return take(word: "null") ? .null : nil
            default: return number()
            }
        }

        private mutating func object(depth: Int) -> StrictJSON? {
            at += 1
            var members: [String: StrictJSON] = [:]
            skipSpace()
            if take("}") { return .object([:]) }
            repeat {
                skipSpace()
                guard next == UInt8(ascii: "\""), let key = string() else { return nil }
                skipSpace()
                guard take(":"), let value = value(depth: depth), members.updateValue(value, forKey: key) == nil else { return nil }
                skipSpace()
            } while take(",")
            return take("}") ? .object(members) : nil
        }

        private mutating func list(depth: Int) -> StrictJSON? {
            at += 1
            var elements: [StrictJSON] = []
            skipSpace()
            if take("]") { return .array([]) }
            repeat {
                guard let value = value(depth: depth) else { return nil }
                elements.append(value)
                skipSpace()
            } while take(",")
            return take("]") ? .array(elements) : nil
        }

        private mutating func number() -> StrictJSON? {
            let start = at
            _ = take("-")
            let hasZero = next == UInt8(ascii: "0")
            let whole = skipDigits()
            guard whole > 0, !hasZero || whole == 1 else { return nil }
            if take("."), skipDigits() == 0 { return nil }
            if take("e") || take("E") {
                _ = take("+") || take("-")
                guard skipDigits() > 0 else { return nil }
            }
            guard at - start <= 64, let number = Double(String(decoding: bytes[start..<at], as: UTF8.self)), number.isFinite else { return nil }
            return .number(number)
        }

        private mutating func skipDigits() -> Int {
            let start = at
            while let byte = next, byte.isASCIIDigit { at += 1 }
            return at - start
        }

        private mutating func string() -> String? {
            at += 1
            var text: [UInt8] = []
            while let byte = next {
                at += 1
                switch byte {
                case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
                case UInt8(ascii: "\\"):
                    guard let scalar = escape() else { return nil }
                    text += String(scalar).utf8
                case 0..<0x20: return nil
                default: text.append(byte)
                }
            }
            return nil
        }

        private mutating func escape() -> Unicode.Scalar? {
            guard let byte = next else { return nil }
            at += 1
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
            case UInt8(ascii: "b"): return "\u{8}"
            case UInt8(ascii: "f"): return "\u{C}"
            case UInt8(ascii: "n"): return "\n"
            case UInt8(ascii: "r"): return "\r"
            case UInt8(ascii: "t"): return "\t"
            case UInt8(ascii: "u"):
                guard let unit = hex() else { return nil }
                guard (0xD800...0xDBFF).contains(unit) else { return Unicode.Scalar(unit) }
                guard take("\\"), take("u"), let second = hex(), (0xDC00...0xDFFF).contains(second) else { return nil }
                return Unicode.Scalar(0x10000 + (unit - 0xD800) << 10 + (second - 0xDC00))
            default: return nil
            }
        }

        private mutating func hex() -> UInt32? {
            let digits = bytes[at...].prefix(4)
            guard digits.count == 4, digits.allSatisfy(\.isHexDigit) else { return nil }
            at += 4
            return UInt32(String(decoding: digits, as: UTF8.self), radix: 16)
        }
    }
}
