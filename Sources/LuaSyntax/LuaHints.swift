/// What Lua has in place of what other languages have.
enum LuaHints {
    /// Of a byte that Lua has not.
    static func byte(_ byte: UInt8, next: UInt8?) -> String? {
        switch byte {
        case UInt8(ascii: "!"): next == UInt8(ascii: "=") ? "~= says that two values differ" : "not says the reverse of a value"
        case UInt8(ascii: "?"): "a and b or c chooses between two values"
        default: nil
        }
    }

    /// Of a sign that stands where a value or a statement should begin.
    /// - Parameters:
    ///   - before: the sign that was read before it.
    ///   - next: what stands behind it.
    static func sign(_ sign: String, before: String, next: UInt8?) -> String? {
        switch sign {
        case "&" where before == "&": "and joins two conditions"
        case "|" where before == "|": "or joins two conditions"
        case "//", "#": "-- begins a comment"
        case "/" where next == UInt8(ascii: "*"): "--[[ begins a long comment, and ]] ends it"
        case "=" where before == "=": "== compares two values"
        default: nil
        }
    }

    private static let changing: Set<String> = ["+", "-", "*", "/", "%", "..", "//", "^", "&", "|"]

    /// Of a value that stands where a statement should.
    /// - Parameter sign: what follows it.
    static func value(_ value: LuaExpression, sign: String, next: UInt8?) -> String? {
        guard case .name(let name) = value.kind else {
            return next == UInt8(ascii: "=") && changing.contains(sign) ? "x = x \(sign) y: Lua has no \(sign)=" : nil
        }
        if name.text == "continue" { return "goto continue, with ::continue:: before the loop's end" }
        if (sign == "+" || sign == "-") && next == sign.utf8.first { return "\(name.text) = \(name.text) \(sign) 1: Lua has no \(sign)\(sign)" }
        guard next == UInt8(ascii: "="), changing.contains(sign) else { return nil }
        return "\(name.text) = \(name.text) \(sign) …: Lua has no \(sign)="
    }
}
