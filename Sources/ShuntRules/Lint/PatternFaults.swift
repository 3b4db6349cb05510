import ShuntCore

/// What is wrong with a pattern of Lua's `string` functions, whatever text it is given.
struct LuaPattern {
    private let bytes: [UInt8]
    private var at = 0
    /// Of each capture, whether it has been closed.
    private var captures: [Bool] = []

    /// nil: nothing.
    static func fault(of pattern: String) -> String? {
        var reader = LuaPattern(bytes: Array(pattern.utf8))
        return reader.fault()
    }

    private init(bytes: [UInt8]) { self.bytes = bytes }

    private mutating func fault() -> String? {
        while at < bytes.count {
            let byte = bytes[at]
            at += 1
            let fault: String? =
                switch byte {
                case UInt8(ascii: "("): open()
                case UInt8(ascii: ")"): close()
                case UInt8(ascii: "["): set()
                case UInt8(ascii: "%"): escape()
                default: nil
                }
            if let fault { return fault }
        }
        return captures.contains(false) ? "has a ( without its )" : nil
    }

    private mutating func open() -> String? {
        guard captures.count < 32 else { return "has more than 32 captures" }
        // `()` is a place, and closed at once.
        let isPlace = at < bytes.count && bytes[at] == UInt8(ascii: ")")
        if isPlace { at += 1 }
        captures.append(isPlace)
        return nil
    }

    private mutating func close() -> String? {
        guard let last = captures.lastIndex(of: false) else { return "has a ) without its (" }
        captures[last] = true
        return nil
    }

    private mutating func set() -> String? {
        if at < bytes.count, bytes[at] == UInt8(ascii: "^") { at += 1 }
        // A bracket that comes first is one of the set.
        repeat {
            guard at < bytes.count else { return "has a [ without its ]" }
            at += bytes[at] == UInt8(ascii: "%") ? 2 : 1
        } while at >= bytes.count || bytes[at] != UInt8(ascii: "]")
        at += 1
        return nil
    }

    private mutating func escape() -> String? {
        guard at < bytes.count else { return "ends with %" }
        let byte = bytes[at]
        at += 1
        switch byte {
        case UInt8(ascii: "b"):
            guard at + 2 <= bytes.count else { return "has %b without two signs" }
            at += 2
        case UInt8(ascii: "f"): if at >= bytes.count || bytes[at] != UInt8(ascii: "[") { return "has %f without a set" }
        case UInt8(ascii: "0")...UInt8(ascii: "9"):
            let number = Int(byte) - 49
            if !captures.indices.contains(number) || !captures[number] { return "has %\(number + 1), and no such capture before it" }
        default: break
        }
        return nil
    }
}

/// What is wrong with a regular expression of `re`: the worker's own reader says it.
enum RePattern {
    /// nil: nothing, or it cannot be told.
    static func fault(of pattern: String) -> String? {
        guard !pattern.utf8.isEmpty, !pattern.contains("\u{FFFD}") else { return nil }
        let escaped = pattern.utf8.map { "\\x" + (String($0 >> 4, radix: 16) + String($0 & 15, radix: 16)) }.joined()
        let rule = "local ok, why = pcall(re.test, '', '\(escaped)') if not ok then error(why, 0) end return {}"
        do throws(ShuntError) {
            _ = try RuleSet.definition(of: RulePlugin(name: "re", rule: rule), limits: RuleLimits())
            return nil
        } catch {
            return error.message
        }
    }
}

/// What a worker refuses in a format of `string.format`.
enum LuaFormat {
    static let known = "%c %d %i %o %x %X %a %e %f %g %s %%"

    /// What is wrong with it; nil where it is right.
    static func fault(of format: String) -> String? {
        var rest = Substring(format)
        while let start = rest.firstIndex(of: "%") {
            rest = rest[start...].dropFirst()
            rest = rest.drop { "-+ #0".contains($0) }.drop { $0.isASCII && $0.isNumber }
            if rest.first == "." { rest = rest.dropFirst().drop { $0.isASCII && $0.isNumber } }
            guard let sign = rest.popFirst() else { return "it ends with '%'" }
            guard "cdioxXaAeEfgGs%".contains(sign) else { return "there is no %\(PrintableText.of(String(sign)))" }
        }
        return nil
    }
}
