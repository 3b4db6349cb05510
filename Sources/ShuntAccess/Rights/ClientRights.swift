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

    public func may(_ action: AccessAction, _ subject: Bytes = .none, group: Bytes? = nil) -> Bool {
        action == .publish ? mayPublish(subject) : table.allows(action, subject, group: group)
    }

    public func mayReceive(_ topic: Bytes) -> Bool {
        let list = table.list(.subscribe)
        guard list.isLong else { return list.allows(topic: topic, group: nil) }
        return received.decision(topic) { list.allows(topic: topic, group: nil) }
    }

    public func withholds(_ filter: Bytes, group: Bytes? = nil) -> Bool {
        table.list(group == nil ? .subscribe : .share).withholds(filter: filter, group: group)
    }

    private func mayPublish(_ topic: Bytes) -> Bool {
        let list = table.list(.publish)
        guard list.isLong else { return list.allows(topic: topic, group: nil) }
        return published.decision(topic) { list.allows(topic: topic, group: nil) }
    }

    public func place(of action: AccessAction, _ subject: Bytes = .none, group: Bytes? = nil) -> String {
        let isFilter = action == .subscribe || action == .share
        let place = RightsTable.broadcasts.withUnsafeBytes { broadcasts in
            table.list(action).place(of: action == .broadcast ? broadcasts : subject, isFilter: isFilter, group: group)
        }
        switch place {
        case .rules(let number)?: return lists.rules?.entries[number].location ?? ""
        case .file(let number)?: return "\(lists.acl?.name ?? ""):\(number)"
        case .token?: return "the client's token"
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
