import ShuntCore

/// Checks settings against what a rule says of them, and makes of them what the rule gets: defaults filled in, durations as seconds, sizes
/// as bytes, paths as lists of names.
struct SettingsChecker {
    /// nil: patterns are not looked at.
    let finds: PatternFinder?
    /// What was wrong, in the order of the names. The location is the setting: `rules.settings.redact.redactions[1].remove[0]`.
    private(set) var errors: [ShuntError] = []
    /// More of them help nobody.
    private static let mostErrors = 20

    init(finds: PatternFinder?) { self.finds = finds }

    /// The settings of a rule.
    /// - Parameter key: `rules.settings.redact`.
    mutating func settings(_ given: SettingValue, _ schema: SettingsSchema, at key: String) -> SettingValue {
        var type = SettingType(.table(schema.fields))
        type.isOptional = true
        return value(given == .null ? .object([:]) : given, type, key, hidden: false) ?? .object([:])
    }

    /// Of a rule that does not say what its settings are: only that no list has a null in it, where Lua would see the list's end.
    mutating func unknown(_ given: SettingValue, at key: String) {
        switch given {
        case .array(let values):
            for (index, value) in values.enumerated() {
                let place = "\(key)[\(index)]"
                if value == .null { addNull(place, "give it a value, or take it out of the list") } else { unknown(value, at: place) }
            }
        case .object(let values):
            for (name, value) in values.sorted(by: { $0.key < $1.key }) { unknown(value, at: "\(key).\(name)") }
        default: break
        }
    }

    // MARK: errors

    private mutating func add(_ code: ErrorCode, _ message: String, at key: String, help: String) {
        if errors.count < Self.mostErrors { errors.append(ShuntError(code, message, at: key, help: help)) }
    }

    private mutating func addNull(_ key: String, _ help: String) { add(.configRange, "\(key) is null", at: key, help: help) }

    private mutating func wrong(
        _ given: SettingValue, _ type: SettingType, _ key: String, _ hidden: Bool, code: ErrorCode = .configType, near: String? = nil
    ) {
        var what = "is \(given.typeName)"
        switch given {
        case .array(let values) where code == .configRange: what = "has \(values.count) element\(values.count == 1 ? "" : "s")"
        case .object(let values) where code == .configRange: what = "has \(values.count) entr\(values.count == 1 ? "y" : "ies")"
        case .bool, .int, .double, .string:
            // A text in the place of a table may be what belongs into it, and is secret there.
            if !hidden, !type.isContainer { what = "is \(given.text)" }
        default: break
        }
        if hidden, code == .configRange { what = "does not fit; it is secret and not shown" }
        let quotes = Self.quotes(given, type, hidden)
        let doc = type.doc.isEmpty ? "" : ": \(type.doc)"
        add(code, "\(key) \(what)", at: key, help: (near.map { "did you mean \($0)? " } ?? "") + quotes + type.expectation + doc)
    }

    /// What is to be said of quotes, where a value is right except for them.
    private static func quotes(_ given: SettingValue, _ type: SettingType, _ hidden: Bool) -> String {
        if case .enumeration(let values) = type.kind {
            guard !hidden, let twin = values.first(where: { $0.plain == given.plain }) else { return "" }
            return twin.typeName == "a text" ? "in quotes it is a text; " : "without quotes it is \(twin.typeName); "
        }
        return type.isText && given.isScalar && given.typeName != "a text" ? "in quotes it is a text; " : ""
    }

    // MARK: values

    /// nil where it is wrong, and the errors tell.
    mutating func value(_ given: SettingValue, _ type: SettingType, _ key: String, hidden: Bool) -> SettingValue? {
        let hidden = hidden || type.isSecret
        if given == .null {
            addNull(key, type.expectation)
            return nil
        }
        switch type.kind {
        case .text, .topic, .filter, .path: return text(given, type, key, hidden)
        case .integer, .number, .duration, .size: return number(given, type, key, hidden)
        case .boolean:
            if case .bool = given { return given }
        case .enumeration(let values):
            if values.contains(given) { return given }
            let isQuoted = values.contains { $0.plain == given.plain }
            // Where there is one alone, it is told without a guess.
            let near = hidden || isQuoted || values.count == 1 ? nil : Suggestion.closest(to: given.plain, in: values.map(\.plain))
            wrong(given, type, key, hidden, code: .configRange, near: near)
            return nil
        case .list(let element): return list(given, element, type, key, hidden)
        case .map(let element): return map(given, element, type, key, hidden)
        case .table(let fields):
            guard let entries = given.entries else { break }
            return table(entries, fields, key, hidden)
        case .any:
            let count = errors.count
            unknown(given, at: key)
            return errors.count == count ? given : nil
        }
        wrong(given, type, key, hidden)
        return nil
    }

    private mutating func text(_ given: SettingValue, _ type: SettingType, _ key: String, _ hidden: Bool) -> SettingValue? {
        guard case .string(let text) = given else {
            wrong(given, type, key, hidden)
            return nil
        }
        var checked: SettingValue? = given
        switch type.kind {
        case .topic: checked = SettingText.isTopic(text) ? given : nil
        case .filter: checked = SettingText.isFilter(text) ? given : nil
        case .path: checked = SettingText.path(text).map { .array($0.map(SettingValue.string)) }
        default: checked = type.contains(Double(text.utf8.count)) ? given : nil
        }
        if checked != nil, let pattern = type.pattern, let finds {
            do throws(ShuntError) {
                if try !finds(pattern, text) { checked = nil }
            } catch {
                add(.ruleInvalid, "\(key) can't be compared with \(pattern): \(error.message)", at: key, help: "a simpler pattern")
                return nil
            }
        }
        if checked == nil { wrong(given, type, key, hidden, code: .configRange) }
        return checked
    }

    private mutating func number(_ given: SettingValue, _ type: SettingType, _ key: String, _ hidden: Bool) -> SettingValue? {
        var number: Double?
        switch (type.kind, given) {
        case (.duration, _): number = SettingQuantity.seconds(given)
        case (.size, _): number = SettingQuantity.bytes(given)
        case (_, .int(let value)): number = Double(value)
        case (_, .double(let value)): number = value
        default: break
        }
        guard let number, number.isFinite else {
            wrong(given, type, key, hidden)
            return nil
        }
        let isMeasure = type.kind == .duration || type.kind == .size
        let isWhole = type.kind == .integer || type.kind == .size
        guard type.contains(number), !isMeasure || number >= 0, !isWhole || given.isInt || SettingQuantity.whole(number) != nil else {
            wrong(given, type, key, hidden, code: .configRange)
            return nil
        }
        // The digits of 64 bits are more than a Double has.
        if given.isInt || (type.kind == .number && !isMeasure) { return given }
        return SettingQuantity.value(number)
    }

    private mutating func list(
        _ given: SettingValue, _ element: SettingType, _ type: SettingType, _ key: String, _ hidden: Bool
    ) -> SettingValue? {
        guard let elements = given.elements else {
            wrong(given, type, key, hidden)
            return nil
        }
        // Elements have their own mistakes, however many they are.
        let isRight = type.contains(Double(elements.count))
        if !isRight { wrong(.array(elements), type, key, hidden, code: .configRange) }
        let checked = SettingValue.array(elements.enumerated().compactMap { value($1, element, "\(key)[\($0)]", hidden: hidden) })
        return isRight ? checked : nil
    }

    private mutating func map(
        _ given: SettingValue, _ element: SettingType, _ type: SettingType, _ key: String, _ hidden: Bool
    ) -> SettingValue? {
        guard let entries = given.entries else {
            wrong(given, type, key, hidden)
            return nil
        }
        let isRight = type.contains(Double(entries.count))
        if !isRight { wrong(.object(entries), type, key, hidden, code: .configRange) }
        var checked: [String: SettingValue] = [:]
        for (name, given) in entries.sorted(by: { $0.key < $1.key }) { checked[name] = value(given, element, "\(key).\(name)", hidden: hidden) }
        return isRight ? .object(checked) : nil
    }

    private mutating func table(
        _ given: [String: SettingValue], _ fields: [String: SettingType], _ key: String, _ hidden: Bool
    ) -> SettingValue? {
        let names = fields.keys.sorted()
        for name in given.keys.sorted() where fields[name] == nil {
            let near = Suggestion.closest(to: name, in: names).map { "did you mean \($0)? " } ?? ""
            let all = names.isEmpty ? "it has no keys" : "it has " + names.joined(separator: ", ")
            add(.configUnknownKey, "unknown key \(name) in \(key)", at: "\(key).\(name)", help: near + all)
        }
        var checked: [String: SettingValue] = [:]
        for name in names {
            guard let type = fields[name] else { continue }
            checked[name] = field(given[name] ?? .null, type, "\(key).\(name)", isGiven: given[name] != nil, hidden: hidden)
        }
        return .object(checked)
    }

    /// What YAML leaves empty counts as left out, where that is allowed.
    private mutating func field(_ given: SettingValue, _ type: SettingType, _ key: String, isGiven: Bool, hidden: Bool) -> SettingValue? {
        guard given == .null else { return value(given, type, key, hidden: hidden) }
        if let fallback = type.fallback { return fallback.checked }
        if type.isOptional { return nil }
        if case .table(let fields) = type.kind, !type.isRequired { return table([:], fields, key, hidden || type.isSecret) }
        let doc = type.doc.isEmpty ? "" : ": \(type.doc)"
        add(.configMissing, isGiven ? "\(key) is empty" : "\(key) is missing", at: key, help: type.expectation + doc)
        return nil
    }
}

/// Texts that mean something.
enum SettingText {
    static let longestTopic = 65535

    static func isTopic(_ text: String) -> Bool {
        var text = text
        return (1...longestTopic).contains(text.utf8.count) && text.withUTF8 { TopicFilter.isTopic(Bytes($0)) }
    }

    static func isFilter(_ text: String) -> Bool { (1...longestTopic).contains(text.utf8.count) && TopicFilter.isFilter(text) }

    /// The names of a dotted path; nil where one is empty, or a member 0.
    static func path(_ text: String) -> [String]? {
        let names = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        let isPath = names.allSatisfy { name in !name.isEmpty && !name.utf8.allSatisfy { $0 == UInt8(ascii: "0") } }
        return isPath ? names : nil
    }
}

extension SettingType {
    fileprivate var isText: Bool {
        switch kind {
        case .text, .topic, .filter, .path: true
        default: false
        }
    }

    fileprivate var isContainer: Bool {
        switch kind {
        case .list, .map, .table, .any: true
        default: false
        }
    }

    fileprivate func contains(_ number: Double) -> Bool { number >= minimum ?? -.infinity && number <= maximum ?? .infinity }
}

extension SettingValue {
    fileprivate var isInt: Bool { if case .int = self { true } else { false } }

    fileprivate var isScalar: Bool {
        switch self {
        case .bool, .int, .double, .string: true
        default: false
        }
    }

    /// Lua has one empty table for both.
    fileprivate var elements: [SettingValue]? {
        switch self {
        case .array(let values): values
        case .object(let values) where values.isEmpty: []
        default: nil
        }
    }

    fileprivate var entries: [String: SettingValue]? {
        switch self {
        case .object(let values): values
        case .array(let values) where values.isEmpty: [:]
        default: nil
        }
    }
}

extension SettingType {
    /// The texts of secret values: what is not to be seen anywhere. Of fewer than four bytes they are no secret, and would be found anywhere.
    func secrets(in value: SettingValue, hidden: Bool = false) -> Set<String> {
        let hidden = hidden || isSecret
        switch (kind, value) {
        case (.table(let fields), .object(let values)):
            return values.reduce(into: []) { $0.formUnion(fields[$1.key]?.secrets(in: $1.value, hidden: hidden) ?? []) }
        case (.list(let element), .array(let values)), (.map(let element), .array(let values)):
            return values.reduce(into: []) { $0.formUnion(element.secrets(in: $1, hidden: hidden)) }
        case (.map(let element), .object(let values)):
            return values.values.reduce(into: []) { $0.formUnion(element.secrets(in: $1, hidden: hidden)) }
        default: return hidden ? value.texts : []
        }
    }
}

extension SettingValue {
    fileprivate var texts: Set<String> {
        switch self {
        case .null, .bool: []
        case .int(let value): "\(value)".utf8.count >= 4 ? ["\(value)"] : []
        case .double(let value): ["\(value)"]
        case .string(let value): value.utf8.count >= 4 ? [value] : []
        case .array(let values): values.reduce(into: []) { $0.formUnion($1.texts) }
        case .object(let values): values.values.reduce(into: []) { $0.formUnion($1.texts) }
        }
    }
}
