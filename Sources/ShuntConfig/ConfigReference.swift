/// Renders the reference of all keys, `config/reference.yaml`, from their table.
public enum ConfigReference {
    /// YAML whose values are the defaults.
    public static func yaml() -> String {
        let body = section([], keys: Configuration.keys, of: .unnamed, indent: 0)
        return (header + body).joined(separator: "\n") + "\n"
    }

    private static let header = """
        # Every key of Shunt's configuration, with its default. Made from the code's own table: do not edit it, copy from it.
        #
        #   shunt dev | master | worker --config FILE --set key.path=value …
        #
        # What --set says goes before the environment, which goes before the file, which goes before the defaults. A file
        # needs only what differs; unknown keys are errors. What --set calls worker.http.listen is SHUNT_WORKER_HTTP_LISTEN
        # in the environment. The value of either is YAML; a list also takes words with commas between them. Names that are
        # yours are lower case there, or those that the file has, - and _ being the same: SHUNT_WORKER_GROUPS_OVERRIDES_AUDIT
        # is worker.groups.overrides.audit, SHUNT_RULES_SETTINGS_TOPIC_ROUTER_ROUTES finds the topic-router that is enabled by
        # name. Otherwise give the whole: SHUNT_RULES_SETTINGS='{topic-router: {routes: []}}'.
        #
        # Durations have a unit: us, ms, s, m or h. Sizes are bytes, or have one: KiB, MiB or GiB. IPv6 addresses need quotes in
        # YAML: "[::1]:4088". Relative paths are relative to the working directory.
        #
        # Keys marked live are taken on by SIGHUP, those marked restart at the next start.
        """.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)

    /// The lines of all keys below a path. A blank line parts the sections at the top.
    private static func section<Root>(
        _ path: [String], keys: [ConfigKey<Root>], of root: Root, indent: Int
    ) -> [String] {
        var lines: [String] = []
        var done: Set<String> = []
        for key in keys where key.path.starts(with: path) {
            let name = key.path[path.count]
            guard done.insert(name).inserted else { continue }
            if path.isEmpty { lines.append("") }
            if key.path.count == path.count + 1 {
                lines += entry(key, of: root, indent: indent)
            } else {
                lines.append(margin(indent) + name + ":")
                lines += section(path + [name], keys: keys, of: root, indent: indent + 1)
            }
        }
        return lines
    }

    private static func entry<Root>(_ key: ConfigKey<Root>, of root: Root, indent: Int) -> [String] {
        let stricter = HardenedDefaults.text(of: key.path).map { ". Hardened: \($0)" } ?? ""
        var comment = wrap(key.meaning) + wrap(key.summary + (key.takesEffect == .live ? " (live)" : " (restart)") + stricter)
        if case .entries(let fields) = key.shape {
            comment.append("Each has:")
            for field in fields {
                let stricter = HardenedDefaults.text(of: key.path + ["*"] + field.path).map { " Hardened: \($0)." } ?? ""
                comment += wrap("\(field.path.joined(separator: ".")): \(field.summary). \(field.meaning)\(stricter)").map { "  " + $0 }
            }
        }
        // A long value goes on in the next line, further in.
        let value = wrap("\(key.path[key.path.count - 1]): \(key.text(root))")
        return (comment.map { "# " + $0 } + value.prefix(1) + value.dropFirst().map { margin(1) + $0 }).map { margin(indent) + $0 }
    }

    private static func margin(_ indent: Int) -> String {
        String(repeating: "  ", count: indent)
    }

    /// Lines of up to 110 characters.
    private static func wrap(_ text: String) -> [String] {
        var lines: [String] = []
        for word in text.split(separator: " ") {
            if let line = lines.last, line.count + 1 + word.count <= 110 {
                lines[lines.count - 1] = "\(line) \(word)"
            } else {
                lines.append(String(word))
            }
        }
        return lines
    }
}
