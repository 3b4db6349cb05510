import ShuntCore

extension RuleSet {
    /// Sets the modes of rules, and puts the versions that run beside rules in front of those.
    /// - Parameter settings: as they were given, by plugin.
    static func adding(
        _ trials: [String: RuleTrial], to rules: [Rule], _ settings: [String: SettingValue], _ warnings: [ShuntError], _ limits: RuleLimits,
        _ now: Double
    ) throws(ShuntError) -> ([Rule], [ShuntError]) {
        var (all, warnings): ([Rule], [ShuntError]) = ([], warnings)
        if let unknown = trials.keys.sorted().first(where: { name in !rules.contains { $0.plugin.name == name } }) {
            throw ShuntError(
                .ruleMissing, "\(unknown) is on trial and does not run", at: "rules.trials.\(unknown)",
                help: Suggestion.closest(to: unknown, in: rules.map(\.plugin.name)).map { "did you mean \($0)?" }
                    ?? "enable the plugin; what runs beside it is compared with it")
        }
        for rule in rules {
            guard let trial = trials[rule.plugin.name] else {
                all.append(rule)
                continue
            }
            guard let directory = trial.directory else {
                all.append(Rule(rule.plugin, rule.definition, rule.settings, trial.mode))
                continue
            }
            // The settings of the rule beside it, as they were written: this version may have other defaults, and other types.
            let name = rule.plugin.name
            let (own, key) = trial.settings.map { ($0, name + RuleTrial.suffix) } ?? (settings[name] ?? .object([:]), name)
            let (other, found) = try check(plugin(ofTrial: name, directory, limits), own, key: settingsKey(of: key), limits, now)
            var definition = other.definition
            definition.name = rule.definition.name + RuleTrial.suffix
            // It sees what the rule beside it sees.
            definition.priority = rule.definition.priority
            all.append(Rule(other.plugin, definition, other.settings, trial.mode, isBeside: true))
            all.append(rule)
            warnings += found
        }
        guard all.count <= RuleSelection.capacity else {
            throw ShuntError(
                .ruleInvalid, "\(all.count) rules would run, with those on trial", at: "rules.trials",
                help: "a worker runs at most \(RuleSelection.capacity)")
        }
        return (all, warnings)
    }

    private static func plugin(ofTrial name: String, _ directory: String, _ limits: RuleLimits) throws(ShuntError) -> RulePlugin {
        do throws(ShuntError) {
            return try RulePlugin(directory: directory, limits: limits)
        } catch {
            // What is wrong within a file has its own place.
            guard error.location.map({ $0 == directory || $0 + "/" == directory || $0 == directory + "/" }) ?? true else { throw error }
            throw ShuntError(error.code, "\(directory): \(error.message)", at: "rules.trials.\(name).directory", help: error.help)
        }
    }

    /// Whether nothing is different for a loop that runs the other set.
    public func isSame(as other: RuleSet) -> Bool {
        rules.count == other.rules.count
            && zip(rules, other.rules).allSatisfy { $0.isSame(as: $1) && $0.mode == $1.mode && $0.isBeside == $1.isBeside }
    }

    /// A set of this rule alone. Its decisions are applied, also where the rule is on trial.
    public func alone(_ rule: Rule) -> RuleSet { RuleSet(rules: [rule.deciding], warnings: []) }

    /// Whether any rule's decisions are not applied, or for some clients only.
    public var hasTrials: Bool { rules.contains { $0.mode != .live } }
}

extension RuleSet.Rule {
    /// The same rule, not on trial.
    var deciding: Self { Self(plugin, definition, settings, .live) }
}

extension RulePlugin {
    /// Whether the rule is the same; its tests may differ.
    func isSame(as other: RulePlugin) -> Bool { name == other.name && directory == other.directory && sources == other.sources }

    func digest(with settings: SettingValue) -> String {
        var digest = RuleDigest()
        for source in sources {
            digest.add(source.path.utf8)
            digest.add(source.text)
        }
        digest.add(LuaValue(settings).encoded)
        return digest.description
    }
}
