import ShuntCore

extension Configuration {
    /// Where keys were given. Two configurations that say the same are equal, wherever they say it.
    struct Places: Equatable, Sendable {
        /// By key, those of maps and the words of lists too: `worker.listeners.exchange.listen`, `rules.enabled.redact`.
        var byKey: [String: String] = [:]
        /// Whether there is a file with something in it.
        var isFileEmpty = true

        /// What was given and means nothing.
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

    /// What was given and means nothing, though nothing is wrong with the rest: a variable that is no key's.
    public var warnings: [ShuntError] { places.warnings }

    /// Where a key was given: `file:line:column`, `--set key` or a variable's name; nil where its default holds.
    public func place(of key: String) -> String? { places.byKey[key] }

    /// An error about what a key names, told with the place where the key was given.
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
