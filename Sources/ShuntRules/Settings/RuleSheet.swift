import ShuntCore

/// What a rule says of itself, for people and programs.
public struct RuleSheet: Sendable {
    private let plugin: RulePlugin
    private let definition: RuleDefinition
    private let hasMatchFunction: Bool

    /// - Parameter path: a plugin's folder, or its rule.lua.
    /// - Throws: `rule.*` where it does not load.
    public init(path: String, limits: RuleLimits = RuleLimits()) throws(ShuntError) {
        plugin = try RulePlugin(directory: path.hasSuffix("/rule.lua") ? String(path.dropLast("/rule.lua".count)) : path, limits: limits)
        let host = try LuaHost(worker: "check", loop: 0, limits: limits, shared: try SharedStore(limits: limits))
        let loaded = try LoadedRule(plugin, in: host)
        let table = try loaded.table()
        var reader = RuleDefinitionReader(plugin: plugin, limits: limits)
        reader.finds = { (pattern, text) throws(ShuntError) in try loaded.finds(pattern, in: text) }
        definition = try reader.read(table)
        if case .function = table["match"] ?? .null { hasMatchFunction = true } else { hasMatchFunction = false }
    }

    /// The plugin of a directory.
    /// - Throws: `rule.missing`, with the nearest name, where there is none.
    public init(name: String, in directory: String, limits: RuleLimits = RuleLimits()) throws(ShuntError) {
        let present = try RulePlugin.names(in: directory)
        guard present.contains(name) else { throw RuleSet.missing(name, in: directory, present) }
        try self.init(path: "\(directory)/\(name)", limits: limits)
    }

    /// The table of the settings in Markdown, as it stands in the plugin's README.
    public var page: String { definition.schema?.page ?? "The rule does not say what its settings are.\n" }

    /// Where that table stands in a README.
    public static let pageMarks = (start: "<!-- settings: what `shunt rule show --output markdown` prints -->\n", end: "<!-- end of settings -->\n")

    // MARK: what all outputs tell

    private var kinds: String { MessageKind.allCases.filter(definition.match.kinds.contains).map { "\($0)" }.joined(separator: ", ") }

    private var match: String {
        if hasMatchFunction { return "as its settings say" }
        let topics = definition.match.filters.map { "; topic " + $0.joined(separator: ", ") } ?? ""
        return definition.match == RuleDefinition.Match() ? "everything" : "kind \(kinds)\(topics)"
    }

    /// What stands where calls of the rule's hooks fail.
    private var onError: String {
        if let action = definition.onError { return action.rawValue }
        let told = RuleDefinition.OnError.allCases.reversed().compactMap { action -> String? in
            let hooks = hooks.filter { RuleHook(rawValue: $0)?.standardOnError == action }
            return hooks.isEmpty ? nil : "\(action.rawValue) for \(hooks.joined(separator: ", "))"
        }
        return told.isEmpty ? "means nothing: its hooks decide nothing" : told.joined(separator: "; ")
    }

    private var hooks: [String] { definition.hooks.sorted() }

    private static func texts(_ filters: [[UInt8]]) -> [String] { filters.map { String(decoding: $0, as: UTF8.self) } }

    private var grants: String {
        guard let grants = definition.grants else { return "none" }
        var all: [String] = []
        if !grants.publish.isEmpty { all.append("publish " + Self.texts(grants.publish).joined(separator: ", ")) }
        if !grants.chat.isEmpty { all.append("chat " + Self.texts(grants.chat).joined(separator: ", ")) }
        if grants.broadcast { all.append("broadcast") }
        return all.isEmpty ? "none" : all.joined(separator: "; ")
    }

    private var budget: String {
        "\(SettingQuantity.duration(Double(definition.nanoseconds) / 1e9)), \(SettingQuantity.size(Double(definition.memory)))"
    }

    private var breaker: String {
        let breaker = definition.breaker
        let (window, retry) = (SettingQuantity.duration(breaker.window), SettingQuantity.duration(breaker.retry))
        return "more than \(breaker.errors) errors in \(window) switch it off for \(retry)"
    }

    /// nil where the rule has no `on_tick`.
    private var tick: Double? { definition.hooks.contains(RuleHook.onTick.rawValue) ? definition.tick : nil }

    // MARK: for people

    public var text: String {
        let facts = [
            ("rule", definition.name), ("folder", plugin.directory), ("priority", "\(definition.priority)"), ("mode", definition.mode.name),
            ("match", match), ("budget", budget), ("on_error", onError), ("breaker", breaker), ("hooks", hooks.joined(separator: ", ")),
            ("tick", tick.map { "every \(SettingQuantity.duration($0))" } ?? ""), ("grants", grants),
        ].filter { !$0.1.isEmpty || $0.0 != "tick" }
        let lines = facts.flatMap { Self.entry($0, [$1], indent: 10) }
        return lines.joined(separator: "\n") + "\n\n" + settings
    }

    private var settings: String {
        guard let schema = definition.schema else {
            return "settings  the rule does not say what they are: see its page"
        }
        guard !schema.fields.isEmpty else { return "settings  it has none" }
        let longest = schema.rows.map(\.name.count).max() ?? 0
        let width = min(longest, Self.columns / 2) + 2
        let rows = schema.rows.flatMap { row in
            let fallback = row.fallback == "required" ? row.fallback : row.fallback == "none" ? "optional" : "default \(row.fallback)"
            return Self.entry(row.name, ["\(row.takes); \(fallback)", row.type.doc], indent: width)
        }
        return (Self.entry("SETTING", ["TAKES; DEFAULT, AND MEANING"], indent: width) + rows).joined(separator: "\n")
    }

    /// How wide the text is, where words are not longer.
    private static let columns = 80

    /// A name, and texts beside it, each from a new line on.
    private static func entry(_ name: String, _ texts: [String], indent: Int) -> [String] {
        var lines = texts.flatMap { wrapped($0, columns - indent) }.map { String(repeating: " ", count: indent) + $0 }
        if name.count + 2 > indent || lines.isEmpty { return [name] + lines }
        lines[0] = padded(name, indent) + lines[0].dropFirst(indent)
        return lines
    }

    private static func wrapped(_ text: String, _ width: Int) -> [String] {
        var lines: [String] = []
        for word in text.split(whereSeparator: { $0 == " " || $0 == "\n" }) {
            if let last = lines.last, last.count + 1 + word.count <= width {
                lines[lines.count - 1] = last + " " + word
            } else {
                lines.append(String(word))
            }
        }
        return lines
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(width - text.count, 2))
    }

    // MARK: for programs

    /// One line of JSON, which cannot steer a terminal.
    public var json: String {
        var members: [(String, String)] = []
        members.append(("name", Self.quoted(definition.name)))
        members.append(("folder", Self.quoted(plugin.directory)))
        members.append(("priority", String(definition.priority)))
        members.append(("mode", Self.quoted(definition.mode.name)))
        members.append(("match", hasMatchFunction ? "null" : matchJSON))
        let seconds = String(Double(definition.nanoseconds) / 1e9)
        members.append(("budget", Self.object([("seconds", seconds), ("bytes", String(definition.memory))])))
        members.append(("on_error", Self.quoted(definition.onError?.rawValue)))
        members.append(("breaker", breakerJSON))
        members.append(("hooks", Self.list(hooks)))
        members.append(("tick", Self.number(tick)))
        members.append(("grants", grantsJSON))
        members.append(("settings", settingsJSON))
        return PrintableText.json(Self.object(members))
    }

    private var matchJSON: String {
        let kinds: [String] = MessageKind.allCases.filter(definition.match.kinds.contains).map { "\($0)" }
        let topics = definition.match.filters
        return Self.object([("kinds", Self.list(kinds)), ("topics", topics == nil ? "null" : Self.list(topics ?? []))])
    }

    /// Times are seconds.
    private var breakerJSON: String {
        let breaker = definition.breaker
        return Self.object([
            ("errors", String(breaker.errors)), ("window", Self.number(breaker.window)), ("retry", Self.number(breaker.retry)),
        ])
    }

    private var grantsJSON: String {
        let grants = definition.grants ?? RuleDefinition.Grants()
        let publish = Self.list(Self.texts(grants.publish))
        let chat = Self.list(Self.texts(grants.chat))
        return Self.object([("publish", publish), ("chat", chat), ("broadcast", String(grants.broadcast))])
    }

    private var settingsJSON: String {
        guard let schema = definition.schema else { return "null" }
        let rows: [String] = schema.rows.map(Self.json)
        return "[" + rows.joined(separator: ",") + "]"
    }

    private static func json(_ row: SettingRow) -> String {
        let type = row.type
        var members: [(String, String)] = []
        members.append(("name", quoted(row.name)))
        members.append(("type", quoted(type.name)))
        members.append(("required", String(type.isRequired)))
        members.append(("secret", String(type.isAllSecret)))
        members.append(("default", row.shownFallback?.json ?? "null"))
        members.append(("min", number(type.minimum)))
        members.append(("max", number(type.maximum)))
        members.append(("pattern", quoted(type.pattern)))
        if case .enumeration(let values) = type.kind {
            let all: [String] = values.map(\.json)
            members.append(("values", "[" + all.joined(separator: ",") + "]"))
        }
        members.append(("takes", quoted(type.summary)))
        members.append(("doc", quoted(type.doc)))
        return object(members)
    }

    private static func number(_ value: Double?) -> String {
        guard let value else { return "null" }
        return SettingQuantity.number(value)
    }

    private static func object(_ members: [(String, String)]) -> String {
        let all: [String] = members.map { name, value in "\"" + name + "\":" + value }
        return "{" + all.joined(separator: ",") + "}"
    }

    private static func list(_ texts: [String]) -> String {
        let all: [String] = texts.map { RuleTestReport.quoted($0) }
        return "[" + all.joined(separator: ",") + "]"
    }

    private static func quoted(_ text: String?) -> String {
        guard let text else { return "null" }
        return RuleTestReport.quoted(text)
    }
}

extension SettingValue {
    /// As JSON.
    fileprivate var json: String {
        switch self {
        case .null, .bool, .int: text
        case .double(let value): value.isFinite ? "\(value)" : "null"
        case .string(let value): RuleTestReport.quoted(value)
        case .array(let values): "[\(values.map(\.json).joined(separator: ","))]"
        case .object(let values):
            "{" + values.sorted { $0.key < $1.key }.map { Self.member($0.key, $0.value) }.joined(separator: ",") + "}"
        }
    }

    private static func member(_ name: String, _ value: SettingValue) -> String { RuleTestReport.quoted(name) + ":" + value.json }
}
