import ShuntCore

/// The defaults of `profile: hardened`, where they are others than those of the table of keys.
enum HardenedDefaults {
    /// A key and its default, as YAML. `*` stands for each listener.
    struct Row {
        let key: String
        let value: String

        var path: [String] { key.split(separator: ".").map(String.init) }
    }

    static let rows = [
        Row(key: "worker.listeners.*.allow_anonymous", value: "false"),
        Row(key: "worker.listeners.*.limits.connections_per_address", value: "100"),
        Row(key: "worker.listeners.*.limits.connections_per_second", value: "500"),
        Row(key: "worker.listeners.*.limits.messages_per_second", value: "1000"),
        Row(key: "worker.listeners.*.limits.bytes_per_second", value: "1MiB"),
        Row(key: "worker.listeners.*.tls.minimum", value: "\"1.3\""),
        Row(key: "worker.listeners.*.access.flapping.connects", value: "15"),
        Row(key: "access.flapping.connects", value: "15"),
        Row(key: "mqtt.session_expiry", value: "24h"),
        Row(key: "mqtt.session_expiry_maximum", value: "168h"),
        Row(key: "mqtt.queue.bytes", value: "1MiB"),
        Row(key: "mqtt.receive_maximum", value: "100"),
        Row(key: "mqtt.keep_alive_maximum", value: "10m"),
        Row(key: "mqtt.sys_interval", value: "0s"),
        Row(key: "limits.frame", value: "1MiB"),
        Row(key: "limits.out_buffer", value: "2MiB"),
        Row(key: "limits.subscriptions", value: "100"),
        Row(key: "limits.inflated", value: "4MiB"),
        Row(key: "limits.frame_time", value: "10s"),
    ]

    /// The default of a key, as YAML; nil where the standard profile's is as good.
    static func text(of path: [String]) -> String? { rows.first { $0.path == path }?.value }

    /// Whether the settings ask for the profile.
    static func areWanted(by tree: ConfigNode) -> Bool {
        guard case .scalar(Configuration.Profile.hardened.rawValue, _)? = tree["profile"]?.content else { return false }
        return true
    }

    /// Puts each default where nothing was given.
    static func fill(_ tree: inout ConfigNode, _ overrides: ConfigOverrides) {
        for row in rows {
            for path in paths(of: row, in: tree) where !overrides.isBlocked(path, in: tree) && !isGiven(tree[path: path]) {
                guard let value = try? OverrideValue.read(row.value, as: .scalar, at: ConfigNode.defaults) else { continue }
                tree.set(path, to: value)
            }
        }
    }

    /// The row's path, for each listener that it is for.
    private static func paths(of row: Row, in tree: ConfigNode) -> [[String]] {
        let path = row.path
        guard let star = path.firstIndex(of: "*") else { return [path] }
        let (above, below) = (path[..<star], path[(star + 1)...])
        return (tree[path: above]?.entries ?? []).filter { applies(below, to: $0.value) }.map { above + [$0.key] + below }
    }

    private static func applies(_ path: some Collection<String>, to listener: ConfigNode) -> Bool {
        guard listener.entries != nil else { return false }
        switch path.first {
        // Without an `access:` of its own it has the one of all listeners.
        case "access": return listener["access"]?.entries?.isEmpty == false
        // Behind proxies all clients come from their addresses.
        case "limits" where path.contains("connections_per_address"):
            guard case .list(let proxies)? = listener[path: ["proxy_protocol", "from"]]?.content else { return true }
            return proxies.isEmpty
        default: return listener[path: path.dropLast()].map { $0.isNull || $0.entries != nil } ?? true
        }
    }

    private static func isGiven(_ node: ConfigNode?) -> Bool {
        guard let node else { return false }
        return !node.isNull && node.location != ConfigNode.defaults
    }
}
