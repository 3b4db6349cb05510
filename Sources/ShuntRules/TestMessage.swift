import ShuntCore

/// A message as a test tells it.
struct TestMessage {
    let kind: MessageKind
    let topic: String
    private let payload: [UInt8]
    private let key: [UInt8]?
    private let format: PayloadFormat
    private let filter: [UInt8]
    private let id: Int64
    private let hops: UInt8
    private let sender: ConnectionID

    init(_ fields: [String: LuaValue], _ kind: MessageKind, topic: String, _ sender: ConnectionID) {
        self.kind = kind
        self.topic = topic
        self.sender = sender
        payload = fields["payload"]?.bytes ?? []
        key = fields["key"]?.bytes
        format = PayloadFormat.allCases.first { "\($0)" == fields["format"]?.string } ?? .text
        filter = fields["filter"]?.bytes ?? Array("{}".utf8)
        id = if case .int(let id) = fields["id"] { id } else { 1 }
        hops = if case .int(let hops) = fields["hops"] { UInt8(clamping: hops) } else { 0 }
    }

    /// Runs with the message as the router would show it, and its filter.
    func withView<R>(_ body: (MessageView, Bytes) -> R) -> R {
        Array(topic.utf8).withUnsafeBytes { topic in
            payload.withUnsafeBytes { payload in
                (key ?? []).withUnsafeBytes { keyBytes in
                    filter.withUnsafeBytes { filter in
                        let view = MessageView(
                            kind: kind, topic: topic, key: key == nil ? nil : keyBytes, payload: payload, format: format, id: id,
                            hops: hops, sender: sender)
                        return body(view, filter)
                    }
                }
            }
        }
    }

    // MARK: as a test sees it

    var described: [String: LuaValue] {
        withView { view, filter in Self.described(view.kind, view.topic, view.key, view.payload, view.format, filter) }
    }

    static func described(_ message: RoutedMessage) -> [String: LuaValue] {
        described(message.kind, message.topic, message.key, message.payload, message.format, message.filter)
    }

    private static func described(
        _ kind: MessageKind, _ topic: Bytes, _ key: Bytes?, _ payload: Bytes, _ format: PayloadFormat, _ filter: Bytes
    ) -> [String: LuaValue] {
        var fields: [String: LuaValue] = [
            "kind": .string("\(kind)"), "topic": LuaValue(text: topic),
            "payload": LuaValue(text: payload), "format": .string("\(format)"),
        ]
        if let key { fields["key"] = LuaValue(text: key) }
        if kind == .broadcast { fields["filter"] = LuaValue(text: filter) }
        return fields
    }
}
