import CLuaHost
import ShuntCore

/// Reads the `settings` of a rule's table.
struct SettingTypeReader {
    let plugin: RulePlugin
    /// nil: patterns are not looked at.
    let finds: PatternFinder?

    /// Words of other languages.
    static let others = [
        "string": "text", "str": "text", "int": "integer", "long": "integer", "float": "number", "double": "number", "bool": "boolean",
        "array": "list", "object": "table", "struct": "table", "dict": "map", "time": "duration", "seconds": "duration", "bytes": "size",
        "choice": "enum", "one_of": "enum", "pattern": "filter", "field": "path",
    ]

    /// - Throws: `rule.invalid`, with the line where the rule says it.
    func schema(_ value: LuaValue) throws(ShuntError) -> SettingsSchema {
        let place = plugin.location(of: "settings")
        if let table = value.table { try noMisspelt(table[SHUNT_SCHEMA_MISSED] ?? .null) }
        // table { … } says the same as braces alone.
        if value["$type"].string != nil {
            guard case .table(let fields) = try type(value, "settings", place).kind else {
                throw wrong("settings is one type", place, "a table of them by their names: settings = { topic = filter }")
            }
            return SettingsSchema(fields: fields)
        }
        return SettingsSchema(fields: try fields(value, "settings", place))
    }

    /// A word that Lua does not know is nil: without this the setting would not be there.
    private func noMisspelt(_ missed: LuaValue) throws(ShuntError) {
        let list = missed.list ?? []
        for index in stride(from: 0, to: list.count - 1, by: 2) {
            guard let name = list[index].string, let place = list[index + 1].string else { continue }
            guard let word = Self.others[name] ?? Suggestion.closest(to: name, in: Self.words) else { continue }
            // Of short names many are near, and some rule may test for a global that is not there.
            guard Self.others[name] != nil || name.utf8.count > 5 || name.first == word.first else { continue }
            throw wrong("unknown type \(name)", located(place) ?? plugin.location(of: "settings"), "did you mean \(word)? " + Self.allWords)
        }
    }

    private static let words = SettingsSchema.words.map(\.name)
    private static let allWords = "types: " + words.joined(separator: ", ")

    private func wrong(_ message: String, _ place: String, _ help: String) -> ShuntError {
        ShuntError(.ruleInvalid, message, at: place, help: help)
    }

    /// `plugins/redact/rule.lua:12` of `redact/rule.lua:12`.
    private func located(_ place: String) -> String? {
        place.hasPrefix(plugin.name + "/") ? plugin.directory + place.dropFirst(plugin.name.utf8.count) : nil
    }

    private func fields(_ value: LuaValue, _ key: String, _ place: String) throws(ShuntError) -> [String: SettingType] {
        guard let table = value.table ?? value.list.flatMap({ $0.isEmpty ? [:] : nil }) else {
            throw wrong("\(key) is a \(value.typeName)", place, "types by the settings' names: { topic = filter, rate = number }")
        }
        var fields: [String: SettingType] = [:]
        for (name, value) in table.sorted(by: { $0.key < $1.key }) where name != SHUNT_SCHEMA_MISSED {
            guard !name.isEmpty, Int(name) == nil else {
                throw wrong(
                    "\(key) has a type without a name", place,
                    "{ topic = filter }; options stand in braces of their own: list(text, { optional = true })")
            }
            fields[name] = try type(value, "\(key).\(name)", place)
        }
        return fields
    }

    private func type(_ value: LuaValue, _ key: String, _ outer: String) throws(ShuntError) -> SettingType {
        guard let word = value["$type"].string else {
            if value.table?["concat"]?.isFunction == true {
                throw wrong("\(key) is the library table", outer, "table { … } with the fields in it, or any")
            }
            if value.table?["sub"]?.isFunction == true { throw wrong("\(key) is the library string", outer, "text") }
            guard value.table != nil || value.list?.isEmpty == true else {
                let near = value.string.flatMap { Self.others[$0] ?? Suggestion.closest(to: $0, in: Self.words) }
                throw wrong(
                    "\(key) is a \(value.typeName), not a type", outer, (near.map { "did you mean \($0), without quotes? " } ?? "") + Self.allWords)
            }
            var type = SettingType(.table(try fields(value, key, outer)))
            type.place = outer
            return type
        }
        let place = value["$place"].string.flatMap(located) ?? outer
        var arguments = Arguments(value)
        var type = SettingType(try kind(word, &arguments, key, place))
        type.place = place
        let options = arguments.options ?? [:]
        if let extra = arguments.extra {
            throw wrong("\(key): \(word) is given a \(extra.typeName) too many", place, Self.usage(word))
        }
        try read(options, of: word, key, place, into: &type)
        return type
    }

    private static func usage(_ word: String) -> String {
        switch word {
        case "list", "map": "\(word)(text), or \(word)(text, { optional = true })"
        case "table": "table { rate = number }, or table({ rate = number }, { optional = true })"
        case "enum": "enum { \"drop\", \"reject\" }, with options among them or in braces of their own"
        default: "\(word), or \(word) { optional = true, doc = \"…\" }"
        }
    }

    private func kind(_ word: String, _ arguments: inout Arguments, _ key: String, _ place: String) throws(ShuntError) -> SettingType.Kind {
        switch word {
        case "text": return .text
        case "integer": return .integer
        case "number": return .number
        case "boolean": return .boolean
        case "duration": return .duration
        case "size": return .size
        case "topic": return .topic
        case "filter": return .filter
        case "path": return .path
        case "any": return .any
        case "enum": return .enumeration(try values(&arguments, key, place))
        case "list", "map", "table":
            guard let inner = arguments.takeFirst() else {
                throw wrong("\(key): \(word) does not say what is in it", place, Self.usage(word))
            }
            if word == "table" { return .table(try fields(inner, key, place)) }
            if let first = inner.list?.first?["$type"].string, inner.list?.count == 1 {
                throw wrong("\(key): \(word) is given braces with \(first) in them", place, Self.usage(word).replacing("text", with: first))
            }
            let element = try type(inner, key + (word == "list" ? "[]" : ".*"), place)
            return word == "list" ? .list(element) : .map(element)
        default: throw wrong("\(key): unknown type \(word)", place, Self.allWords)
        }
    }

    /// Of `enum { "a", "b", doc = "…" }`, `enum({ "a", "b" }, { … })` and `enum("a", "b")`.
    private func values(_ arguments: inout Arguments, _ key: String, _ place: String) throws(ShuntError) -> [SettingValue] {
        var values: [LuaValue] = []
        while let next = arguments.first, next.table == nil, next.list == nil { values += arguments.takeFirst().map { [$0] } ?? [] }
        if values.isEmpty, let first = arguments.takeFirst() {
            values = first.list ?? []
            var options = first.table ?? [:]
            while let value = options.removeValue(forKey: "\(values.count + 1)") { values.append(value) }
            if !options.isEmpty { arguments.add(options) }
        }
        guard !values.isEmpty, values.allSatisfy(\.isEnumerable) else {
            throw wrong("\(key): enum needs its values: texts, numbers, true or false", place, Self.usage("enum"))
        }
        let found = values.map(SettingValue.init)
        if let twin = found.indices.first(where: { found[..<$0].contains(found[$0]) }) {
            throw wrong("\(key): enum names \(found[twin].text) twice", place, "each value once")
        }
        return found
    }

    // MARK: options

    private func read(_ options: [String: LuaValue], of word: String, _ key: String, _ place: String, into type: inout SettingType) throws(ShuntError)
    {
        for (name, value) in options.sorted(by: { $0.key < $1.key }) {
            switch (name, value) {
            case ("default", _): continue
            case ("optional", .bool(let isOptional)): type.isOptional = isOptional
            case ("secret", .bool(let isSecret)): type.isSecret = isSecret
            case ("doc", .string(let doc)): type.doc = doc
            case ("pattern", .string(let pattern)) where Self.texts.contains(word):
                type.pattern = pattern
                do throws(ShuntError) { _ = try finds?(pattern, "") } catch {
                    throw wrong("\(key): the pattern \"\(pattern)\" is none of Lua: \(error.message)", place, "such as \"^%a+$\"")
                }
            case ("min", _) where type.hasRange: type.minimum = try bound(value, name, type, key, place)
            case ("max", _) where type.hasRange: type.maximum = try bound(value, name, type, key, place)
            default: throw wrongOption(name, value, word, key, place)
            }
        }
        if let least = type.minimum, let most = type.maximum, least > most {
            throw wrong("\(key): min is more than max", place, "min = \(SettingQuantity.number(most)), max = \(SettingQuantity.number(least))?")
        }
        guard let given = options["default"] else { return }
        let written = SettingValue(given)
        var checker = SettingsChecker(finds: finds)
        guard let checked = checker.value(written, type, key, hidden: false), checker.errors.isEmpty else {
            let error = checker.errors.first
            throw wrong("the default of \(key) does not fit: \(error?.message ?? "it is wrong")", place, error?.help ?? type.expectation)
        }
        type.fallback = SettingType.Fallback(checked: checked, written: written)
    }

    private func wrongOption(_ name: String, _ value: LuaValue, _ word: String, _ key: String, _ place: String) -> ShuntError {
        let names = SettingsSchema.options.map(\.name)
        guard names.contains(name) else {
            let near = Suggestion.closest(to: name, in: names).map { "did you mean \($0)? " } ?? ""
            let what = name.isEmpty || Int(name) != nil ? "a value without a name" : "the unknown option \(name)"
            return wrong("\(key): \(word) is given \(what)", place, near + "options: " + names.joined(separator: ", "))
        }
        let having = ["min": Self.ranged, "max": Self.ranged, "pattern": Self.texts][name]
        if let having, !having.contains(word) {
            return wrong("\(key): \(word) has no \(name)", place, "leave it out")
        }
        return wrong("\(key): \(name) is a \(value.typeName)", place, name == "optional" || name == "secret" ? "true or false" : "a text")
    }

    private static let texts = ["text", "topic", "filter"]
    private static let ranged = ["text", "integer", "number", "duration", "size", "list", "map"]

    private func bound(_ value: LuaValue, _ name: String, _ type: SettingType, _ key: String, _ place: String) throws(ShuntError) -> Double {
        let given = SettingValue(value)
        let number =
            switch type.kind {
            case .duration: SettingQuantity.seconds(given)
            case .size: SettingQuantity.bytes(given)
            default: value.number
            }
        guard let number, number.isFinite, number >= 0 || !type.counts else {
            throw wrong(
                "\(key): \(name) is \(number == nil ? given.typeName : given.text)", place,
                type.kind == .duration
                    ? "such as \"1s\"" : type.kind == .size ? "such as \"1MiB\"" : type.counts ? "a number of at least 0" : "a number")
        }
        return number
    }
}

/// What a word was called with: types first, then options.
private struct Arguments {
    private var values: [LuaValue]

    init(_ node: LuaValue) {
        let given = node.table ?? [:]
        let last = given.keys.compactMap(Int.init).max() ?? 0
        values = last > 0 ? (1...last).map { given["\($0)"] ?? .null } : []
    }

    var first: LuaValue? { values.first }

    mutating func takeFirst() -> LuaValue? {
        guard let first = values.first, first != .null else { return nil }
        return values.removeFirst()
    }

    mutating func add(_ options: [String: LuaValue]) { values.append(.object(options)) }

    /// Of all tables that are left.
    var options: [String: LuaValue]? {
        values.compactMap(\.table).filter { $0["$type"] == nil }.reduce(into: [:]) { $0.merge($1) { first, _ in first } }
    }

    var extra: LuaValue? { values.first { ($0.table == nil && $0.list?.isEmpty != true) || $0["$type"] != .null } }
}

extension SettingType {
    /// Whether its bounds are numbers of bytes, elements or entries.
    fileprivate var counts: Bool {
        switch kind {
        case .text, .list, .map: true
        default: false
        }
    }

    fileprivate var hasRange: Bool {
        switch kind {
        case .text, .integer, .number, .duration, .size, .list, .map: true
        case .boolean, .topic, .filter, .path, .any, .enumeration, .table: false
        }
    }
}

extension LuaValue {
    fileprivate var isFunction: Bool { if case .function = self { true } else { false } }

    fileprivate var isEnumerable: Bool {
        switch self {
        case .bool, .int, .double, .string: true
        default: false
        }
    }
}
