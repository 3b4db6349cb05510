/// The names of the API, for the checks: all from the table that definitions for editors are printed from.
enum RuleVocabulary {
    static let classes = Dictionary(uniqueKeysWithValues: LuaDefinitions.classes.map { ($0.name, $0) })
    static let libraries = Dictionary(uniqueKeysWithValues: LuaDefinitions.libraries.map { ($0.name, $0) })
    static let functions = Dictionary(uniqueKeysWithValues: LuaDefinitions.functions.map { ($0.name, $0) })

    /// Hooks and other keys of a rule's table.
    static let ruleKeys = Set(LuaDefinitions.rule.fields.map { plain($0.name) } + RuleHook.allCases.map(\.rawValue) + RuleDefinitionReader.keys)

    /// The types of a hook's parameters.
    static let hookParameters: [String: [String]] = Dictionary(
        uniqueKeysWithValues: LuaDefinitions.rule.fields.filter { $0.name.hasPrefix("on_") }.map { field in
            let list = field.type.dropFirst("fun(".count).prefix { $0 != ")" }
            return (plain(field.name), list.split(separator: ",").map { type(String($0.drop { $0 != ":" }.dropFirst())) })
        })

    /// The names of a hook's parameters, as the pages write them.
    static let hookParameterNames: [String: [String]] = Dictionary(
        uniqueKeysWithValues: LuaDefinitions.rule.fields.filter { $0.name.hasPrefix("on_") }.map { field in
            let list = field.type.dropFirst("fun(".count).prefix { $0 != ")" }
            return (plain(field.name), list.split(separator: ",").map { String($0.drop { $0 == " " }.prefix { $0 != ":" }) })
        })

    /// By hook, the types that it may return; hooks whose results are ignored are not there.
    static let hookResults: [String: [String]] = Dictionary(
        uniqueKeysWithValues: LuaDefinitions.rule.fields.compactMap { field in
            guard field.name.hasPrefix("on_"), let end = field.type.firstRange(of: "): ") else { return nil }
            return (plain(field.name), LiteralChecks.union(field.type[end.upperBound...]))
        })

    static let verdicts = libraries["route"]?.functions.map(\.name) ?? []

    /// Lua's own, as far as rules have it.
    static let standard: [String: Set<String>] = [
        "string": [
            "byte", "char", "find", "format", "gmatch", "gsub", "len", "lower", "match", "pack", "packsize", "rep", "reverse", "sub", "unpack",
            "upper",
        ],
        "table": ["concat", "insert", "move", "pack", "remove", "sort", "unpack"],
        "math": [
            "abs", "acos", "asin", "atan", "ceil", "cos", "deg", "exp", "floor", "fmod", "huge", "log", "max", "maxinteger", "min", "mininteger",
            "modf", "pi", "rad", "random", "sin", "sqrt", "tan", "tointeger", "type", "ult",
        ],
        "utf8": ["char", "charpattern", "codepoint", "codes", "len", "offset"],
        "coroutine": ["close", "create", "isyieldable", "resume", "running", "status", "wrap", "yield"],
    ]
    static let standardFunctions: Set<String> = [
        "_G", "_VERSION", "assert", "error", "getmetatable", "ipairs", "next", "pairs", "pcall", "print", "rawequal", "rawget", "rawlen", "rawset",
        "select", "setmetatable", "tonumber", "tostring", "type", "xpcall", "_ENV", "collectgarbage",
    ]
    static let absent: Set<String> = ["io", "os", "package", "debug", "load", "loadstring", "dofile", "loadfile", "unpack", "setfenv", "getfenv"]

    static let globals = standardFunctions.union(standard.keys).union(libraries.keys).union(functions.keys)

    /// What settings are written with.
    static let settingWords = Set(SettingsSchema.words.map(\.name))

    /// The members of a library, or nil where nothing is known.
    static func members(of library: String) -> (functions: Set<String>, fields: Set<String>)? {
        if let names = standard[library] { return (names, []) }
        guard let library = libraries[library] else { return nil }
        var names = Set(library.functions.map(\.name))
        if let type = library.type, let shape = classes[type] { names.formUnion(shape.fields.map { plain($0.name) }) }
        return (names, Set(library.fields.map { plain($0.name) }))
    }

    /// A library's function, with what it takes.
    static func function(_ name: String, of library: String) -> LuaDefinitions.Function? {
        guard let library = libraries[library] else { return nil }
        if let function = library.functions.first(where: { $0.name == name }) { return function }
        // `kv` and `shared`: a field of their class is `fun(key: string, …): …`.
        guard let field = library.type.flatMap({ classes[$0] })?.fields.first(where: { plain($0.name) == name }), field.type.hasPrefix("fun(") else {
            return nil
        }
        let list = field.type.dropFirst("fun(".count).prefix { $0 != ")" }
        let parameters = list.split(separator: ",").map { String($0.drop { $0 == " " }) }
        return LuaDefinitions.Function(name, parameters, [], field.doc)
    }

    /// Of `"a"|"b"` the texts; nil where it may be something else.
    static func texts(of type: String) -> [String]? {
        let types = LiteralChecks.union(type)
        let texts = types.filter { $0.hasPrefix("\"") && $0.hasSuffix("\"") && $0.utf8.count > 1 }.map { String($0.dropFirst().dropLast()) }
        return texts.count == types.count ? texts : nil
    }

    /// By hook, what its parameters may be, where they are some texts.
    static let hookTexts: [String: [[String]?]] = Dictionary(
        uniqueKeysWithValues: LuaDefinitions.rule.fields.filter { $0.name.hasPrefix("on_") }.map { field in
            let list = field.type.dropFirst("fun(".count).prefix { $0 != ")" }
            return (plain(field.name), list.split(separator: ",").map { texts(of: String($0.drop { $0 != ":" }.dropFirst())) })
        })

    static func plain(_ name: String) -> String { name.hasSuffix("?") ? String(name.dropLast()) : name }

    /// Of `shunt.Client?` the class, of `shunt.Member[] members` the list; empty where it may be one of several.
    static func type(_ text: String) -> String {
        if texts(of: text) != nil { return "string" }
        var name = text.drop { $0 == " " }.prefix { $0.isLetter || $0 == "." || $0 == "_" }
        var rest = text.drop { $0 == " " }.dropFirst(name.count)
        if !name.isEmpty, rest.hasPrefix("[]") { (name, rest) = (name + "[]", rest.dropFirst(2)) }
        return rest.isEmpty || rest == "?" || rest.hasPrefix(" ") || rest.hasPrefix("? ") ? String(name) : ""
    }

    /// The keys that a parameter `name: { a?: text, … }`, or one of a class, takes, each with its type; nil where it takes any.
    static func keys(ofParameter parameter: String?) -> [String: String]? {
        guard let parameter, let colon = parameter.firstIndex(of: ":") else { return nil }
        var type = parameter[parameter.index(after: colon)...].drop { $0 == " " }
        while type.last == " " { type.removeLast() }
        if type.hasPrefix("shunt.Filter"), let filter = classes["shunt.Filter"] {
            return filter.fields.reduce(into: [:]) { $0[plain($1.name)] = $1.type }
        }
        guard type.hasPrefix("{"), type.hasSuffix("}"), !type.contains("[string]") else { return nil }
        var depth = 0
        var keys: [String: String] = [:]
        var (word, value) = ("", "")
        var isName = true
        for letter in type.dropFirst().dropLast() + "," {
            switch letter {
            case "{", "<", "(": depth += 1
            case "}", ">", ")": depth -= 1
            default: break
            }
            if letter == "," && depth == 0 {
                if !word.isEmpty { keys[plain(word)] = value }
                (isName, word, value) = (true, "", "")
            } else if letter == ":" && depth == 0 && isName {
                isName = false
            } else if !isName {
                value.append(letter)
            } else if letter != " " {
                word.append(letter)
            }
        }
        return keys
    }
}
