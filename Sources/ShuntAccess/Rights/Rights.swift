import ShuntCore

/// What decides about rights, as it was read.
public struct AccessLists: Sendable {
    public var rules: AccessRules?
    public var acl: ACLFile?

    public init(rules: AccessRules? = nil, acl: ACLFile? = nil) {
        self.rules = rules
        self.acl = acl
    }
}

/// Makes the rights of clients. Each loop has its own; after a change of the lists it makes a new one, and rights anew.
///
/// The entries of `AccessRules` go first, then the lists of the client's token, then the ACL file: the first of them with an entry for the
/// client, the action and the topic decides. Where there is any of the three and none has such an entry, it is denied; where there is none of
/// them, everything is allowed.
///
/// A `%u` or `%c` whose value has `+`, `#`, `/` or NUL in it means nothing where it allows, and everything where it denies; without a value it
/// means nothing.
public final class Rights {
    private let lists: AccessLists
    private var tables: [Key: RightsTable] = [:]

    /// The most tables that are kept for clients that come later.
    private static let maximumTables = 4096

    /// All that the rights of a client depend on.
    private struct Key: Hashable {
        var entries: [Int]
        var isNamed: Bool
        /// Empty where it is in none of the lists.
        var uid: String
        var clientID: String
        var acl: TopicLists?
    }

    public init(_ lists: AccessLists) { self.lists = lists }

    /// The rights of a client. Takes longer, and more memory, than to ask them: once a connection.
    public func rights(of who: Who) -> ClientRights {
        let entries = lists.rules?.entries ?? []
        let chosen = entries.indices.filter { entries[$0].to.include(who) }
        let lines = lists.acl?.lines(for: who) ?? []
        let templates =
            chosen.flatMap { (entries[$0].topics ?? []) + (entries[$0].consumerGroups ?? []) } + lines.map(\.filter) + Self.templates(who.acl)
        let hasUID = templates.contains(where: \.hasUID) || lists.acl?.users[ExactText(who.uid)] != nil
        let key = Key(
            entries: chosen, isNamed: !who.uid.isEmpty, uid: hasUID ? who.uid : "",
            clientID: templates.contains(where: \.hasClientID) ? who.clientID : "", acl: who.acl)
        if let table = tables[key] { return ClientRights(table, lists) }
        let table = table(chosen.map { ($0, entries[$0]) }, lines, who)
        if tables.count >= Self.maximumTables { tables.removeAll() }
        tables[key] = table
        return ClientRights(table, lists)
    }

    private static func templates(_ acl: TopicLists?) -> [TopicTemplate] { ((acl?.publish ?? []) + (acl?.subscribe ?? [])).map { TopicTemplate($0) } }

    private func table(_ entries: [(Int, AccessRules.Entry)], _ lines: [ACLFile.Line], _ who: Who) -> RightsTable {
        let isOpen = lists.rules == nil && lists.acl == nil && who.acl == nil
        return RightsTable(standard: isOpen) { action in
            var clauses: [DecisionList.Clause] = []
            for (number, entry) in entries where entry.actions.has(action) { clauses += Self.clauses(entry, .rules(number), who) }
            for (filters, actions) in [(who.acl?.publish, AccessActions.write), (who.acl?.subscribe, .read)] where actions.has(action) {
                for filter in filters ?? [] { clauses += Self.clause(TopicTemplate(filter), true, nil, .token, who) }
            }
            for isAllowed in [false, true] {
                for line in lines where line.isAllowed == isAllowed && line.actions.has(action) {
                    clauses += Self.clause(line.filter, isAllowed, nil, .file(line.number), who)
                }
            }
            return clauses
        }
    }

    private static func clauses(_ entry: AccessRules.Entry, _ place: AccessPlace, _ who: Who) -> [DecisionList.Clause] {
        var groups: [[UInt8]]?
        if let templates = entry.consumerGroups {
            let filled = templates.map { $0.fill(who) }
            // A group that cannot be named is every group where it is denied.
            if filled.contains(.dangerous), !entry.isAllowed {
                groups = nil
            } else {
                groups = filled.compactMap { if case .text(let text) = $0 { text } else { nil } }
            }
        }
        guard let topics = entry.topics else { return [.init(filter: nil, isAllowed: entry.isAllowed, groups: groups, place: place)] }
        return topics.flatMap { clause($0, entry.isAllowed, groups, place, who) }
    }

    /// One clause, or none where the filter means nothing for the client.
    private static func clause(
        _ filter: TopicTemplate, _ isAllowed: Bool, _ groups: [[UInt8]]?, _ place: AccessPlace, _ who: Who
    ) -> [DecisionList.Clause] {
        switch filter.fill(who) {
        case .text(let text): [.init(filter: text, isAllowed: isAllowed, groups: groups, place: place)]
        case .absent: []
        case .dangerous: isAllowed ? [] : [.init(filter: nil, isAllowed: false, groups: groups, place: place)]
        }
    }
}
