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
    let message: TestMessage

    private static let fields: [String: TestField] = [
        "kind": .oneOf(MessageKind.allCases.map { "\($0)" }), "topic": .text, "filter": .text, "members": .members, "at": .number,
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
        if let payload { fields["payload"] = .bytes(payload) }
        kind = MessageKind.allCases.first { "\($0)" == asked["kind"].string } ?? .topic
        topic = kind == .broadcast ? "" : asked["topic"].string ?? (kind == .chat ? "chat" : "test")
        members = (asked["members"].list ?? []).map { .init(uid: $0["uid"].string ?? "", isOnline: $0["online"] != .bool(false)) }
        at = asked["at"].number
        sender = TestClients().client(asked["sender"])
        message = TestMessage(fields, kind, topic: topic, .none)
        (self.payload, key, format, filter) = message.withView { view, filter in
            (Array(view.payload), view.key.map { Array($0) }, view.format, Array(filter))
        }
    }
}

extension ObservedMessage {
    /// The message as its author describes it.
    public init(_ message: RehearsedMessage) {
        self = message.message.withView { view, filter in ObservedMessage(view, filter: message.kind == .broadcast ? filter : .none) }
    }
}
