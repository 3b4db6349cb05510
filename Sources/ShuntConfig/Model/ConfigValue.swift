/// A setting that a plugin checks: any JSON value.
public indirect enum ConfigValue: Equatable, Sendable {
    case null
    case bool(Bool)
    case int(Int)
    /// Always finite.
    case double(Double)
    case string(String)
    case array([ConfigValue])
    case object([String: ConfigValue])
}
