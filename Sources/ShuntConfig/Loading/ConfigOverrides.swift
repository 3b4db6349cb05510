import ShuntCore

/// The place that an override (`--set`, a variable) goes to, and how its text is read.
struct ConfigTarget {
    let path: [String]
    /// The type of the key; nil for a section, whose keys are set one by one.
    let shape: ConfigShape?
}

/// Sets single keys over those of a file.
struct ConfigOverrides {
    let keys: [ConfigKey<Configuration>]

    /// Whether the path leads through a section or key whose value is not a mapping: no override may hide that error.
    func isBlocked(_ path: [String], in tree: ConfigNode) -> Bool {
        (1..<max(1, path.count)).contains { count in
            let above = path.prefix(count)
            guard keys.contains(where: { $0.path.starts(with: above) }), let node = tree[path: above] else { return false }
            return node.entries == nil && !node.isNull
        }
    }

    /// `key.path=value`.
    func apply(set text: String, to tree: inout ConfigNode, _ diagnostics: inout ConfigDiagnostics) {
        guard let equals = text.firstIndex(of: "="), equals != text.startIndex else {
            diagnostics.add(
                .configInvalid, "no key and value", at: "--set \(ConfigDiagnostics.excerpt(text))",
                help: "--set key.path=value, as in --set worker.loops=2")
            return
        }
        let key = String(text[..<equals])
        let location = "--set \(ConfigDiagnostics.excerpt(key))"
        guard let target = target(key.split(separator: ".", omittingEmptySubsequences: false).map(String.init)) else {
            diagnostics.add(
                .configUnknownKey, "unknown key \(ConfigDiagnostics.excerpt(key))", at: location, help: suggestion(for: key))
            return
        }
        apply(String(text[text.index(after: equals)...]), to: target, of: &tree, location, &diagnostics)
    }

    /// Variables named `SHUNT_KEY_PATH`; others are not read.
    /// - Returns: warnings about variables that look like Shunt's and cannot be meant for a key.
    func apply(
        environment: [String: String], to tree: inout ConfigNode, _ diagnostics: inout ConfigDiagnostics
    ) -> [ShuntError] {
        var warnings: [ShuntError] = []
        let variables = ConfigVariables(keys: keys)
        // In order, so that the same variables always have the same result.
        for (name, value) in environment.sorted(by: { $0.key < $1.key }) where name.hasPrefix(ConfigVariables.prefix) {
            if ConfigVariables.reserved.contains(name) || ConfigVariables.isServiceLink(name, value) { continue }
            guard let target = variables.target(name, in: tree) else {
                guard variables.isMeantForKey(name) else {
                    if warnings.count < ConfigDiagnostics.capacity { warnings.append(variables.warning(about: name)) }
                    continue
                }
                diagnostics.add(
                    .configUnknownKey, "unknown variable", at: ConfigDiagnostics.excerpt(name),
                    help: variables.suggestion(for: name))
                continue
            }
            apply(value, to: target, of: &tree, name, &diagnostics)
        }
        return warnings
    }

    private func apply(
        _ text: String, to target: ConfigTarget, of tree: inout ConfigNode, _ location: String,
        _ diagnostics: inout ConfigDiagnostics
    ) {
        do {
            let node = try OverrideValue.read(text, as: target.shape ?? .tree, at: location)
            put(node, at: target.path, of: &tree)
        } catch {
            diagnostics.add(error)
        }
    }

    /// A mapping for a section is merged key by key; every other value replaces the one before.
    private func put(_ node: ConfigNode, at path: [String], of tree: inout ConfigNode) {
        guard !isBlocked(path, in: tree) else { return }
        let isSection = keys.contains { $0.path.starts(with: path) && $0.path.count > path.count }
        guard isSection, let entries = node.entries else {
            if !(isSection && node.isNull) { tree.set(path, to: node) }
            return
        }
        for entry in entries { put(entry.value, at: path + [entry.key], of: &tree) }
    }

    private func target(_ path: [String]) -> ConfigTarget? {
        if let key = keys.first(where: { path.starts(with: $0.path) }) {
            let rest = Array(path.dropFirst(key.path.count))
            if rest.isEmpty { return ConfigTarget(path: path, shape: key.shape) }
            return Self.target(rest, in: key.shape).map { ConfigTarget(path: key.path + $0.path, shape: $0.shape) }
        }
        return keys.contains { $0.path.starts(with: path) } ? ConfigTarget(path: path, shape: nil) : nil
    }

    /// The meaning of a path inside a key's value.
    private static func target(_ rest: [String], in shape: ConfigShape) -> ConfigTarget? {
        guard rest.allSatisfy({ !$0.isEmpty }) else { return nil }
        switch shape {
        case .scalar, .list: return nil
        case .tree: return ConfigTarget(path: rest, shape: .tree)
        case .names:
            // Such a name may have dots itself.
            return ConfigTarget(path: [rest.joined(separator: ".")], shape: .scalar)
        case .entries(let fields):
            if rest.count == 1 { return ConfigTarget(path: rest, shape: .tree) }
            guard let field = fields.first(where: { rest.dropFirst().elementsEqual($0.path) }) else { return nil }
            return ConfigTarget(path: rest, shape: field.shape)
        }
    }

    /// A key that is nearly the same, the fields where it is one of an entry, or a key that ends the same.
    private func suggestion(for key: String) -> String {
        if let close = Suggestion.closest(to: key, in: keys.map { $0.path.joined(separator: ".") }) {
            return "did you mean '\(close)'?"
        }
        let path = key.split(separator: ".").map(String.init)
        if let owner = keys.first(where: { path.starts(with: $0.path) }) {
            let name = owner.path.joined(separator: ".")
            guard case .entries(let fields) = owner.shape else { return "\(name) has nothing below it" }
            let entry = path.prefix(owner.path.count + 1)
            let field = path.dropFirst(entry.count).joined(separator: ".")
            let known = fields.map { $0.path.joined(separator: ".") }
            // `tls.cert` is short for one of them, `tls` is a section.
            let long = known.first { !field.isEmpty && $0.hasPrefix(field) && !$0.hasPrefix(field + ".") }
            if let close = long ?? Suggestion.closest(to: field, in: known) { return "did you mean '\((entry + [close]).joined(separator: "."))'?" }
            return "known are " + fields.map { "\(name).NAME." + $0.path.joined(separator: ".") }.joined(separator: ", ")
        }
        if let elsewhere = keys.first(where: { $0.path.last == path.last }) {
            return "did you mean '\(elsewhere.path.joined(separator: "."))'?"
        }
        return "all keys stand in config/reference.yaml"
    }
}
