import ShuntCore

extension Configuration {
    /// The places where keys were given. Two configurations with the same values are equal, wherever these were given.
    struct Places: Equatable, Sendable {
        /// By key, those of maps and the words of lists too: `worker.listeners.exchange.listen`, `rules.enabled.redact`.
        var byKey: [String: String] = [:]
        /// Whether there is a file with something in it.
        var isFileEmpty = true

        /// Warnings about settings that mean nothing.
        var warnings: [ShuntError] = []

        init() {}

        init(_ tree: ConfigNode) { add(tree, "") }

        private mutating func add(_ node: ConfigNode, _ key: String) {
            if node.location != ConfigNode.defaults { byKey[key] = node.location }
            func below(_ name: String) -> String { key.isEmpty ? name : "\(key).\(name)" }
            switch node.content {
            case .scalar: break
            case .list(let elements):
                for element in elements {
                    if case .scalar(let word, _) = element.content { byKey[below(word)] = element.location }
                }
            case .mapping(let entries):
                for entry in entries { add(entry.value, below(entry.key)) }
            }
        }

        static func == (a: Places, b: Places) -> Bool { true }
    }

    /// Warnings about settings that mean nothing, while the rest is right: a variable that belongs to no key.
    public var warnings: [ShuntError] { places.warnings }

    /// The place where a key was given: `file:line:column`, `--set key` or a variable's name; nil if its default holds.
    public func place(of key: String) -> String? { places.byKey[key] }

    /// Whether a key, or one below it, was given anything.
    public func isGiven(_ key: String) -> Bool { places.byKey.keys.contains { $0 == key || $0.hasPrefix(key + ".") } }

    /// An error about the thing that a key names, with the place where the key was given.
    public func placed(_ error: ShuntError, at key: String) -> ShuntError {
        guard let place = place(of: key) else { return error }
        var placed = error
        placed.location = [place, error.location].compactMap { $0 }.joined(separator: ": ")
        return placed
    }

    /// The same for an error that begins its own place with the key.
    public func placed(_ error: ShuntError) -> ShuntError {
        guard let location = error.location, let key = location.split(separator: ":").first else { return error }
        return placed(error, at: String(key))
    }

    /// Whether this was read from nothing, and the other was not: a file that is being written may be empty.
    public func hasLost(fileOf other: Configuration) -> Bool { places.isFileEmpty && !other.places.isFileEmpty }
}
