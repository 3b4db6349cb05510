import ShuntCore

/// The text of an override as a node: YAML that needs fewer quotes than in a file.
enum OverrideValue {
    static func read(_ text: String, as shape: ConfigShape, at location: String) throws(ShuntError) -> ConfigNode {
        switch shape {
        case .scalar: scalar(text, at: location)
        case .list: list(text, at: location)
        case .tree, .names, .entries:
            try YAMLDocument.parse(text, from: .named(location)) ?? .nothing(at: location)
        }
    }

    /// A text that is not a YAML scalar is taken as it is: `[::1]:4088`. An empty override is the empty text.
    private static func scalar(_ text: String, at location: String) -> ConfigNode {
        guard let node = parsed(text, at: location), case .scalar = node.content, !(node.isNull && text.isEmpty) else {
            return ConfigNode(.scalar(text, plain: false), at: location)
        }
        return node
    }

    /// A YAML list, or words with commas between. An empty override is the empty list.
    private static func list(_ text: String, at location: String) -> ConfigNode {
        let node = parsed(text, at: location)
        if let node, case .list = node.content { return node }
        var words = text
        if let node, case .scalar(let unquoted, _) = node.content { words = unquoted }
        guard !words.allSatisfy({ $0 == " " }) else { return ConfigNode(.list([]), at: location) }
        let elements = words.split(separator: ",", omittingEmptySubsequences: false).map { word in
            ConfigNode(.scalar(withoutSpaces(word), plain: false), at: location)
        }
        return ConfigNode(.list(elements), at: location)
    }

    private static func withoutSpaces(_ word: Substring) -> String {
        var word = word.drop { $0 == " " }
        while word.last == " " { word.removeLast() }
        return String(word)
    }

    private static func parsed(_ text: String, at location: String) -> ConfigNode? {
        do {
            return try YAMLDocument.parse(text, from: .named(location))
        } catch {
            return nil
        }
    }
}
