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
}

/// What one client may do. Its loop alone asks it, on the way of each message: to ask allocates nothing.
public protocol Permissions: AnyObject {
    /// - Parameters:
    ///   - subject: of `publish` the topic, of `subscribe` and `share` the topic filter, of `chat` the chat's identifier; of `broadcast`
    ///     nothing.
    ///   - group: of `share`, the consumer group.
    func may(_ action: AccessAction, _ subject: Bytes, group: Bytes?) -> Bool
    /// Whether a message of this topic may be delivered to the client.
    func mayReceive(_ topic: Bytes) -> Bool
    /// What decides, for the log: `acl.yaml:3:5`, `acl:12`, "the client's token", "no entry".
    func place(of action: AccessAction, _ subject: Bytes, group: Bytes?) -> String
    /// Whether messages for a subscription that is allowed need `mayReceive`, each of them: whether some of its topics are denied.
    func withholds(_ filter: Bytes, group: Bytes?) -> Bool
}

/// What the rules of a plugin may do besides what the sender of a message may: `grants = { publish = {"audit/#"} }`.
public protocol RuleGrants: Sendable {
    func allow(_ action: AccessAction, _ subject: Bytes) -> Bool
}

/// Topic filters that may be published and subscribed, with `%u` for the uid and `%c` for the client identifier: the `acl` of a token.
public struct TopicLists: Hashable, Sendable {
    public var publish: [String]
    public var subscribe: [String]

    public init(publish: [String] = [], subscribe: [String] = []) {
        self.publish = publish
        self.subscribe = subscribe
    }
}
