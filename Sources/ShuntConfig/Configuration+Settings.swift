extension Configuration {
    /// One key, or a part of one that can change by itself, and its value.
    public struct Setting: Equatable, Sendable {
        public let key: String
        /// YAML in one line; `ConfigChange.hidden` where it may hold secrets.
        public let value: String
        /// Where it was given; nil if its default holds.
        public let place: String?
    }

    /// All settings, in the order of the reference.
    public var settings: [Setting] {
        Self.keys.flatMap { key in
            key.parts(self).map { part in
                let name = (key.path + part.path).joined(separator: ".")
                return Setting(key: name, value: key.isSecret ? ConfigChange.hidden : HTTPAddress.withoutQueries(part.text), place: place(of: name))
            }
        }
    }
}
