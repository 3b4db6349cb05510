import CLuaHost
import ShuntCore

/// The rules that a worker runs: read, checked, in their order. One for all loops.
public struct RuleSet: Sendable {
    /// Which plugins of a directory run.
    public enum Enabled: Equatable, Sendable {
        case all
        case names([String])
    }

    public struct Rule: Sendable {
        public let plugin: RulePlugin
        public let definition: RuleDefinition
        /// As the rule gets them: checked, with defaults.
        public let settings: SettingValue
        /// Whether its decisions are applied.
        public let mode: RuleMode
        /// Whether it is another version of the next rule in the order, and runs beside it.
        public let isBeside: Bool
        /// Tells versions apart.
        public let digest: String

        init(_ plugin: RulePlugin, _ definition: RuleDefinition, _ settings: SettingValue, _ mode: RuleMode? = nil, isBeside: Bool = false) {
            (self.plugin, self.definition, self.settings) = (plugin, definition, settings)
            self.mode = mode ?? definition.mode
            self.isBeside = isBeside
            digest = plugin.digest(with: settings)
        }

        /// Whether the rule of another version does the same, so that it need not start anew.
        public func isSame(as other: Rule) -> Bool {
            plugin.isSame(as: other.plugin) && definition == other.definition && settings == other.settings
        }
    }

    /// By priority, highest first; then by name.
    public let rules: [Rule]
    /// What was found that does not keep a rule from running.
    public let warnings: [ShuntError]

    public static let empty = RuleSet(rules: [], warnings: [])

    init(rules: [Rule], warnings: [ShuntError]) {
        self.rules = rules
        self.warnings = warnings
    }

    /// Reads and checks the plugins of a directory: syntax, tables, and that `on_load` takes the settings.
    /// - Parameters:
    ///   - disabled: plugins that do not run although all do.
    ///   - settings: by the plugin's name.
    /// - Throws: `rule.missing` or `rule.invalid` with `file:line`; `rule.time`, `rule.memory` where loading ran over.
    public static func load(
        directory: String, enabled: Enabled = .all, disabled: [String] = [], settings: [String: SettingValue] = [:],
        limits: RuleLimits = RuleLimits(),
        trials: [String: RuleTrial] = [:], now: Double = 0
    ) throws(ShuntError) -> RuleSet {
        if case .names(let names) = enabled, names.isEmpty {
            return try RuleSet(plugins: [], settings: settings, limits: limits, trials: trials, now: now)
        }
        // A folder without a rule.lua is an error: a guard must not go because its file is missing for a moment.
        var names = enabled == .all ? try RulePlugin.folders(in: directory).filter { !disabled.contains($0) } : []
        let present = try RulePlugin.names(in: directory)
        if case .names(let asked) = enabled {
            names = asked
            for name in asked where !present.contains(name) { throw missing(name, in: directory, present) }
        }
        if let misspelt = misspeltSettings(settings, enabled: names, present) { throw misspelt }
        var plugins: [RulePlugin] = []
        for name in names { plugins.append(try RulePlugin(directory: directory + "/" + name, limits: limits)) }
        return try RuleSet(plugins: plugins, settings: settings, limits: limits, trials: trials, now: now)
    }

    /// Checks plugins that have been read.
    /// - Throws: the errors of all of them, as one.
    public init(
        plugins: [RulePlugin], settings: [String: SettingValue] = [:], limits: RuleLimits = RuleLimits(), trials: [String: RuleTrial] = [:],
        now: Double = 0
    ) throws(ShuntError) {
        guard plugins.count <= RuleSelection.capacity else {
            throw ShuntError(.ruleInvalid, "\(plugins.count) rules are enabled", help: "a worker runs at most \(RuleSelection.capacity)")
        }
        var rules: [Rule] = []
        var warnings: [ShuntError] = []
        var errors: [ShuntError] = []
        for plugin in plugins {
            let rule: Rule
            do throws(ShuntError) {
                let found: [ShuntError]
                (rule, found) = try Self.check(plugin, settings[plugin.name] ?? .object([:]), limits, now)
                warnings += found
            } catch {
                errors += error.all
                continue
            }
            if let other = rules.first(where: { $0.definition.name == rule.definition.name }) {
                errors.append(
                    ShuntError(
                        .ruleInvalid, "two rules are named \(rule.definition.name)", at: plugin.location(of: "name"),
                        help: "the other is \(other.plugin.directory)"))
            }
            rules.append(rule)
        }
        if let error = ShuntError(all: errors) { throw error }
        for name in settings.keys.sorted()
        where !plugins.contains(where: { $0.name == name || $0.name + RuleTrial.suffix == name && trials[$0.name]?.directory != nil }) {
            let trial = plugins.first { $0.name + RuleTrial.suffix == name }.map { "set rules.trials.\($0.name).directory" }
            warnings.append(Self.disabled(name, help: trial))
        }
        let sorted = rules.sorted {
            ($1.definition.priority, $0.definition.name) < ($0.definition.priority, $1.definition.name)
        }
        (self.rules, self.warnings) = try Self.adding(trials, to: sorted, settings, warnings, limits, now)
    }

    /// Loads the plugin in a state of its own, as every loop will.
    /// - Parameter key: where its settings stand in the configuration; nil: under the plugin's name.
    static func check(
        _ plugin: RulePlugin, _ settings: SettingValue, key: String? = nil, _ limits: RuleLimits, _ now: Double
    ) throws(ShuntError) -> (Rule, [ShuntError]) {
        let key = key ?? settingsKey(of: plugin.name)
        let host = try LuaHost(worker: "check", loop: 0, limits: limits, shared: try SharedStore(limits: limits))
        let loaded = try LoadedRule(plugin, in: host)
        let table = try loaded.table()
        var reader = RuleDefinitionReader(plugin: plugin, limits: limits)
        let finds: PatternFinder = { (pattern, text) throws(ShuntError) in try loaded.finds(pattern, in: text) }
        reader.finds = finds
        var definition = try reader.read(table)
        let settings = try checked(settings, definition, at: key, finds: finds)
        try loaded.configure(definition, settings: settings)
        let rule = Rule(plugin, definition, settings)
        do throws(ShuntError) {
            try loaded.start(after: nil, now: now)
            if case .function = table["match"] ?? .null { definition.match = try reader.match(try loaded.match()) }
        } catch {
            throw SecretTexts.hide(rule.secrets, in: aboutSettings(error, at: key))
        }
        let warnings = reader.warnings + loaded.methodWarnings() + plugin.fileWarnings() + reader.unreachable(definition)
        return (Rule(plugin, definition, settings), warnings)
    }

    /// What can be said of a plugin without its settings: syntax, its table, its hooks. `on_load` is not called.
    static func warnings(of plugin: RulePlugin, limits: RuleLimits) throws(ShuntError) -> [ShuntError] {
        try definition(of: plugin, limits: limits).warnings
    }

    /// What its table says, besides.
    static func definition(
        of plugin: RulePlugin, limits: RuleLimits
    ) throws(ShuntError) -> (definition: RuleDefinition, warnings: [ShuntError]) {
        let host = try LuaHost(worker: "check", loop: 0, limits: limits, shared: try SharedStore(limits: limits))
        let loaded = try LoadedRule(plugin, in: host)
        var reader = RuleDefinitionReader(plugin: plugin, limits: limits)
        reader.finds = { (pattern, text) throws(ShuntError) in try loaded.finds(pattern, in: text) }
        let definition = try reader.read(loaded.table())
        return (definition, reader.warnings + loaded.methodWarnings() + plugin.fileWarnings() + reader.unreachable(definition))
    }

    /// Settings for a plugin that there is not, where one whose name is like it would run without any: with its defaults, or not at all.
    private static func misspeltSettings(_ settings: [String: SettingValue], enabled: [String], _ present: [String]) -> ShuntError? {
        let bare = enabled.filter { settings[$0] == nil }
        for name in settings.keys.sorted() where !present.contains(name) && !enabled.contains(name) && !name.hasSuffix(RuleTrial.suffix) {
            guard let meant = Suggestion.closest(to: name, in: bare) else { continue }
            return disabled(name, help: "did you mean \(meant)?")
        }
        return nil
    }

    private static func disabled(_ name: String, help: String? = nil) -> ShuntError {
        ShuntError(.ruleInvalid, "there are settings for \(name), which is not enabled", at: "rules.settings.\(name)", help: help)
    }

    static func missing(_ name: String, in directory: String, _ present: [String]) -> ShuntError {
        let nearest = Suggestion.closest(to: name, in: present).map { "did you mean \($0)? " } ?? ""
        let list = present.isEmpty ? "it has none" : "it has " + present.joined(separator: ", ")
        return ShuntError(.ruleMissing, "there is no plugin \(name)", at: directory, help: nearest + list)
    }
}
