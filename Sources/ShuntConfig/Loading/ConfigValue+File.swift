import ShuntCore

extension ConfigValue {
    /// Reads a file of YAML, or JSON, as `rules.settings` would take it.
    /// - Throws: `config.*`, with the place of each fault.
    public static func read(file: String) throws(ConfigurationErrors) -> ConfigValue {
        var diagnostics = ConfigDiagnostics()
        var value: ConfigValue?
        do throws(ShuntError) {
            guard let root = try ConfigFile.read(file) else { return .object([:]) }
            value = ConfigType<[String: ConfigValue]>.value(of: root, "the settings", &diagnostics)
        } catch {
            diagnostics.add(error)
        }
        try diagnostics.throwAny()
        return value ?? .object([:])
    }
}
