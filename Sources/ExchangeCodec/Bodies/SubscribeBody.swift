import ShuntCore

/// The value of SUBSCRIBE and UNSUBSCRIBE (§9.3).
public struct SubscribeBody: Equatable, Sendable {
    public var group: String
    public var topic: String
    /// nil subscribes to every key, as `*` does.
    public var key: String?

    public init(group: String, topic: String, key: String? = nil) {
        self.group = group
        self.topic = topic
        self.key = key
    }

    /// - Throws: `request.invalid` if this is not the object, or group or topic is missing or empty.
    public init(decoding bytes: Bytes) throws(ShuntError) {
        let object = try LenientJSON.object(in: bytes, subject: "SUBSCRIBE body")
        guard let group = try object.string("group"), !group.isEmpty else { throw object.missing("group") }
        guard let topic = try object.string("topic"), !topic.isEmpty else { throw object.missing("topic") }
        self.init(group: group, topic: topic, key: try object.string("key"))
    }

    public func encoded() -> [UInt8] {
        JSONWriter.object { json in
            json.member("group", group)
            json.member("key", key)
            json.member("topic", topic)
        }
    }
}
