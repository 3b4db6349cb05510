/// What Lua has in place of what other languages have.
enum LuaHints {
    /// Of a character that Lua has not.
    static func character(_ character: Unicode.Scalar, next: UInt8?) -> String? {
        switch character {
        case "!": next == UInt8(ascii: "=") ? "~= says that two values differ" : "not says the reverse of a value"
        case "?": "a and b or c chooses between two values"
        case "`", "\u{2018}"..."\u{201F}", "\u{AB}", "\u{BB}", "\u{2039}", "\u{203A}": "a text stands between two \" or two '"
        case "\u{A0}", "\u{2000}"..."\u{200F}", "\u{202F}", "\u{FEFF}": "a plain blank"
        case _ where character.properties.isAlphabetic: "names have the letters a to z, digits and _"
        default: nil
        }
    }

    /// Words that begin a statement, and no value.
    private static let beginning: Set<String> = ["return", "if", "for", "while", "repeat", "local", "break", "goto"]
    private static let braces = "Lua has no braces around statements: end closes them"

    /// Of a word that is missing, by what stands in its place.
    static func missing(_ word: String, at token: String) -> String? {
        switch (word, token) {
        case ("then", "="), ("do", "="): "== compares two values"
        case ("then", "{"), ("do", "{"): "Lua has no braces around statements: \(word) … end"
        case ("}", ":"): "in a table, a = 1 gives a key its value, and [\"a b\"] = 1 does so for other texts"
        default: nil
        }
    }

    /// Of a call that has no arguments, or no name.
    static let colon = "a:b() calls a method; in a table, a = 1 gives a key its value"

    /// Of a name that begins a statement, and is no variable's.
    static func word(_ name: String) -> String? {
        switch name {
        case "continue": "goto continue, with ::continue:: before the loop's end"
        case "let", "var", "const": "local x = …"
        case "elif", "elsif", "elseIf": "elseif"
        case "def", "func", "fn": "function NAME(…) … end"
        case "import": "require finds the plugin's own files"
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
        case "=" where before == "=" || before == "==": "== compares two values"
        case "=" where before == ")": "function(x) return x + 1 end is a function"
        case "[": "{ 1, 2 } is a list"
        case "{": braces
        case _ where before == "{" && beginning.contains(sign): braces
        default: nil
        }
    }

    private static let changing: Set<String> = ["+", "-", "*", "/", "%", "..", "//", "^", "&", "|"]

    /// Of a value that stands where a statement should.
    /// - Parameter sign: what follows it.
    static func value(_ value: LuaExpression, sign: String, next: UInt8?) -> String? {
        let name = if case .name(let name) = value.kind { name.text } else { "x" }
        if let hint = word(name) { return hint }
        if sign == "+" && next == sign.utf8.first { return "\(name) = \(name) + 1: Lua has no ++" }
        guard next == UInt8(ascii: "="), changing.contains(sign) else { return nil }
        return "\(name) = \(name) \(sign) …: Lua has no \(sign)="
    }
}
