import ShuntCore

/// Reads a mapping by a table of keys: each value goes into its field, each error to the diagnostics.
struct ConfigReader<Root: Sendable> {
    let keys: [ConfigKey<Root>]

    /// - Parameter label: the key of the mapping itself, as errors name it; empty for the whole configuration.
    func read(_ node: ConfigNode, label: String, into root: inout Root, _ diagnostics: inout ConfigDiagnostics) {
        readSection([], of: node, label: label, into: &root, &diagnostics)
        guard node.entries != nil || node.isNull else { return }
        for key in keys where key.isRequired && node[path: key.path] == nil {
            diagnostics.add(
                .configMissing, "\(label) has no \(key.path.joined(separator: "."))", at: node.location, help: key.summary)
        }
    }

    private func readSection(
        _ section: [String], of node: ConfigNode, label: String, into root: inout Root, _ diagnostics: inout ConfigDiagnostics
    ) {
        if node.isNull { return }
        guard let entries = node.entries else {
            let name = label.isEmpty ? "the configuration" : label
            diagnostics.add(
                .configType, "\(name) is not a mapping", at: node.location,
                help: "known here: " + names(in: section).joined(separator: ", "))
            return
        }
        for entry in entries {
            let path = section + [entry.key]
            let below = label.isEmpty ? entry.key : "\(label).\(entry.key)"
            if let key = keys.first(where: { $0.path == path }) {
                key.read(entry.value, below, &root, &diagnostics)
            } else if keys.contains(where: { $0.path.starts(with: path) }) {
                readSection(path, of: entry.value, label: below, into: &root, &diagnostics)
            } else {
                diagnostics.add(
                    .configUnknownKey, "unknown key \(ConfigDiagnostics.excerpt(below))", at: entry.keyLocation,
                    help: suggestion(for: entry.key, in: section))
            }
        }
    }

    private func names(in section: [String]) -> [String] {
        var names: [String] = []
        for key in keys where key.path.starts(with: section) && key.path.count > section.count {
            let name = key.path[section.count]
            if !names.contains(name) { names.append(name) }
        }
        return names
    }

    /// A similar name in this section, the same name in another one, or else all names of this section.
    private func suggestion(for name: String, in section: [String]) -> String {
        let here = names(in: section)
        if let close = Suggestion.closest(to: name, in: here) { return "did you mean '\(close)'?" }
        if let elsewhere = keys.first(where: { $0.path.contains(name) }) {
            return "did you mean '\(elsewhere.path.joined(separator: "."))'?"
        }
        return "known here: " + here.joined(separator: ", ")
    }
}
