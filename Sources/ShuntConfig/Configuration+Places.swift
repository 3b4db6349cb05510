import ShuntCore

extension Configuration {
    /// The places where keys were given. Two configurations with the same values are equal, wherever these were given.
    struct Places: Equatable, Sendable {
        /// By key, those of maps and the words of lists too: `worker.listeners.exchange.listen`, `rules.enabled.redact`.
        var byKey: [String: String] = [:]
        /// The places of the keys' names, of rules' settings and trials: a value may begin on the next line.
        var names: [String: String] = [:]
        /// Whether there is a file with something in it.
        var isFileEmpty = true

        /// Warnings about settings that mean nothing.
        var warnings: [ShuntError] = []

        init() {}

        /// - Parameter key: the key that the tree stands for; empty: the whole configuration.
        init(_ tree: ConfigNode, under key: String = "") { add(tree, key) }

        private mutating func add(_ node: ConfigNode, _ key: String) {
            if node.location != ConfigNode.defaults { byKey[key] = node.location }
            func below(_ name: String) -> String { key.isEmpty ? name : "\(key).\(name)" }
            switch node.content {
            case .scalar: break
            case .list(let elements):
                for (index, element) in elements.enumerated() {
                    if case .scalar(let word, _) = element.content { byKey[below(word)] = element.location }
                    add(element, "\(key)[\(index)]")
                }
            case .mapping(let entries):
                for entry in entries {
                    if key.hasPrefix("rules.settings") || key == "rules.trials" { names[below(entry.key)] = entry.keyLocation }
                    add(entry.value, below(entry.key))
                }
            }
        }

        func nearest(_ key: String, isName: Bool) -> String? {
            var key = key[...]
            while !key.isEmpty {
                if let place = (isName ? names[String(key)] : nil) ?? byKey[String(key)] { return place }
                key = key[..<(key.lastIndex { $0 == "." || $0 == "[" } ?? key.startIndex)]
            }
            return nil
        }

        static func == (a: Places, b: Places) -> Bool { true }
    }

    /// Warnings about settings that mean nothing, while the rest is right: a variable that belongs to no key.
    public var warnings: [ShuntError] { places.warnings }

    /// The place where a key was given: `file:line:column`, `--set key` or a variable's name; nil if its default holds.
    public func place(of key: String) -> String? { places.byKey[key] }

    /// The same of a key, or else of the nearest one above it: `rules.settings.redact.redactions[1].remove[0]`.
    /// - Parameter isName: the place of the key's name in place of its value's, where it is one of rules' settings.
    public func nearestPlace(of key: String, isName: Bool = false) -> String? { places.nearest(key, isName: isName) }

    /// Whether a key, or one below it, was given anything.
    public func isGiven(_ key: String) -> Bool { places.byKey.keys.contains { $0 == key || $0.hasPrefix(key + ".") } }

    /// An error about the thing that a key names, with the place where the key was given.
    public func placed(_ error: ShuntError, at key: String) -> ShuntError {
        guard let place = place(of: key) else { return error }
        var placed = error
        var own = error.location
        // A place such as `--set KEY` names the key already.
        if place.hasSuffix(key), let rest = own, rest == key || rest.hasPrefix(key + ": ") {
            own = rest == key ? nil : String(rest.dropFirst(key.count + 2))
        }
        placed.location = [place, own].compactMap { $0 }.joined(separator: ": ")
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
