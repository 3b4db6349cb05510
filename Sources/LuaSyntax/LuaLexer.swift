/// A word, a sign or a value of Lua's text.
struct LuaToken {
    enum Kind { case name, keyword, symbol, text, number, end }

    var kind: Kind
    /// A text's value, and else the token as it is written.
    var text: String
    var offset: Int
    var end: Int
    /// Of a text that is not UTF-8.
    var bytes: [UInt8]?

    /// The value of a text.
    var literal: LuaExpression.Kind { bytes.map(LuaExpression.Kind.bytes) ?? .text(text) }

    func `is`(_ word: String) -> Bool { (kind == .symbol || kind == .keyword) && text == word }

    var shown: String {
        switch kind {
        case .end: "the end of the file"
        case .text: "a text"
        case .name, .keyword, .symbol, .number: "'\(text)'"
        }
    }
}

/// Takes Lua 5.4's text apart, once from its start to its end.
struct LuaLexer {
    let bytes: [UInt8]
    private(set) var at = 0
    /// Comments that begin with `shunt:`, without it, and where they begin.
    private(set) var notes: [(offset: Int, text: String)] = []

    static let keywords: Set<String> = [
        "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "goto", "if", "in", "local", "nil", "not", "or", "repeat",
        "return", "then", "true", "until", "while",
    ]
    /// Longer ones first.
    private static let symbols = [
        "...", "..", "==", "~=", "<=", ">=", "<<", ">>", "//", "::", "+", "-", "*", "/", "%", "^", "#", "&", "~", "|", "<", ">", "=", "(", ")",
        "{", "}", "[", "]", ";", ":", ",", ".",
    ].map { Array($0.utf8) }

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { at = 3 }
    }

    private func peek(_ ahead: Int = 0) -> UInt8? { at + ahead < bytes.count ? bytes[at + ahead] : nil }

    private func text(from start: Int) -> String { String(decoding: bytes[start..<at], as: UTF8.self) }

    private func token(_ value: some Collection<UInt8>, from start: Int) -> LuaToken {
        let text = String(validating: value, as: UTF8.self)
        return LuaToken(
            kind: .text, text: text ?? String(decoding: value, as: UTF8.self), offset: start, end: at, bytes: text == nil ? Array(value) : nil)
    }

    mutating func next() throws(LuaSyntaxError) -> LuaToken {
        try skipBlanks()
        let start = at
        guard let byte = peek() else { return LuaToken(kind: .end, text: "", offset: at, end: at) }
        if byte.isLuaLetter {
            while let byte = peek(), byte.isLuaLetter || byte.isDigit { at += 1 }
            let word = text(from: start)
            return LuaToken(kind: Self.keywords.contains(word) ? .keyword : .name, text: word, offset: start, end: at)
        }
        if byte.isDigit || byte == UInt8(ascii: "."), byte.isDigit || peek(1)?.isDigit == true { return try number() }
        if byte == UInt8(ascii: "\"") || byte == UInt8(ascii: "'") { return try quoted(byte) }
        if byte == UInt8(ascii: "["), let level = bracketLevel() {
            return token(try long(level, "text", from: start), from: start)
        }
        for symbol in Self.symbols where byte == symbol[0] && bytes[at...].starts(with: symbol) {
            at += symbol.count
            return LuaToken(kind: .symbol, text: text(from: start), offset: start, end: at)
        }
        let character = byte < 32 || byte == 127 ? nil : scalar()
        let isPlain = byte < 128
        let shown = character.map { "'\($0)'" } ?? "byte \(byte)"
        throw LuaSyntaxError(
            "Lua has no \(shown)\(isPlain && character != nil ? "" : " outside of texts")", at: start,
            help: character.flatMap { LuaHints.character($0, next: peek(1)) })
    }

    /// The character that begins here; nil where none does.
    private func scalar() -> Unicode.Scalar? {
        (1...4).lazy.compactMap { count in
            at + count <= bytes.count ? String(validating: bytes[at..<(at + count)], as: UTF8.self)?.unicodeScalars.first : nil
        }.first
    }

    private mutating func skipBlanks() throws(LuaSyntaxError) {
        while let byte = peek() {
            if byte == 32 || (9...13).contains(byte) {
                at += 1
            } else if byte == UInt8(ascii: "-"), peek(1) == UInt8(ascii: "-") {
                let start = at
                at += 2
                if peek() == UInt8(ascii: "["), let level = bracketLevel() {
                    _ = try long(level, "comment", from: start)
                } else {
                    while let byte = peek(), byte != 10, byte != 13 { at += 1 }
                    let words = bytes[(start + 2)..<at].drop { $0 == 32 || $0 == 9 }
                    let mark = Array("shunt:".utf8)
                    if words.starts(with: mark) { notes.append((start, String(decoding: words.dropFirst(mark.count), as: UTF8.self))) }
                }
            } else {
                return
            }
        }
    }

    /// How many `=` a long bracket that begins here has; nil where none does.
    private func bracketLevel() -> Int? {
        var level = 0
        while peek(1 + level) == UInt8(ascii: "=") { level += 1 }
        return peek(1 + level) == UInt8(ascii: "[") ? level : nil
    }

    private mutating func long(_ level: Int, _ what: String, from start: Int) throws(LuaSyntaxError) -> ArraySlice<UInt8> {
        at += level + 2
        let first = at
        while let byte = peek() {
            at += 1
            guard byte == UInt8(ascii: "]") else { continue }
            var count = 0
            while peek(count) == UInt8(ascii: "=") { count += 1 }
            if count == level, peek(count) == UInt8(ascii: "]") {
                defer { at += count + 1 }
                return bytes[first..<(at - 1)]
            }
            at += count
        }
        throw LuaSyntaxError("this \(what) has no end: ']\(String(repeating: "=", count: min(level, 20)))]' is missing", at: start)
    }

    // MARK: numbers

    private mutating func number() throws(LuaSyntaxError) -> LuaToken {
        let start = at
        let isHex = peek() == UInt8(ascii: "0") && (peek(1).map { $0 | 32 } == UInt8(ascii: "x"))
        if isHex { at += 2 }
        let exponent = UInt8(ascii: isHex ? "p" : "e")
        while let byte = peek() {
            if byte | 32 == exponent {
                at += 1
                if let sign = peek(), sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { at += 1 }
            } else if byte.isHexDigit || byte == UInt8(ascii: ".") {
                at += 1
            } else {
                break
            }
        }
        if let byte = peek(), byte.isLuaLetter { at += 1 }
        let written = text(from: start)
        guard Self.isNumber(bytes[(start + (isHex ? 2 : 0))..<at], isHex: isHex, exponent: exponent) else {
            throw LuaSyntaxError("'\(written.prefix(40))' is no number", at: start)
        }
        return LuaToken(kind: .number, text: written, offset: start, end: at)
    }

    private static func isNumber(_ text: ArraySlice<UInt8>, isHex: Bool, exponent: UInt8) -> Bool {
        func digits(_ text: ArraySlice<UInt8>, isHex: Bool) -> Bool { text.allSatisfy { isHex ? $0.isHexDigit : $0.isDigit } }
        var mantissa = text
        if let split = text.firstIndex(where: { $0 | 32 == exponent }) {
            mantissa = text[..<split]
            var power = text[(split + 1)...]
            if let sign = power.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-") { power = power.dropFirst() }
            guard !power.isEmpty, digits(power, isHex: false) else { return false }
        }
        let parts = mantissa.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        return parts.count <= 2 && parts.contains { !$0.isEmpty } && parts.allSatisfy { digits($0, isHex: isHex) }
    }

    // MARK: texts

    private mutating func quoted(_ quote: UInt8) throws(LuaSyntaxError) -> LuaToken {
        let start = at
        var value: [UInt8] = []
        at += 1
        while let byte = peek() {
            at += 1
            if byte == quote { return token(value, from: start) }
            if byte == 10 || byte == 13 { break }
            if byte == UInt8(ascii: "\\") { try escape(&value) } else { value.append(byte) }
        }
        throw LuaSyntaxError("this text has no end: \(quote == UInt8(ascii: "'") ? "'" : "\"") is missing", at: start)
    }

    private static let escapes: [UInt8: UInt8] = [
        UInt8(ascii: "a"): 7, UInt8(ascii: "b"): 8, UInt8(ascii: "f"): 12, UInt8(ascii: "n"): 10, UInt8(ascii: "r"): 13, UInt8(ascii: "t"): 9,
        UInt8(ascii: "v"): 11, UInt8(ascii: "\\"): 92, UInt8(ascii: "\""): 34, UInt8(ascii: "'"): 39,
    ]

    private mutating func escape(_ value: inout [UInt8]) throws(LuaSyntaxError) {
        let start = at - 1
        guard let byte = peek() else { return }
        at += 1
        if let plain = Self.escapes[byte] { return value.append(plain) }
        switch byte {
        case 10, 13:
            if let next = peek(), next != byte, next == 10 || next == 13 { at += 1 }
            value.append(10)
        case UInt8(ascii: "z"): while let next = peek(), next == 32 || (9...13).contains(next) { at += 1 }
        case UInt8(ascii: "x"):
            guard let high = peek()?.hexValue, let low = peek(1)?.hexValue else {
                throw LuaSyntaxError("\\x needs two hexadecimal digits", at: start)
            }
            at += 2
            value.append(high << 4 | low)
        case UInt8(ascii: "u"): try character(&value, from: start)
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            var code = Int(byte - 48)
            for _ in 0..<2 { if let next = peek(), next.isDigit { (code, at) = (code * 10 + Int(next - 48), at + 1) } }
            guard code < 256 else { throw LuaSyntaxError("\\\(code) is more than a byte", at: start) }
            value.append(UInt8(code))
        default: throw LuaSyntaxError("texts have no such escape; a backslash itself is \\\\", at: start)
        }
    }

    private mutating func character(_ value: inout [UInt8], from start: Int) throws(LuaSyntaxError) {
        var code = 0
        var count = 0
        guard peek() == UInt8(ascii: "{") else { throw LuaSyntaxError("\\u needs a number in braces, as in \\u{20AC}", at: start) }
        at += 1
        while let digit = peek()?.hexValue {
            (code, count, at) = (code << 4 | Int(digit), count + 1, at + 1)
            guard code < 1 << 31 else { throw LuaSyntaxError("\\u{…} is too large", at: start) }
        }
        guard count > 0, peek() == UInt8(ascii: "}") else { throw LuaSyntaxError("\\u needs a number in braces, as in \\u{20AC}", at: start) }
        at += 1
        value += Self.encoded(code)
    }

    /// In UTF-8 as Lua writes it: also codes that are no characters.
    private static func encoded(_ code: Int) -> [UInt8] {
        guard code >= 0x80 else { return [UInt8(code)] }
        var (rest, first) = (code, 0x3F)
        var bytes: [UInt8] = []
        repeat {
            bytes.append(UInt8(0x80 | rest & 0x3F))
            (rest, first) = (rest >> 6, first >> 1)
        } while rest > first
        return [UInt8(truncatingIfNeeded: ~first << 1 | rest)] + bytes.reversed()
    }
}

extension UInt8 {
    fileprivate var isDigit: Bool { (48...57).contains(self) }
    fileprivate var isLuaLetter: Bool { self == 95 || (97...122).contains(self | 32) }
    fileprivate var isHexDigit: Bool { hexValue != nil }
    fileprivate var hexValue: UInt8? {
        switch self {
        case 48...57: self - 48
        case 65...70: self - 55
        case 97...102: self - 87
        default: nil
        }
    }
}
