import ShuntCore

extension ConfigType {
    /// A list of values of one type.
    /// - Parameter maximum: the most elements.
    static func list<Element>(of element: ConfigType<Element>, maximum: Int) -> ConfigType where Value == [Element] {
        let summary = "list of up to \(maximum), each: \(element.summary)"
        return ConfigType(summary, .list) { node, label, diagnostics in
            guard case .list(let nodes) = node.content else {
                diagnostics.add(
                    .configType, "\(label) is not a list", at: node.location, help: "\(summary); as in [first, second]")
                return nil
            }
            guard nodes.count <= maximum else {
                diagnostics.add(.configRange, "\(label) has \(nodes.count) elements", at: node.location, help: summary)
                return nil
            }
            let elements = nodes.compactMap { element.read($0, "an element of \(label)", &diagnostics) }
            return elements.count == nodes.count ? elements : nil
        } text: {
            YAMLText.list($0.map(element.text))
        }
    }

    /// Names with a value each.
    /// - Parameter known: the names that exist; empty where any name does.
    static func names<Name: Hashable & Sendable, Element>(
        _ summary: String, known: [String] = [], name: @escaping @Sendable (String) -> Name?,
        written: @escaping @Sendable (Name) -> String, element: ConfigType<Element>
    ) -> ConfigType where Value == [Name: Element] {
        let summary = summary + ": " + element.summary
        let help = known.isEmpty ? summary : "known here: \(known.joined(separator: ", ")); each has: \(element.summary)"
        return ConfigType(summary, .names(known)) { node, label, diagnostics in
            readEntries(of: node, label, summary, &diagnostics) { entry, diagnostics in
                guard let name = name(entry.key) else {
                    let key = ConfigDiagnostics.excerpt(entry.key)
                    diagnostics.add(
                        known.isEmpty ? .configRange : .configUnknownKey, "'\(key)' cannot stand in \(label)",
                        at: entry.keyLocation,
                        help: Suggestion.closest(to: entry.key, in: known).map { "did you mean '\($0)'?" } ?? help)
                    return nil
                }
                guard let value = element.read(entry.value, "\(label).\(entry.key)", &diagnostics) else { return nil }
                return (name, value)
            }
        } text: { value in
            let entries = value.map { (key: written($0.key), value: element.text($0.value)) }
            return YAMLText.mapping(entries.sorted { $0.key < $1.key })
        } parts: { value in
            value.map { (path: [written($0.key)], text: element.text($0.value)) }
        }
    }

    /// Names with a mapping each, whose fields have a table of their own. What is in a section of a mapping is written only where it is not as
    /// in a new one.
    static func entries<Element>(
        _ summary: String, keys: [ConfigKey<Element>], count: ClosedRange<Int>, new: @escaping @Sendable () -> Element
    ) -> ConfigType where Value == [String: Element] {
        let fields = keys.map { ConfigShape.Field(path: $0.path, shape: $0.shape, summary: $0.summary, meaning: $0.meaning) }
        return ConfigType(summary, .entries(fields)) { node, label, diagnostics in
            let value: Value? = readEntries(of: node, label, summary, &diagnostics) { entry, diagnostics in
                guard ConfigType<String>.isIdentifier(entry.key) else {
                    let key = ConfigDiagnostics.excerpt(entry.key)
                    diagnostics.add(
                        .configRange, "'\(key)' cannot be a name in \(label)", at: entry.keyLocation,
                        help: ConfigType<String>.identifier.summary)
                    return nil
                }
                var element = new()
                ConfigReader(keys: keys).read(entry.value, label: "\(label).\(entry.key)", into: &element, &diagnostics)
                return (entry.key, element)
            }
            guard let value, let given = node.entries?.count else { return nil }
            guard count.contains(given) else {
                diagnostics.add(
                    .configRange, "\(label) has \(given) entries", at: node.location,
                    help: "\(count.lowerBound) to \(count.upperBound)")
                return nil
            }
            return value
        } text: { value in
            // What stands in a section of its own is left out where it is the default: the line would be too long to read.
            let entries = value.map { name, element in
                (key: name, value: YAMLText.mapping(told(keys, of: element, new()).map { (path: $0.path[...], value: $0.text(element)) }))
            }
            return YAMLText.mapping(entries.sorted { $0.key < $1.key })
        } parts: { value in
            value.flatMap { name, element in
                told(keys, of: element, new()).flatMap { key in key.parts(element).map { (path: [name] + key.path + $0.path, text: $0.text) } }
            }
        }
    }

    /// The keys whose values are written.
    private static func told<Element>(_ keys: [ConfigKey<Element>], of element: Element, _ new: Element) -> [ConfigKey<Element>] {
        keys.filter { $0.path.count == 1 || $0.text(element) != $0.text(new) }
    }

    /// The valid entries; nil if the value is null, and after reporting that it is not a mapping.
    private static func readEntries<Name, Element>(
        of node: ConfigNode, _ label: String, _ summary: String, _ diagnostics: inout ConfigDiagnostics,
        _ read: (ConfigNode.Entry, inout ConfigDiagnostics) -> (Name, Element)?
    ) -> Value? where Value == [Name: Element] {
        if node.isNull { return nil }
        guard let entries = node.entries else {
            diagnostics.add(.configType, "\(label) is not a mapping", at: node.location, help: summary)
            return nil
        }
        var value: Value = [:]
        for entry in entries {
            if let (name, element) = read(entry, &diagnostics) { value[name] = element }
        }
        return value
    }
}

extension ConfigType<Configuration.Rules.Enabled> {
    /// A list of plugins' names, or the word `all`.
    static var enabledRules: ConfigType {
        let names = ConfigType<[String]>.list(of: .identifier, maximum: 64)
        let summary = "the word all, or a list of up to 64 names of plugins"
        return ConfigType(summary, .list) { node, label, diagnostics in
            if case .scalar("all", _) = node.content { return .all }
            guard case .list(let nodes) = node.content else {
                diagnostics.add(.configType, "\(label) is not a list", at: node.location, help: summary)
                return nil
            }
            if nodes.count == 1, case .scalar("all", _) = nodes[0].content { return .all }
            guard let given = names.read(node, label, &diagnostics) else { return nil }
            for (index, name) in given.enumerated() where given[..<index].contains(name) {
                diagnostics.add(.configRange, "\(label) has '\(name)' more than once", at: nodes[index].location, help: summary)
                return nil
            }
            return .named(given)
        } text: {
            switch $0 {
            case .all: "all"
            case .named(let given): names.text(given)
            }
        }
    }
}

extension ConfigType<[String: ConfigValue]> {
    /// By name, whatever JSON can say.
    static var settings: ConfigType {
        let summary = "by a plugin's name: whatever it takes, see its README"
        return ConfigType(summary, .tree) { node, label, diagnostics in
            readEntries(of: node, label, summary, &diagnostics) { entry, diagnostics in
                value(of: entry.value, "\(label).\(entry.key)", &diagnostics).map { (entry.key, $0) }
            }
        } text: {
            ConfigValue.object($0).text
        } parts: { value in
            value.map { (path: [$0.key], text: $0.value.text) }
        }
    }

    static func value(of node: ConfigNode, _ label: String, _ diagnostics: inout ConfigDiagnostics) -> ConfigValue? {
        switch node.content {
        case .scalar(let text, plain: false): return .string(text)
        case .scalar(let text, plain: true):
            let value = ConfigValue(plain: text)
            if value == nil {
                diagnostics.add(
                    .configRange, "\(label) is a number that does not fit", at: node.location,
                    help: "integers of 64 bits, finite numbers; in quotes it is a text")
            }
            return value
        case .list(let nodes):
            return .array(nodes.enumerated().compactMap { value(of: $1, "\(label)[\($0)]", &diagnostics) })
        case .mapping(let entries):
            var object: [String: ConfigValue] = [:]
            for entry in entries { object[entry.key] = value(of: entry.value, "\(label).\(entry.key)", &diagnostics) }
            return .object(object)
        }
    }
}
