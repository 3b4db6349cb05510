/// A value as it was given: YAML's scalars, lists and mappings, each with its place.
package struct ConfigNode: Sendable {
    package enum Content: Sendable {
        /// A plain scalar is one without quotes: only a plain one can be null, a boolean or a number.
        case scalar(String, plain: Bool)
        case list([ConfigNode])
        case mapping([Entry])
    }

    package struct Entry: Sendable {
        package var key: String
        package var keyLocation: String
        package var value: ConfigNode
    }

    package var content: Content
    /// `file:line:column`, `--set key` or a variable's name.
    package var location: String

    init(_ content: Content, at location: String) {
        self.content = content
        self.location = location
    }

    /// The location of a value that nobody gave.
    static let defaults = "defaults"

    static func nothing(at location: String) -> ConfigNode {
        ConfigNode(.scalar("", plain: true), at: location)
    }

    package var isNull: Bool {
        guard case .scalar(let text, plain: true) = content else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(text)
    }

    /// The entries of a mapping; nil for anything else.
    package var entries: [Entry]? {
        guard case .mapping(let entries) = content else { return nil }
        return entries
    }

    /// The value of this key in a mapping.
    subscript(key: String) -> ConfigNode? {
        entries?.first { $0.key == key }?.value
    }

    /// The value at this path.
    subscript(path path: some Collection<String>) -> ConfigNode? {
        path.reduce(Optional(self)) { node, key in node?[key] }
    }

    /// Puts a value at a path and replaces the one that stands there. A value on the way that is not a mapping is replaced by a mapping.
    mutating func set(_ path: some Collection<String>, to value: ConfigNode) {
        guard let key = path.first else {
            self = value
            return
        }
        var entries = entries ?? []
        let index = entries.firstIndex { $0.key == key }
        var below = index.map { entries[$0].value } ?? .nothing(at: value.location)
        below.set(path.dropFirst(), to: value)
        let entry = Entry(key: key, keyLocation: index.map { entries[$0].keyLocation } ?? value.location, value: below)
        if let index { entries[index] = entry } else { entries.append(entry) }
        content = .mapping(entries)
    }
}
