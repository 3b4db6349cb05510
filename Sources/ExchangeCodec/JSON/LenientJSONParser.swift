import ShuntCore

/// Reads the dialect of §8 in one pass: unquoted and single-quoted keys, single-quoted strings, comments, commas
/// without number, `\x` escapes.
struct LenientJSONParser {
    private let bytes: Bytes
    private let subject: String
    private var position = 0
    private var values = 0

    init(_ bytes: Bytes, subject: String) {
        self.bytes = bytes
        self.subject = subject
    }

    mutating func parseDocument() throws(ShuntError) -> LenientObject {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { position = 3 }
        try skipSpace()
        guard take("{") else { throw fault("the text is not an object", help: "it begins with '{'") }
        let object = try parseObject(depth: 1)
        try skipSpace()
        guard peek == nil else { throw fault("there is something after the object") }
        return object
    }

    // MARK: Values

    private mutating func parseValue(depth: Int) throws(ShuntError) -> LenientJSON {
        values += 1
        guard values <= LenientJSON.maximumValues else {
            throw fault("the text holds too many values", help: "at most \(LenientJSON.maximumValues)")
        }
        guard let first = peek else { throw fault("the text ends where a value should be") }
        switch first {
        case UInt8(ascii: "{"):
            position += 1
            return .object(try parseObject(depth: depth + 1))
        case UInt8(ascii: "["):
            position += 1
            return .array(try parseArray(depth: depth + 1))
        case UInt8(ascii: "\""), UInt8(ascii: "'"):
            return .string(try parseString())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            return .number(try parseNumber())
        default:
            return try parseWord()
        }
    }

    /// After the `{`.
    private mutating func parseObject(depth: Int) throws(ShuntError) -> LenientObject {
        try checkDepth(depth)
        var object = LenientObject(members: [], subject: subject)
        while true {
            try skipCommas()
            if take("}") { return object }
            let key = try parseKey()
            try skipSpace()
            guard take(":") else { throw fault("there is no ':' after a key") }
            try skipSpace()
            object.members.append(.init(key: key, value: try parseValue(depth: depth)))
            try skipSpace()
            guard peek == UInt8(ascii: ",") || peek == UInt8(ascii: "}") else {
                throw fault("the object goes on without ','", help: "',' or '}' follows a value")
            }
        }
    }

    /// After the `[`.
    private mutating func parseArray(depth: Int) throws(ShuntError) -> [LenientJSON] {
        try checkDepth(depth)
        var elements: [LenientJSON] = []
        while true {
            try skipCommas()
            if take("]") { return elements }
            elements.append(try parseValue(depth: depth))
            try skipSpace()
            guard peek == UInt8(ascii: ",") || peek == UInt8(ascii: "]") else {
                throw fault("the array goes on without ','", help: "',' or ']' follows a value")
            }
        }
    }

    private func checkDepth(_ depth: Int) throws(ShuntError) {
        guard depth <= LenientJSON.maximumDepth else {
            throw fault("the text nests too deep", help: "at most \(LenientJSON.maximumDepth) arrays and objects")
        }
    }

    private mutating func parseWord() throws(ShuntError) -> LenientJSON {
        let start = position
        while let byte = peek, isWordByte(byte) { position += 1 }
        switch text(from: start) {
        case "null": return .null
        case "true": return .bool(true)
        case "false": return .bool(false)
        default:
            position = start
            throw fault("there is no value", help: "strings are quoted")
        }
    }

    private mutating func parseNumber() throws(ShuntError) -> String {
        let start = position
        _ = take("-")
        var digits = skipDigits()
        if digits > 0, take(".") { _ = skipDigits() }
        if digits > 0, take("e") || take("E") {
            _ = take("+") || take("-")
            digits = skipDigits()
        }
        if digits == 0 || peek.map(isWordByte) == true {
            position = start
            throw fault("there is a number that can not be read")
        }
        return text(from: start)
    }

    private mutating func skipDigits() -> Int {
        let start = position
        while let byte = peek, 0x30...0x39 ~= byte { position += 1 }
        return position - start
    }

    // MARK: Keys and strings

    private mutating func parseKey() throws(ShuntError) -> String {
        if peek == UInt8(ascii: "\"") || peek == UInt8(ascii: "'") { return try parseString() }
        let start = position
        while let byte = peek, isWordByte(byte) { position += 1 }
        guard position > start else { throw fault(peek == nil ? "the text ends inside an object" : "there is no key") }
        return text(from: start)
    }

    /// Whether a byte may stand in an unquoted key.
    private func isWordByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "_"), UInt8(ascii: "$"), 0x80...: true
        default: false
        }
    }

    /// From the quote on; the closing one is the same.
    private mutating func parseString() throws(ShuntError) -> String {
        let quote = bytes[position]
        position += 1
        var start = position
        // Only a string with escapes is copied piece by piece.
        var assembled: [UInt8] = []
        while let byte = peek {
            position += 1
            if byte == quote {
                let rest = bytes[start..<position - 1]
                if assembled.isEmpty { return String(decoding: rest, as: UTF8.self) }
                return String(decoding: assembled + rest, as: UTF8.self)
            }
            if byte == UInt8(ascii: "\\") {
                assembled += bytes[start..<position - 1]
                try appendEscape(to: &assembled)
                start = position
            }
        }
        throw fault("the text ends inside a string")
    }

    /// After the backslash.
    private mutating func appendEscape(to string: inout [UInt8]) throws(ShuntError) {
        guard let byte = peek else { throw fault("the text ends inside a string") }
        position += 1
        switch byte {
        case UInt8(ascii: "b"): string.append(0x08)
        case UInt8(ascii: "t"): string.append(0x09)
        case UInt8(ascii: "n"): string.append(0x0A)
        case UInt8(ascii: "v"): string.append(0x0B)
        case UInt8(ascii: "f"), UInt8(ascii: "F"): string.append(0x0C)
        case UInt8(ascii: "r"): string.append(0x0D)
        case UInt8(ascii: "0")...UInt8(ascii: "7"): string.append(byte - 0x30)
        case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "\\"), UInt8(ascii: "/"): string.append(byte)
        case UInt8(ascii: "x"): string += try scalar(parseHex(2))
        case UInt8(ascii: "u"): string += try scalar(parseUTF16())
        default:
            position -= 1
            throw fault("there is an unknown escape in a string", help: #"\b \t \n \f \r \" \' \\ \/ \xXX \uXXXX are known"#)
        }
    }

    /// One code point of one or two `\uXXXX`; half a surrogate pair stays what it is.
    private mutating func parseUTF16() throws(ShuntError) -> UInt32 {
        let unit = try parseHex(4)
        guard 0xD800...0xDBFF ~= unit, position + 6 <= bytes.count, bytes[position] == UInt8(ascii: "\\"),
            bytes[position + 1] == UInt8(ascii: "u")
        else { return unit }
        let mark = position
        position += 2
        let second = try parseHex(4)
        guard 0xDC00...0xDFFF ~= second else {
            position = mark
            return unit
        }
        return 0x10000 + (unit - 0xD800) << 10 + (second - 0xDC00)
    }

    private mutating func parseHex(_ count: Int) throws(ShuntError) -> UInt32 {
        var number: UInt32 = 0
        for _ in 0..<count {
            guard let byte = peek, let digit = hexDigit(byte) else {
                throw fault("there is an escape without its \(count) hexadecimal digits")
            }
            number = number << 4 | digit
            position += 1
        }
        return number
    }

    private func hexDigit(_ byte: UInt8) -> UInt32? {
        switch byte {
        case 0x30...0x39: UInt32(byte - 0x30)
        case 0x41...0x46: UInt32(byte - 0x41 + 10)
        case 0x61...0x66: UInt32(byte - 0x61 + 10)
        default: nil
        }
    }

    /// The UTF-8 of a code point, of U+FFFD for half a surrogate pair.
    private func scalar(_ code: UInt32) -> UTF8.EncodedScalar {
        UTF8.encode(Unicode.Scalar(code) ?? "\u{FFFD}") ?? UTF8.encodedReplacementCharacter
    }

    // MARK: Between the tokens

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard peek == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func skipCommas() throws(ShuntError) {
        repeat { try skipSpace() } while take(",")
    }

    /// White space and comments.
    private mutating func skipSpace() throws(ShuntError) {
        while let byte = peek {
            switch byte {
            case 0x20, 0x09, 0x0A, 0x0D, 0x0C, 0x08: position += 1
            case UInt8(ascii: "/"): try skipComment()
            default: return
            }
        }
    }

    private mutating func skipComment() throws(ShuntError) {
        let start = position
        position += 1
        if take("/") {
            while let byte = peek, byte != 0x0A { position += 1 }
            return
        }
        if take("*") {
            while position + 1 < bytes.count {
                if bytes[position] == UInt8(ascii: "*"), bytes[position + 1] == UInt8(ascii: "/") {
                    position += 2
                    return
                }
                position += 1
            }
        }
        position = start
        throw fault("there is a comment without end")
    }

    private func text(from start: Int) -> String { String(decoding: bytes[start..<position], as: UTF8.self) }

    private func fault(_ message: String, help: String? = nil) -> ShuntError {
        ShuntError(.requestInvalid, message, at: "\(subject), byte \(position)", help: help)
    }
}
