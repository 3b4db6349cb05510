import ShuntCore

/// The environment's names for keys: `worker.http.listen` is `SHUNT_WORKER_HTTP_LISTEN`.
struct ConfigVariables {
    static let prefix = "SHUNT_"
    /// Variables that are not keys: commands read the master's address and the like from them, and tokens are no part of a configuration.
    static let reserved: Set<String> = [
        "SHUNT_ADMIN", "SHUNT_ADMIN_TOKEN", "SHUNT_CAFILE", "SHUNT_CONTEXT", "SHUNT_MASTER", "SHUNT_PASSWORD", "SHUNT_PASSWORD_FILE",
        "SHUNT_TOKEN_FILE", "SHUNT_USER", Configuration.clusterTokenVariable,
    ]

    let keys: [ConfigKey<Configuration>]

    /// The variable of this key.
    static func name(_ path: [String]) -> String {
        prefix + path.map(word).joined(separator: "_")
    }

    /// The place that this variable's value goes to; nil if it belongs to no key.
    /// - Parameter tree: the values given so far: its listeners are found in any letter case.
    func target(_ variable: String, in tree: ConfigNode) -> ConfigTarget? {
        for key in keys {
            let name = Self.name(key.path)
            if variable == name { return ConfigTarget(path: key.path, shape: key.shape) }
            guard variable.hasPrefix(name + "_") else { continue }
            let rest = String(variable.dropFirst(name.count + 1))
            if let target = Self.target(rest, in: key.shape, known: known(at: key.path, in: tree)) {
                return ConfigTarget(path: key.path + target.path, shape: target.shape)
            }
        }
        return nil
    }

    /// The node of a key and the names that a variable may mean below it: the names that are there, and the plugins that are enabled.
    private func known(at path: [String], in tree: ConfigNode) -> ConfigNode {
        var node = tree[path: path] ?? .nothing(at: ConfigNode.defaults)
        guard path == ["rules", "settings"], case .list(let plugins)? = tree[path: ["rules", "enabled"]]?.content else { return node }
        for case .scalar(let plugin, _) in plugins.map(\.content) where node[plugin] == nil {
            node.set([plugin], to: .nothing(at: ConfigNode.defaults))
        }
        return node
    }

    private static func target(_ rest: String, in shape: ConfigShape, known node: ConfigNode) -> ConfigTarget? {
        let known = node.entries?.map(\.key) ?? []
        guard rest == rest.uppercased() else { return nil }
        switch shape {
        case .scalar, .list: return nil
        case .tree:
            // Without the plugin's name to compare with, it ends at the first `_`.
            return ConfigTarget(path: path(rest, in: node) ?? rest.split(separator: "_", maxSplits: 1).map { $0.lowercased() }, shape: .tree)
        case .names(let names):
            let name = (names.isEmpty ? known : names).first { word($0) == rest }
            guard let name = name ?? (names.isEmpty ? rest.lowercased() : nil) else { return nil }
            return ConfigTarget(path: [name], shape: .scalar)
        case .entries(let fields):
            for field in fields {
                let suffix = "_" + field.path.map(word).joined(separator: "_")
                guard rest.hasSuffix(suffix), rest.utf8.count > suffix.utf8.count else { continue }
                let entry = String(rest.dropLast(suffix.count))
                return ConfigTarget(
                    path: [known.first { word($0) == entry } ?? entry.lowercased()] + field.path, shape: field.shape)
            }
            return nil
        }
    }

    /// Splits the rest of a variable's name into the longest known names, and takes what is left as one more name; nil if it begins with no
    /// known name.
    private static func path(_ rest: String, in node: ConfigNode) -> [String]? {
        let known = node.entries?.map(\.key).filter { word($0) == rest || rest.hasPrefix(word($0) + "_") } ?? []
        guard let name = known.max(by: { $0.utf8.count < $1.utf8.count }), !name.isEmpty else { return nil }
        let left = String(rest.dropFirst(word(name).count + 1))
        guard !left.isEmpty else { return [name] }
        return [name] + (node[name].flatMap { path(left, in: $0) } ?? [left.lowercased()])
    }

    /// Whether a variable that belongs to no key begins like a key, or is nearly a key: then it is a mistake. Other variables may have any
    /// purpose.
    func isMeantForKey(_ variable: String) -> Bool {
        let first = variable.dropFirst(Self.prefix.count).prefix { $0 != "_" }
        return keys.contains { Self.word($0.path[0]) == first }
            || Suggestion.closest(to: variable, in: keys.map { Self.name($0.path) }) != nil
    }

    func warning(about variable: String) -> ShuntError {
        ShuntError(
            .configUnknownKey, "the variable is ignored: no key has such a name", at: ConfigDiagnostics.excerpt(variable),
            help: suggestion(for: variable))
    }

    func suggestion(for variable: String) -> String {
        if let close = Suggestion.closest(to: variable, in: keys.map { Self.name($0.path) }) { return "did you mean \(close)?" }
        return "the variable of worker.http.listen is SHUNT_WORKER_HTTP_LISTEN; all keys stand in config/reference.yaml"
    }

    /// Kubernetes sets variables for every service: the variables of a service named `shunt` or `shunt-master` look like Shunt's.
    static func isServiceLink(_ name: String, _ value: String) -> Bool {
        if name.hasSuffix("_SERVICE_HOST") || name.contains("_SERVICE_PORT") { return true }
        guard name.hasSuffix("_PORT") || name.contains("_PORT_") else { return false }
        return name.contains("_TCP") || name.contains("_UDP") || value.hasPrefix("tcp://") || value.hasPrefix("udp://")
    }

    private static func word(_ name: String) -> String {
        String(name.uppercased().map { $0.isLetter || $0.isNumber ? $0 : "_" })
    }
}
