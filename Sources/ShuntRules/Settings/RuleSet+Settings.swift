import CLuaHost
import ShuntCore

extension RuleSet {
    /// Where a plugin's settings stand in a configuration.
    static func settingsKey(of plugin: String) -> String { "rules.settings.\(plugin)" }

    /// The settings as the rule gets them.
    /// - Parameter key: where they stand.
    /// - Throws: the first of the errors, with the others in it. Their locations are keys: `rules.settings.redact.redactions[1].remove[0]`.
    static func checked(
        _ settings: SettingValue, _ definition: RuleDefinition, at key: String, finds: PatternFinder?
    ) throws(ShuntError) -> SettingValue {
        var checker = SettingsChecker(finds: finds)
        var checked = settings
        if let schema = definition.schema {
            checked = checker.settings(settings, schema, at: key)
        } else {
            checker.unknown(settings, at: key)
        }
        if let error = ShuntError(all: checker.errors) { throw error }
        return checked
    }

    /// An error that `on_load` or `match` has raised: one that begins with a setting, as in `settings.routes[1].to: …`, is about the
    /// configuration. Lua counts from 1, the configuration's keys from 0.
    /// - Parameter settings: where they stand.
    static func aboutSettings(_ error: ShuntError, at settings: String) -> ShuntError {
        let name = error.message.prefix { $0 != ":" && $0 != " " }
        guard name.hasPrefix("settings"), error.message.dropFirst(name.count).hasPrefix(": ") else { return error }
        var key = ""
        var rest = name.dropFirst("settings".count)
        while let first = rest.first {
            rest = rest.dropFirst()
            guard first == "[" else {
                key.append(first)
                continue
            }
            let digits = rest.prefix { $0 != "]" }
            rest = rest.dropFirst(digits.count)
            guard let index = Int(digits), index > 0 else { return error }
            key += "[\(index - 1)"
        }
        guard key.isEmpty || key.hasPrefix(".") || key.hasPrefix("[") else { return error }
        var moved = error
        moved.location = settings + key
        moved.message = settings + key + error.message.dropFirst(name.count)
        return moved
    }
}

extension ShuntError {
    /// An error of rules with the places of its settings, and those of the others in it. An unknown key is found where it is written, a
    /// missing one where it would stand.
    /// - Parameter place: of a key such as `rules.settings.redact.keep`, or of the nearest one above it; of the key's name where that is asked.
    public func placed(_ place: (_ key: String, _ isName: Bool) -> String?) -> ShuntError {
        guard let key = location, key.hasPrefix("rules.settings") || key.hasPrefix("rules.trials.") else { return self }
        var placed = self
        placed.location = place(key, code == .configUnknownKey || code == .configMissing || key.hasPrefix("rules.trials.")) ?? key
        placed.others = others.map { $0.placed(place) }
        return placed
    }
}

extension RuleSet.Rule {
    /// Texts that nobody is to see.
    var secrets: Set<String> {
        definition.schema.map { SettingType(.table($0.fields)).secrets(in: settings) } ?? []
    }
}

extension LoadedRule {
    /// Whether a text has a match of a Lua pattern.
    /// - Throws: where the pattern is wrong.
    func finds(_ pattern: String, in text: String) throws(ShuntError) -> Bool {
        var found = false
        let ran = withBytes(of: pattern) { pattern in
            withBytes(of: text) { text in shunt_rule_finds(host.pointer, pointer, pattern, text, &found) }
        }
        if !ran { throw plugin.error(of: host) }
        return found
    }
}
