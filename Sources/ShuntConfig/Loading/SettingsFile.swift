import ShuntCore

/// A file of rules' settings, YAML or JSON, that is no configuration.
public struct SettingsFile {
    public let value: ConfigValue
    private let tree: ConfigNode?

    /// An empty file is `{}`.
    public init(_ file: String) throws(ConfigurationErrors) {
        var diagnostics = ConfigDiagnostics()
        var (value, tree): (ConfigValue?, ConfigNode?)
        do throws(ShuntError) {
            tree = try ConfigFile.read(file)
            value = tree.flatMap { ConfigType<[String: ConfigValue]>.value(of: $0, "the settings", &diagnostics) }
        } catch {
            diagnostics.add(error)
        }
        try diagnostics.throwAny()
        (self.value, self.tree) = (value ?? .object([:]), tree)
    }

    /// The place of a key, or else of the nearest one above it.
    /// - Parameters:
    ///   - root: the key that all of the file stands for: `rules.settings.redact`.
    ///   - isName: the place of the key's name in place of its value's.
    public func nearestPlace(of key: String, under root: String, isName: Bool) -> String? {
        tree.flatMap { Configuration.Places($0, under: root).nearest(key, isName: isName) }
    }
}
