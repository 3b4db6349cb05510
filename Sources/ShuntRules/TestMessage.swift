import ShuntCore

/// A message as a test tells it.
struct TestMessage {
    static let fields = ["payload", "key", "format", "sender", "hops", "id"]

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
        payload = Array((fields["payload"]?.string ?? "").utf8)
        key = fields["key"]?.string.map { Array($0.utf8) }
        format = PayloadFormat.allCases.first { "\($0)" == fields["format"]?.string } ?? .text
        filter = Array((fields["filter"]?.string ?? "{}").utf8)
        id = Int64(exactly: fields["id"]?.number ?? 1) ?? 1
        hops = UInt8(exactly: fields["hops"]?.number ?? 0) ?? 0
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
            "kind": .string("\(kind)"), "topic": .string(String(decoding: topic, as: UTF8.self)),
            "payload": .string(String(decoding: payload, as: UTF8.self)), "format": .string("\(format)"),
        ]
        if let key { fields["key"] = .string(String(decoding: key, as: UTF8.self)) }
        if kind == .broadcast { fields["filter"] = .string(String(decoding: filter, as: UTF8.self)) }
        return fields
    }
}
