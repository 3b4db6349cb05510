/// A key whose value has changed.
public struct ConfigChange: Equatable, Sendable, CustomStringConvertible {
    /// `limits.frame`, `worker.listeners.exchange.listen`.
    public let key: String
    /// The old value, as YAML in one line; `hidden` if it may hold secrets; nil if there was none.
    public let old: String?
    /// The new value, as YAML in one line; `hidden` if it may hold secrets; nil if there is none any more.
    public let new: String?

    /// Stands for a value that may hold secrets.
    public static let hidden = "(hidden)"

    /// `limits.frame: 10MiB → 12MiB`; a hidden value is only said to be new, other or gone.
    public var description: String {
        switch (old, new) {
        case (nil, Self.hidden?): "\(key): new, not shown"
        case (Self.hidden?, nil): "\(key): gone"
        case (Self.hidden?, _): "\(key): other values, not shown"
        default: "\(key): \(old ?? "none") → \(new ?? "none")"
        }
    }
}

extension Configuration {
    /// The differences between two configurations: the `live` ones can take effect at once, the `restart` ones wait for the next start.
    public static func changes(
        from old: Configuration, to new: Configuration
    ) -> (live: [ConfigChange], restart: [ConfigChange]) {
        var live: [ConfigChange] = []
        var restart: [ConfigChange] = []
        for key in keys {
            let changes = changes(of: key, from: old, to: new)
            switch key.takesEffect {
            case .live: live += changes
            case .restart: restart += changes
            }
        }
        return (live, restart)
    }

    /// Takes over the settings that need not wait for the next start.
    public mutating func takeLive(from new: Configuration) {
        for key in Self.keys where key.takesEffect == .live { key.copy(new, &self) }
        places = new.places
    }

    private static func changes(
        of key: ConfigKey<Configuration>, from old: Configuration, to new: Configuration
    ) -> [ConfigChange] {
        let before = parts(of: key, in: old)
        let after = parts(of: key, in: new)
        return Set(before.keys).union(after.keys).sorted().compactMap { name in
            let (old, new) = (before[name], after[name])
            guard old != new else { return nil }
            let shown = { (text: String) in key.isSecret ? ConfigChange.hidden : HTTPAddress.withoutQueries(text) }
            return ConfigChange(key: name, old: old.map(shown), new: new.map(shown))
        }
    }

    private static func parts(of key: ConfigKey<Configuration>, in configuration: Configuration) -> [String: String] {
        let parts = key.parts(configuration).map { ((key.path + $0.path).joined(separator: "."), $0.text) }
        return Dictionary(parts) { first, _ in first }
    }
}
