import CLuaHost
import ShuntCore

/// What one setting of a rule may be.
public struct SettingType: Equatable, Sendable {
    public indirect enum Kind: Equatable, Sendable {
        case text, integer, number, boolean, duration, size, topic, filter, path, any
        /// Texts, numbers, true and false.
        case enumeration([SettingValue])
        case list(SettingType)
        case map(SettingType)
        case table([String: SettingType])
    }

    public struct Fallback: Equatable, Sendable {
        public var checked: SettingValue
        /// As the rule's file has it.
        public var written: SettingValue
    }

    public var kind: Kind
    /// It may be left out; the rule then gets nil.
    public var isOptional = false
    /// What the rule gets where it is left out.
    public var fallback: Fallback?
    /// Of numbers, seconds, bytes of sizes and texts, elements, entries.
    public var minimum: Double?
    public var maximum: Double?
    /// A Lua pattern that a text has a match of.
    public var pattern: String?
    public var doc = ""
    /// Its values, and those below it, are never shown.
    public var isSecret = false
    /// The line of the rule's file that says it.
    var place: String?

    init(_ kind: Kind) { self.kind = kind }

    /// Whether the configuration has to give it. A table all of whose fields may be left out may be left out, too.
    public var isRequired: Bool {
        guard !isOptional, fallback == nil else { return false }
        if case .table(let fields) = kind { return fields.values.contains(where: \.isRequired) }
        return true
    }

    /// As the rule writes it: `list(filter)`.
    public var name: String {
        switch kind {
        case .text: "text"
        case .integer: "integer"
        case .number: "number"
        case .boolean: "boolean"
        case .duration: "duration"
        case .size: "size"
        case .topic: "topic"
        case .filter: "filter"
        case .path: "path"
        case .any: "any"
        case .enumeration: "enum"
        case .list(let element): "list(\(element.name))"
        case .map(let value): "map(\(value.name))"
        case .table: "table"
        }
    }
}

/// The settings of a rule.
public struct SettingsSchema: Equatable, Sendable {
    public var fields: [String: SettingType]

    /// The words that `settings` is written with while a rule's files load, and what each takes: the one table of them.
    public static let words: [(name: String, doc: String)] = {
        var words: [(name: String, doc: String)] = []
        while let name = shunt_schema_word(words.count), let doc = shunt_schema_doc(words.count) {
            words.append((String(cString: name), String(cString: doc)))
        }
        return words
    }()

    /// What may stand in the braces of a type, and what it says.
    public static let options: [(name: String, doc: String)] = [
        ("optional", "true: it may be left out, and the rule gets nil"),
        ("default", "what the rule gets where it is left out"),
        ("min", "the least: of numbers, sizes and durations themselves, bytes of a text, elements of a list, entries of a map"),
        ("max", "the most"),
        ("pattern", "a Lua pattern that a text, topic or filter must have a match of; with ^ and $ all of it"),
        ("doc", "what it means, for people"),
        ("secret", "true: its values are not shown in errors, logs and pages"),
    ]
}

/// Whether a text has a match of a Lua pattern.
/// - Throws: where the pattern is wrong.
typealias PatternFinder = (_ pattern: String, _ text: String) throws(ShuntError) -> Bool
