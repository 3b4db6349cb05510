import ShuntConfig
import ShuntCore

/// Reads the YAML of `AccessRules`, and collects its errors.
struct AccessRulesReader {
    var diagnostics = ConfigDiagnostics()
    private var groups: [String: [String]] = [:]

    private static let entryKeys = ["allow", "deny", "to", "topics", "consumer_groups"]
    private static let clientKeys = ["uid", "group", "client_id", "address", "certificate"]

    mutating func read(_ root: ConfigNode) -> [AccessRules.Entry] {
        guard let entries = mapping(root, "the file", ["groups", "rules"]) else { return [] }
        if let node = entries["groups"], !node.isNull {
            for group in node.entries ?? [] { groups[group.key] = texts(group.value, "group \(ConfigDiagnostics.excerpt(group.key))") ?? [] }
            if node.entries == nil { wrongType(node, "groups", "names with uids each, as in {plant: [ann, bob]}") }
        }
        guard let node = entries["rules"], !node.isNull else { return [] }
        guard case .list(let elements) = node.content else {
            wrongType(node, "rules", "a list, as in - {allow: publish, topics: [\"plant/#\"]}")
            return []
        }
        guard elements.count <= AccessRules.maximumEntries else {
            diagnostics.add(.configRange, "too many rules", at: node.location, help: "at most \(AccessRules.maximumEntries)")
            return []
        }
        return elements.compactMap { entry($0) }
    }

    private mutating func entry(_ node: ConfigNode) -> AccessRules.Entry? {
        guard let members = mapping(node, "a rule", Self.entryKeys) else { return nil }
        let (allow, deny) = (members["allow"], members["deny"])
        guard let given = allow ?? deny, allow == nil || deny == nil else {
            diagnostics.add(
                .configInvalid, allow == nil ? "a rule neither allows nor denies" : "a rule allows and denies", at: node.location,
                help: "one of allow: [publish, …] and deny: [publish, …]")
            return nil
        }
        let actions = actions(given)
        let to = members["to"]
        let clients: AccessRules.Clients? = if let to { self.clients(to) } else { AccessRules.Clients() }
        let topics = members["topics"].map { (node: $0, filters: self.topics($0)) }
        let consumerGroups = members["consumer_groups"].map { (node: $0, names: templates($0, "consumer_groups")) }
        if let topics, topics.filters == nil { return nil }
        if let consumerGroups, consumerGroups.names == nil { return nil }
        guard let actions, let clients else { return nil }
        if let consumerGroups, !actions.has(.share) {
            diagnostics.add(
                .configInvalid, "consumer_groups of a rule that is not about share", at: consumerGroups.node.location,
                help: "add share, or leave them out")
        }
        return AccessRules.Entry(
            isAllowed: allow != nil, actions: actions, to: clients, topics: topics?.filters, consumerGroups: consumerGroups?.names,
            location: node.location)
    }

    private mutating func actions(_ node: ConfigNode) -> AccessActions? {
        let known = AccessAction.allCases.map(\.name) + ["all"]
        guard let words = texts(node, "the actions") else { return nil }
        var actions: AccessActions = []
        for word in words {
            if word == "all" {
                actions = .all
            } else if let action = AccessAction.allCases.first(where: { $0.name == word }) {
                actions.insert(AccessActions(action))
            } else {
                let close = Suggestion.closest(to: word, in: known)
                diagnostics.add(
                    .configUnknownKey, "unknown action '\(ConfigDiagnostics.excerpt(word))'", at: node.location,
                    help: close.map { "did you mean '\($0)'?" } ?? known.joined(separator: ", "))
                return nil
            }
        }
        return actions
    }

    private mutating func clients(_ node: ConfigNode) -> AccessRules.Clients? {
        guard let members = mapping(node, "to", Self.clientKeys) else { return nil }
        var clients = AccessRules.Clients()
        var isRight = true
        for (key, value) in members.sorted(by: { $0.key < $1.key }) {
            guard let texts = texts(value, key) else {
                isRight = false
                continue
            }
            let names = Set(texts.map { ExactText($0) })
            switch key {
            case "uid": clients.uids = clients.uids.map { $0.intersection(names) } ?? names
            case "client_id": clients.clientIDs = names
            case "certificate": clients.certificates = names
            case "group":
                guard let members = uids(ofGroups: texts, at: value.location) else {
                    isRight = false
                    continue
                }
                clients.uids = clients.uids.map { $0.intersection(members) } ?? members
            default:
                clients.addresses = texts.compactMap { AddressRange($0) }
                if clients.addresses?.count == texts.count { continue }
                diagnostics.add(.configType, "no address", at: value.location, help: "an IP address, or addresses as in 10.0.0.0/8")
                isRight = false
            }
        }
        return isRight ? clients : nil
    }

    private mutating func uids(ofGroups names: [String], at location: String) -> Set<ExactText>? {
        var uids: Set<ExactText> = []
        for name in names {
            guard let members = groups[name] else {
                let close = Suggestion.closest(to: name, in: groups.keys.sorted())
                diagnostics.add(
                    .configInvalid, "no group is called '\(ConfigDiagnostics.excerpt(name))'", at: location,
                    help: close.map { "did you mean '\($0)'?" } ?? "groups: {\(ConfigDiagnostics.excerpt(name)): [uid, …]}")
                return nil
            }
            uids.formUnion(members.map { ExactText($0) })
        }
        return uids
    }

    private mutating func topics(_ node: ConfigNode) -> [TopicTemplate]? {
        guard let filters = templates(node, "topics") else { return nil }
        for filter in filters {
            do throws(ShuntError) {
                try TopicTemplate.check(filter.text.text)
            } catch {
                diagnostics.add(.configInvalid, error.message, at: node.location, help: error.help)
                return nil
            }
        }
        return filters
    }

    private mutating func templates(_ node: ConfigNode, _ subject: String) -> [TopicTemplate]? {
        texts(node, subject)?.map { TopicTemplate($0) }
    }

    // MARK: Values

    /// The values of a mapping that may have these keys; nil after reporting that the node is no mapping.
    private mutating func mapping(_ node: ConfigNode, _ subject: String, _ known: [String]) -> [String: ConfigNode]? {
        guard let entries = node.entries else {
            wrongType(node, subject, "known here: " + known.joined(separator: ", "))
            return nil
        }
        var values: [String: ConfigNode] = [:]
        for entry in entries {
            if known.contains(entry.key) {
                values[entry.key] = entry.value
                continue
            }
            let close = Suggestion.closest(to: entry.key, in: known)
            diagnostics.add(
                .configUnknownKey, "unknown key \(ConfigDiagnostics.excerpt(entry.key))", at: entry.keyLocation,
                help: close.map { "did you mean '\($0)'?" } ?? "known here: " + known.joined(separator: ", "))
        }
        return values
    }

    /// One text, or a list of at least one.
    private mutating func texts(_ node: ConfigNode, _ subject: String) -> [String]? {
        let help = "a text, or a list of 1 to \(AccessRules.maximumElements)"
        if case .scalar(let text, _) = node.content, !node.isNull { return [text] }
        guard case .list(let elements) = node.content else {
            wrongType(node, subject, help)
            return nil
        }
        guard (1...AccessRules.maximumElements).contains(elements.count) else {
            diagnostics.add(.configRange, "\(subject): \(elements.count) elements", at: node.location, help: help)
            return nil
        }
        var texts: [String] = []
        for element in elements {
            guard case .scalar(let text, _) = element.content, !element.isNull else {
                wrongType(element, "an element of \(subject)", "a text")
                return nil
            }
            texts.append(text)
        }
        return texts
    }

    private mutating func wrongType(_ node: ConfigNode, _ subject: String, _ help: String) {
        let found = node.isNull ? "nothing" : node.entries != nil ? "a mapping" : "of another type"
        diagnostics.add(.configType, "\(subject) is \(found)", at: node.location, help: help)
    }
}
