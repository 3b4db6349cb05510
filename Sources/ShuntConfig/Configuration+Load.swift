import ShuntCore

extension Configuration {
    /// Reads a configuration. The file goes over the defaults, the environment over the file, `sets` over all of them.
    ///
    /// - Parameters:
    ///   - file: a YAML file; nil for none.
    ///   - environment: only names that begin with `SHUNT_` matter.
    ///   - sets: `key.path=value`, as given to `--set`; later ones win.
    ///   - hostName: the name of a master or worker that is given none.
    /// - Throws: all errors at once, each with its place; codes `config.*`.
    public static func load(
        file: String?, environment: [String: String], sets: [String], hostName: String
    ) throws(ConfigurationErrors) -> Configuration {
        var diagnostics = ConfigDiagnostics()
        var tree = ConfigNode.nothing(at: file ?? ConfigNode.defaults)
        do {
            if let file, let root = try ConfigFile.read(file) { tree = root }
        } catch {
            diagnostics.add(error)
        }
        let isFileEmpty = tree.isNull
        var configuration = read(&tree, environment: environment, sets: sets, &diagnostics)
        configuration.places.isFileEmpty = isFileEmpty
        try diagnostics.throwAny()
        return named(configuration, hostName)
    }

    /// Reads a configuration from YAML that is at hand.
    /// - Parameter name: the name of the text in errors.
    public static func parse(
        _ yaml: String, name: String = "configuration", hostName: String = "localhost"
    ) throws(ConfigurationErrors) -> Configuration {
        var diagnostics = ConfigDiagnostics()
        var tree = ConfigNode.nothing(at: name)
        do {
            if let root = try YAMLDocument.parse(yaml, from: .file(name)) { tree = root }
        } catch {
            diagnostics.add(error)
        }
        let configuration = read(&tree, environment: [:], sets: [], &diagnostics)
        try diagnostics.throwAny()
        return named(configuration, hostName)
    }

    private static func read(
        _ tree: inout ConfigNode, environment: [String: String], sets: [String], _ diagnostics: inout ConfigDiagnostics
    ) -> Configuration {
        let overrides = ConfigOverrides(keys: keys)
        var warnings: [ShuntError] = []
        if tree.entries != nil || tree.isNull {
            if !environment.isEmpty || !sets.isEmpty { putDefaultEntries(in: &tree, overrides) }
            warnings = overrides.apply(environment: environment, to: &tree, &diagnostics)
            for set in sets { overrides.apply(set: set, to: &tree, &diagnostics) }
            if HardenedDefaults.areWanted(by: tree) {
                putDefaultEntries(in: &tree, overrides)
                HardenedDefaults.fill(&tree, overrides)
            }
        }
        var configuration = unnamed
        configuration.places = Places(tree)
        configuration.places.warnings = warnings
        ConfigReader(keys: keys).read(tree, label: "", into: &configuration, &diagnostics)
        return configuration
    }

    /// Overrides, and the defaults of a profile, may change a single field of a default listener: it has to be there for that.
    private static func putDefaultEntries(in tree: inout ConfigNode, _ overrides: ConfigOverrides) {
        for key in keys {
            guard case .entries = key.shape, tree[path: key.path].map(\.isNull) ?? true else { continue }
            for part in key.parts(unnamed) where !overrides.isBlocked(key.path + part.path, in: tree) {
                let value = try? OverrideValue.read(part.text, as: .tree, at: ConfigNode.defaults)
                tree.set(key.path + part.path, to: value ?? .nothing(at: ConfigNode.defaults))
            }
        }
    }

    private static func named(_ configuration: Configuration, _ hostName: String) -> Configuration {
        var named = configuration
        named.nameProcesses(after: hostName)
        return named
    }
}
