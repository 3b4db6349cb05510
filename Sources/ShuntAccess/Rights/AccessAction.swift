/// A thing that a client does with messages, and needs a right for.
public enum AccessAction: UInt8, CaseIterable, Sendable {
    /// To send a message to a topic; a will and a retained message too.
    case publish
    /// To subscribe to a topic filter, without a consumer group.
    case subscribe
    /// To subscribe to a topic filter as a member of a consumer group.
    case share
    /// To send a broadcast: as a topic, `$shunt/notify`.
    case broadcast
    /// To be in a chat, and to send to it: as a topic, `$chat/ID`.
    case chat

    /// The name in files of rules.
    var name: String { "\(self)" }
}

/// Several actions.
struct AccessActions: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    init(rawValue: UInt8) { self.rawValue = rawValue }
    init(_ action: AccessAction) { rawValue = 1 << action.rawValue }

    static let all = AccessActions(AccessAction.allCases.map(AccessActions.init))
    /// The actions of "write" in an ACL file.
    static let write: AccessActions = [.init(.publish), .init(.broadcast), .init(.chat)]
    /// The actions of "read" in an ACL file.
    static let read: AccessActions = [.init(.subscribe), .init(.share)]

    func has(_ action: AccessAction) -> Bool { contains(AccessActions(action)) }
}
