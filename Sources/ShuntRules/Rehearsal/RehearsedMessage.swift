import ShuntCore

/// A message that an author describes, as the tests of rules do.
public struct RehearsedMessage {
    public let kind: MessageKind
    /// The topic, or the chat's id.
    public let topic: String
    public let payload: [UInt8]
    public let key: [UInt8]?
    public let format: PayloadFormat
    /// The device filter of a broadcast, as JSON.
    public let filter: [UInt8]
    /// Of a chat, besides the sender.
    public let members: [ChatView.Member]
    /// Seconds since 1970; nil: now.
    public let at: Double?
    /// The client that sends it; its id is not one of a connection.
    public let sender: Peer
    /// What tells its connection from those of other messages.
    public let connection: String
    /// Whether the author says since when the sender is connected.
    public let saysConnectedAt: Bool
    private(set) var message: TestMessage
    /// Whether the author gives the message's id.
    private let hasID: Bool

    /// Whether a message described so can only come over MQTT: it has what frames do not carry, or its sender speaks MQTT.
    public static func isOfMQTT(_ fields: [String: SettingValue]) -> Bool {
        if ofMQTT.contains(where: { fields[$0] ?? .null != .null }) { return true }
        return TestClients.speaksMQTT(LuaValue(fields["sender"] ?? .null))
    }

    /// The same with a number as its id, where its author has given it none: no two messages of a worker have the same.
    public func numbered(_ number: Int64) -> RehearsedMessage {
        guard !hasID else { return self }
        var message = self
        message.message.id = number
        return message
    }

    private static let ofMQTT = ["qos", "retain", "props", "content_type", "response_topic", "correlation_data", "expiry", "payload_format"]

    /// Runs with the message as a worker sees it, sent by a client.
    public func withView<Result>(from client: ConnectionID, _ body: (MessageView) -> Result) -> Result {
        message.withView { view, _ in
            var view = view
            view.sender = client
            return body(view)
        }
    }

    /// `payload_base64` has no meaning here: `MessageDescription` decodes it.
    private static let fields: [String: TestField] = [
        "kind": .oneOf(MessageKind.allCases.map { "\($0)" }), "topic": .text, "filter": .text, "members": .members, "at": .number,
        "payload_base64": .text,
    ]

    /// - Parameters:
    ///   - value: a table as `t:message` takes one, with `kind`; and `at`, the time in seconds since 1970.
    ///   - payload: takes the place of the table's.
    ///   - name: what errors call the table.
    /// - Throws: `usage` where it has other keys, or values of other types.
    public init(_ value: SettingValue, payload: [UInt8]? = nil, name: String = "the message") throws(ShuntError) {
        let asked = LuaValue(value)
        var fields: [String: LuaValue]
        do throws(ShuntError) {
            fields = try TestField.check(asked, of: name, TestField.messageFields.merging(Self.fields) { own, _ in own })
        } catch {
            throw ShuntError(.usage, error.message, help: error.help)
        }
        kind = MessageKind.allCases.first { "\($0)" == asked["kind"].string } ?? .topic
        try Self.check(fields, kind, name)
        if let payload { fields["payload"] = .bytes(payload) }
        topic = kind == .broadcast ? "" : asked["topic"].string ?? (kind == .chat ? "chat" : "test")
        members = (asked["members"].list ?? []).map { .init(uid: $0["uid"].string ?? "", isOnline: $0["online"] != .bool(false)) }
        at = asked["at"].number
        let told = asked["sender"]
        sender = TestClients().client(told)
        connection = [
            told["id"].whole.map(String.init) ?? "", sender.uid, sender.device, sender.mqtt?.clientID ?? "", sender.protocolName, sender.address,
        ].joined(separator: "\u{0}")
        saysConnectedAt = told["connected_at"] != .null
        hasID = fields["id"] != nil
        let described = TestMessage(fields, kind, topic: topic, .none)
        message = kind == .topic ? described : described.received
        (self.payload, key, format, filter) = message.withView { view, filter in
            (Array(view.payload), view.key.map { Array($0) }, view.format, Array(filter))
        }
    }

    /// What one kind of message has, others don't.
    private static func check(_ fields: [String: LuaValue], _ kind: MessageKind, _ name: String) throws(ShuntError) {
        func isMissing(_ field: String) -> Bool { fields[field] == nil || fields[field] == .null }
        if kind != .broadcast, !isMissing("filter") {
            throw ShuntError(.usage, "\(name): only a broadcast has a filter", help: "kind broadcast, or leave the filter out")
        }
        if kind != .chat, !isMissing("members") {
            throw ShuntError(.usage, "\(name): only a chat has members", help: "kind chat, or leave the members out")
        }
        if kind == .broadcast, !isMissing("topic"), fields["topic"] != "" {
            throw ShuntError(.usage, "\(name): a broadcast has no topic", help: "a filter says whom it reaches; leave the topic out")
        }
        if kind == .topic, let topic = fields["topic"]?.string, let problem = MessageTopic.problem(topic) {
            throw ShuntError(.usage, "\(name): \(problem.what)", help: problem.help)
        }
        if kind == .chat, fields["topic"] == "" { throw ShuntError(.usage, "\(name): the chat's id is empty", help: "the topic is the chat's id") }
    }
}

extension ObservedMessage {
    /// The message as its author describes it.
    public init(_ message: RehearsedMessage) {
        self = message.message.withView { view, filter in ObservedMessage(view, filter: message.kind == .broadcast ? filter : .none) }
    }
}
