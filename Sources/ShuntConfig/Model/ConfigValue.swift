/// A setting whose shape is for a plugin to judge: what JSON can say.
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
