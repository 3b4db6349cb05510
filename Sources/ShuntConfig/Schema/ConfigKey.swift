import ShuntCore

/// One row of the table of keys: the values that a key may have, their meaning, and the field that they go to.
///
/// Parsing, `--set`, the environment, the reference and SIGHUP's comparison all come from these rows.
struct ConfigKey<Root: Sendable>: Sendable {
    /// When a changed value takes effect.
    enum TakesEffect: Sendable {
        /// By SIGHUP.
        case live
        case restart
    }

    let path: [String]
    /// The type and its range, as in `duration, 1s to 1h`.
    let summary: String
    /// One or more sentences.
    let meaning: String
    let takesEffect: TakesEffect
    /// Whether its value is hidden when it changes.
    let isSecret: Bool
    /// Whether it must be given wherever its mapping is given.
    let isRequired: Bool
    let shape: ConfigShape
    /// Puts the given value into its field, or reports its errors. The label is the whole key as errors name it.
    let read: @Sendable (ConfigNode, _ label: String, inout Root, inout ConfigDiagnostics) -> Void
    /// The field's value as YAML in one line.
    let text: @Sendable (Root) -> String
    /// Copies the field's value from the first configuration to the second.
    let copy: @Sendable (Root, inout Root) -> Void
    /// The parts of the value that can change by themselves; one with an empty path where it is a single value.
    let parts: @Sendable (Root) -> [(path: [String], text: String)]

    init(
        path: [String], summary: String, meaning: String, takesEffect: TakesEffect, isSecret: Bool, isRequired: Bool, shape: ConfigShape,
        read: @escaping @Sendable (ConfigNode, String, inout Root, inout ConfigDiagnostics) -> Void, text: @escaping @Sendable (Root) -> String,
        copy: @escaping @Sendable (Root, inout Root) -> Void, parts: @escaping @Sendable (Root) -> [(path: [String], text: String)]
    ) {
        (self.path, self.summary, self.meaning, self.takesEffect) = (path, summary, meaning, takesEffect)
        (self.isSecret, self.isRequired, self.shape) = (isSecret, isRequired, shape)
        (self.read, self.text, self.copy, self.parts) = (read, text, copy, parts)
    }

    init<Value>(
        _ path: String, _ field: any WritableKeyPath<Root, Value> & Sendable, _ type: ConfigType<Value>,
        _ takesEffect: TakesEffect, secret: Bool = false, required: Bool = false, _ meaning: String
    ) {
        self.path = path.split(separator: ".").map(String.init)
        self.summary = type.summary
        self.meaning = meaning
        self.takesEffect = takesEffect
        self.isSecret = secret
        self.isRequired = required
        self.shape = type.shape
        self.read = { node, label, root, diagnostics in
            if let value = type.read(node, label, &diagnostics) { root[keyPath: field] = value }
        }
        self.text = { type.text($0[keyPath: field]) }
        self.copy = { $1[keyPath: field] = $0[keyPath: field] }
        self.parts = { type.parts($0[keyPath: field]) }
    }
}

/// The shape of a key's value, as far as overrides (`--set`, the environment) need to know it.
indirect enum ConfigShape: Sendable {
    case scalar
    /// Overrides also take words with commas between.
    case list
    /// Any value; others check what is inside it.
    case tree
    /// Names, each with a scalar. The names that exist, or none where any name does.
    case names([String])
    /// Names, each with a mapping of these fields.
    case entries([Field])

    struct Field: Sendable {
        let path: [String]
        let shape: ConfigShape
        let summary: String
        let meaning: String
    }
}

/// Reads and writes the values of one type.
struct ConfigType<Value: Equatable & Sendable>: Sendable {
    let summary: String
    let shape: ConfigShape
    /// Reads a value; nil after reporting its errors.
    let read: @Sendable (ConfigNode, _ label: String, inout ConfigDiagnostics) -> Value?
    /// YAML in one line.
    let text: @Sendable (Value) -> String
    let parts: @Sendable (Value) -> [(path: [String], text: String)]

    init(
        _ summary: String, _ shape: ConfigShape,
        read: @escaping @Sendable (ConfigNode, _ label: String, inout ConfigDiagnostics) -> Value?,
        text: @escaping @Sendable (Value) -> String,
        parts: (@Sendable (Value) -> [(path: [String], text: String)])? = nil
    ) {
        self.summary = summary
        self.shape = shape
        self.read = read
        self.text = text
        self.parts = parts ?? { [([], text($0))] }
    }
}
