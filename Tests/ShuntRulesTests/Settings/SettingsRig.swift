import ShuntCore

@testable import ShuntRules

/// A rule whose settings are what a text of Lua says.
final class SettingsRig {
    let folder: PluginFolder

    /// - Parameter settings: what follows `settings = `.
    init(_ settings: String, onLoad: String = "", before: String = "") throws {
        folder = try PluginFolder([
            "plugins/r/rule.lua": """
            \(before)
            return {
              settings = \(settings),
              on_load = function(settings) \(onLoad) end,
              on_message = function() end,
            }
            """
        ])
    }

    func load(_ given: SettingValue) throws(ShuntError) -> RuleSet {
        try RuleSet.load(directory: folder.path + "/plugins", settings: ["r": given])
    }

    /// What the rule gets.
    func taken(_ given: SettingValue) throws(ShuntError) -> SettingValue { try load(given).rules[0].settings }

    func errors(_ given: SettingValue) -> [ShuntError] {
        do throws(ShuntError) {
            _ = try load(given)
            return []
        } catch {
            return error.all
        }
    }

    /// What is wrong with the schema, whatever the settings.
    static func fault(_ settings: String, before: String = "") throws -> ShuntError? { try SettingsRig(settings, before: before).errors([:]).first }
}
