import ShuntConfig
import ShuntCore
import ShuntFetch

extension LookupService {
    /// What the rules of plugins may ask, as the configuration says.
    /// - Throws: the errors of files; where libcurl is missing.
    static func permits(_ configuration: Configuration) throws(ShuntError) -> [String: Permit] {
        var permits: [String: Permit] = [:]
        var files = AccessFiles()
        for (plugin, settings) in configuration.rules.lookups.sorted(by: { $0.key < $1.key }) {
            let key = "rules.lookups.\(plugin)"
            guard !settings.hosts.isEmpty || !settings.names.isEmpty else { continue }
            if !settings.hosts.isEmpty {
                do throws(ShuntError) { try Fetcher.check() } catch { throw configuration.placed(ShuntError(error.code, error.message), at: key) }
            }
            do throws(ShuntError) {
                permits[plugin] = Permit(
                    settings, authorities: settings.authorities.isEmpty ? nil : try files.authorities(settings.authorities, "\(key).ca"))
            } catch {
                throw error
            }
        }
        return permits
    }
}

extension WorkerRules {
    /// What is wrong with `rules.lookups` that keeps nothing from running.
    func lookupWarnings(_ configuration: Configuration) -> [ShuntError] {
        let plugins = set.rules.map(\.plugin.name)
        let unlisted = set.rules.filter { configuration.rules.lookups[$0.plugin.name] == nil && $0.plugin.looksUp }.map { rule in
            ShuntError(
                .configInvalid, "the rule \(rule.definition.name) looks something up, and may ask nobody", at: rule.plugin.directory,
                help: "rules.lookups.\(rule.plugin.name): { hosts: [\"https://auth.internal\"] }")
        }
        return unlisted
            + configuration.rules.lookups.sorted { $0.key < $1.key }.compactMap { name, settings in
                let key = "rules.lookups.\(name)"
                guard plugins.contains(name) else {
                    let nearest = Suggestion.closest(to: name, in: plugins).map { "did you mean \($0)? " } ?? ""
                    return configuration.placed(
                        ShuntError(
                            .configInvalid, "there are look-ups for \(name), which is not enabled", help: nearest + "use the plugin's folder name"),
                        at: key)
                }
                guard settings.hosts.isEmpty, settings.names.isEmpty else { return nil }
                return configuration.placed(
                    ShuntError(.configInvalid, "\(key) allows nothing", help: "hosts: [\"auth.internal:8080\"], or names"), at: key)
            }
    }
}
