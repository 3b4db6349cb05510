/// The environment's names for keys: `worker.http.listen` is `SHUNT_WORKER_HTTP_LISTEN`.
struct ConfigVariables {
    static let prefix = "SHUNT_"
    /// Variables that are no keys, for others to read. None so far.
    static let reserved: Set<String> = []

    let keys: [ConfigKey<Configuration>]

    /// The variable of this key.
    static func name(_ path: [String]) -> String {
        prefix + path.map(word).joined(separator: "_")
    }

    /// Where this variable's value goes; nil if it is none of the keys'.
    /// - Parameter tree: what is known so far: its listeners are found whatever their names' case.
    func target(_ variable: String, in tree: ConfigNode) -> ConfigTarget? {
        for key in keys {
            let name = Self.name(key.path)
            if variable == name { return ConfigTarget(path: key.path, shape: key.shape) }
            guard variable.hasPrefix(name + "_") else { continue }
            let rest = String(variable.dropFirst(name.count + 1))
            let known = tree[path: key.path]?.entries?.map(\.key) ?? []
            if let target = Self.target(rest, in: key.shape, known: known) {
                return ConfigTarget(path: key.path + target.path, shape: target.shape)
            }
        }
        return nil
    }

    private static func target(_ rest: String, in shape: ConfigShape, known: [String]) -> ConfigTarget? {
        switch shape {
        case .scalar, .list, .tree: return nil
        case .names(let names): return names.first { word($0) == rest }.map { ConfigTarget(path: [$0], shape: .scalar) }
        case .entries(let fields):
            for field in fields {
                let suffix = "_" + field.path.map(word).joined(separator: "_")
                guard rest.hasSuffix(suffix), rest.utf8.count > suffix.utf8.count else { continue }
                let entry = String(rest.dropLast(suffix.count))
                guard entry == entry.uppercased() else { return nil }
                return ConfigTarget(
                    path: [known.first { word($0) == entry } ?? entry.lowercased()] + field.path, shape: field.shape)
            }
            return nil
        }
    }

    func suggestion(for variable: String) -> String {
        if let close = Suggestion.closest(to: variable, in: keys.map { Self.name($0.path) }) { return "did you mean \(close)?" }
        return "the variable of worker.http.listen is SHUNT_WORKER_HTTP_LISTEN; all keys stand in config/reference.yaml"
    }

    /// Kubernetes sets variables for every service; those of one called `shunt` or `shunt-master` look like ours.
    static func isServiceLink(_ name: String, _ value: String) -> Bool {
        if name.hasSuffix("_SERVICE_HOST") || name.contains("_SERVICE_PORT") { return true }
        guard name.hasSuffix("_PORT") || name.contains("_PORT_") else { return false }
        return name.contains("_TCP") || name.contains("_UDP") || value.hasPrefix("tcp://") || value.hasPrefix("udp://")
    }

    private static func word(_ name: String) -> String {
        String(name.uppercased().map { $0.isLetter || $0.isNumber ? $0 : "_" })
    }
}
