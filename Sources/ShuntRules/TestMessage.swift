import ShuntCore

/// A message as a test tells it.
struct TestMessage {
    let kind: MessageKind
    let topic: String
    private let payload: [UInt8]
    private var key: [UInt8]?
    private var format: PayloadFormat
    private let filter: [UInt8]
    /// As rules read it.
    var id: Int64
    private var hops: UInt8
    private var sender: ConnectionID
    private var qos: QoS
    private var isRetained: Bool
    private var properties: [UInt8]

    init(_ fields: [String: LuaValue], _ kind: MessageKind, topic: String, _ sender: ConnectionID) {
        self.kind = kind
        self.topic = topic
        self.sender = sender
        payload = fields["payload"]?.bytes ?? []
        let ownKey = fields["props"]?.pairs.first { $0.name == "key" }?.value
        key = fields["key"]?.bytes ?? ownKey.map { Array($0.utf8) }
        qos = QoS(rawValue: UInt8(clamping: fields["qos"]?.whole ?? 1)) ?? .atLeastOnce
        isRetained = fields["retain"] == .bool(true)
        properties = TestProperties(fields).bytes
        format = PayloadFormat.allCases.first { "\($0)" == fields["format"]?.string } ?? Self.format(ofType: fields["content_type"]?.string)
        filter = fields["filter"]?.bytes ?? Array("{}".utf8)
        id = if case .int(let id) = fields["id"] { id } else { 1 }
        hops = if case .int(let hops) = fields["hops"] { UInt8(clamping: hops) } else { 0 }
    }

    /// The same as a worker gives it to `on_broadcast` or `on_chat`: with QoS 1, and without what such messages don't carry.
    var received: TestMessage {
        var message = self
        (message.key, message.qos, message.isRetained, message.properties) = (nil, .atLeastOnce, false, [])
        if kind == .broadcast { message.format = .text }
        return message
    }

    /// The same without what nobody knows of a message that is on its way to a client: who has sent it, and over how many topics it has come.
    var underWay: TestMessage {
        var message = self
        (message.sender, message.hops) = (.none, 0)
        return message
    }

    /// The same with what the packet to a client carries.
    func carried(to recipient: Peer) -> TestMessage {
        var message = underWay
        if recipient.mqtt != nil {
            message.id = 0
        } else {
            (message.qos, message.isRetained, message.properties) = (.atLeastOnce, false, [])
        }
        return message
    }

    /// Runs with the message as the router would show it, and its filter.
    func withView<R>(_ body: (MessageView, Bytes) -> R) -> R {
        Array(topic.utf8).withUnsafeBytes { topic in
            payload.withUnsafeBytes { payload in
                (key ?? []).withUnsafeBytes { keyBytes in
                    filter.withUnsafeBytes { filter in
                        properties.withUnsafeBytes { properties in
                            var view = MessageView(
                                kind: kind, topic: topic, key: key == nil ? nil : keyBytes, payload: payload, format: format, id: id,
                                hops: hops, sender: sender)
                            (view.qos, view.isRetained, view.properties) = (qos, isRetained, properties)
                            return body(view, filter)
                        }
                    }
                }
            }
        }
    }

    /// The format of a message that says no other.
    private static func format(ofType type: String?) -> PayloadFormat {
        switch type {
        case nil, "text/plain": .text
        case "application/json": .json
        default: .none
        }
    }

    // MARK: as a test sees it

    var described: [String: LuaValue] {
        withView { view, filter in
            var message = RoutedMessage(
                kind: view.kind, changes: [], topic: view.topic, key: view.key, payload: view.payload, format: view.format, compression: .none,
                filter: filter, rule: 0)
            (message.qos, message.isRetained, message.properties) = (view.qos, view.isRetained, view.properties)
            return Self.described(message)
        }
    }

    static func described(_ message: RoutedMessage) -> [String: LuaValue] {
        var fields = TestProperties.described(message.properties)
        fields["kind"] = .string("\(message.kind)")
        fields["topic"] = LuaValue(text: message.topic)
        fields["payload"] = LuaValue(text: message.payload)
        fields["format"] = .string("\(message.format)")
        fields["qos"] = .int(Int64(message.qos.rawValue))
        fields["retain"] = .bool(message.isRetained)
        if message.changes.contains(.delayed) { fields["delay"] = .double(Double(message.delay) / 1000) }
        if let key = message.key { fields["key"] = LuaValue(text: key) }
        if message.kind == .broadcast { fields["filter"] = LuaValue(text: message.filter) }
        return fields
    }
}
