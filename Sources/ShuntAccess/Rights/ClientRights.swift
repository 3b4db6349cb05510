import Glibc
import ShuntCore

/// What one client may do. The client's loop alone asks it.
///
/// To ask allocates nothing, except the first time that a client's topic is remembered.
public final class ClientRights: Permissions {
    private let table: RightsTable
    private let lists: AccessLists
    private var published = LastTopic()
    private var received = LastTopic()

    init(_ table: RightsTable, _ lists: AccessLists) {
        self.table = table
        self.lists = lists
    }

    /// Rights to everything, as of a client where no list is set, and of rules that run without a client.
    public static var everything: ClientRights { Rights(AccessLists()).rights(of: Who()) }

    /// - Parameters:
    ///   - subject: of `publish` the topic, of `subscribe` and `share` the topic filter, of `chat` the chat's identifier; of `broadcast`
    ///     nothing.
    ///   - group: of `share`, the consumer group.
    ///   - grants: what the rule may do besides; only for what comes from a rule.
    public func may(
        _ action: AccessAction, _ subject: Bytes = .none, group: Bytes? = nil, origin: AccessOrigin = .client, grants: Grants? = nil
    ) -> Bool {
        if origin == .admin { return true }
        if action == .publish ? mayPublish(subject) : table.allows(action, subject, group: group) { return true }
        guard origin == .rule, let grants else { return false }
        return grants.allows(action, subject, group: group)
    }

    public func may(_ action: AccessAction, _ subject: Bytes, group: Bytes?, origin: AccessOrigin) -> Bool {
        may(action, subject, group: group, origin: origin, grants: nil)
    }

    public func mayReceive(_ topic: Bytes) -> Bool { mayReceive(topic, group: nil) }

    /// Whether a message of this topic may be delivered to the client, by a subscription of its own or as a member of a group.
    public func mayReceive(_ topic: Bytes, group: Bytes? = nil) -> Bool {
        guard group == nil else { return table.list(.share).allows(topic: topic, group: group) }
        let list = table.list(.subscribe)
        guard list.isLong else { return list.allows(topic: topic, group: nil) }
        return received.decision(topic) { list.allows(topic: topic, group: nil) }
    }

    /// Whether messages for a subscription that is allowed need `mayReceive`, each of them: whether some of its topics are denied.
    public func withholds(_ filter: Bytes, group: Bytes? = nil) -> Bool {
        table.list(group == nil ? .subscribe : .share).withholds(filter: filter, group: group)
    }

    private func mayPublish(_ topic: Bytes) -> Bool {
        let list = table.list(.publish)
        guard list.isLong else { return list.allows(topic: topic, group: nil) }
        return published.decision(topic) { list.allows(topic: topic, group: nil) }
    }

    /// The place of what decides: `acl.yaml:3:5`, `acl:12`, "the client's token", or that nothing does. For logs.
    public func place(of action: AccessAction, _ subject: Bytes = .none, group: Bytes? = nil) -> String {
        let isFilter = action == .subscribe || action == .share
        let place = RightsTable.broadcasts.withUnsafeBytes { broadcasts in
            table.list(action).place(of: action == .broadcast ? broadcasts : subject, isFilter: isFilter, group: group)
        }
        switch place {
        case .rules(let number)?: return lists.rules?.entries[number].location ?? ""
        case .file(let number)?: return "\(lists.acl?.name ?? ""):\(number)"
        case .token?: return "the client's token"
        case .grant?: return "the rule's grants"
        case nil: return "no entry"
        }
    }
}

/// A topic and the decision about it: clients often send to one topic many times in a row.
private struct LastTopic {
    private var topic: ContiguousArray<UInt8> = []
    private var isAllowed = false

    /// Longer topics are not remembered.
    private static let maximum = 256

    @inline(__always)
    mutating func decision(_ topic: Bytes, _ decide: () -> Bool) -> Bool {
        guard !topic.isEmpty, topic.count <= Self.maximum else { return decide() }
        if topic.count == self.topic.count, self.topic.withUnsafeBytes({ Self.equal($0, topic) }) { return isAllowed }
        isAllowed = decide()
        // Its memory grows once, and is used again.
        if self.topic.capacity < Self.maximum { self.topic.reserveCapacity(Self.maximum) }
        self.topic.removeAll(keepingCapacity: true)
        self.topic.append(contentsOf: topic)
        return isAllowed
    }

    private static func equal(_ one: Bytes, _ other: Bytes) -> Bool {
        guard let start = one.baseAddress, let end = other.baseAddress else { return one.isEmpty && other.isEmpty }
        return memcmp(start, end, one.count) == 0
    }
}
