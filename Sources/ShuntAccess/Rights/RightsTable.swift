import ShuntCore

/// The rights of a client, compiled: one list of decisions for each action. Clients with the same rights share one.
final class RightsTable: Sendable {
    private let publish: DecisionList
    private let subscribe: DecisionList
    private let share: DecisionList
    private let chat: DecisionList
    private let broadcast: DecisionList

    /// Where chats stand among topics.
    private static let chats = Array("$chat/".utf8)
    /// Where broadcasts are sent.
    static let broadcasts = Array("$shunt/notify".utf8)

    /// - Parameters:
    ///   - clauses: of an action, in order, with topics as filters.
    ///   - standard: the decision where no clause takes a topic.
    init(standard: Bool, clauses: (AccessAction) -> [DecisionList.Clause]) {
        publish = Self.list(clauses(.publish), standard)
        let (subscribing, sharing) = (clauses(.subscribe), clauses(.share))
        subscribe = Self.list(subscribing, standard)
        share = subscribing == sharing ? subscribe : Self.list(sharing, standard)
        broadcast = Self.list(clauses(.broadcast).filter(Self.isOfBroadcasts), standard)
        let chats = clauses(.chat).compactMap(Self.ofChats)
        chat = chats.isEmpty ? Self.list([], standard) : DecisionList(chats, standard: standard, hidesDollar: false)
    }

    private static let allowed = DecisionList([], standard: true)
    private static let denied = DecisionList([], standard: false)

    private static func list(_ clauses: [DecisionList.Clause], _ standard: Bool) -> DecisionList {
        guard clauses.isEmpty else { return DecisionList(clauses, standard: standard) }
        return standard ? allowed : denied
    }

    private static func isOfBroadcasts(_ clause: DecisionList.Clause) -> Bool {
        guard let filter = clause.filter else { return true }
        return filter.withUnsafeBytes { filter in broadcasts.withUnsafeBytes { FilterRelation.takes(filter, topic: $0) } }
    }

    /// Chats are looked for by their identifiers alone.
    private static func ofChats(_ clause: DecisionList.Clause) -> DecisionList.Clause? {
        guard let filter = clause.filter else { return clause }
        guard filter.starts(with: chats) else { return nil }
        var clause = clause
        let rest = Array(filter.dropFirst(chats.count))
        clause.filter = rest == [UInt8(ascii: "#")] ? nil : rest
        return clause
    }

    @inline(__always)
    func list(_ action: AccessAction) -> DecisionList {
        switch action {
        case .publish: publish
        case .subscribe: subscribe
        case .share: share
        case .chat: chat
        case .broadcast: broadcast
        }
    }

    /// - Parameters: as `ClientRights.may` has them.
    func allows(_ action: AccessAction, _ subject: Bytes, group: Bytes?) -> Bool {
        switch action {
        case .publish: publish.allows(topic: subject, group: nil)
        case .chat: chat.allows(topic: subject, group: nil)
        case .subscribe: subscribe.allows(filter: subject, group: nil)
        case .share: share.allows(filter: subject, group: group)
        case .broadcast: Self.broadcasts.withUnsafeBytes { broadcast.allows(topic: $0, group: nil) }
        }
    }
}
