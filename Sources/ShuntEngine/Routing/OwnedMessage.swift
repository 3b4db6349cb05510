import MQTTCodec
import ShuntCore

/// A message that a rule made, with bytes of its own: what the rules gave lives only until their next call.
struct OwnedMessage {
    var kind: MessageKind
    var topic: [UInt8]
    var key: [UInt8]?
    var payload: [UInt8]
    var format: PayloadFormat
    var compression: PayloadCompression
    var filter: [UInt8]
    var qos: QoS
    var isRetained: Bool
    var properties: [UInt8]
    /// The rule that has made it, and the one that has given it its topic.
    var rule: UInt8
    var topicRule: UInt8
    /// The rules that have sent it on.
    var sentOn = RuleSelection.none
    /// Seconds after which it goes out; nil: at once.
    var delay: Double?
    /// How many rules have sent it on.
    var hops: UInt8 = 0
    /// The client whose message it is made of, for rules that see it later.
    var sender = ConnectionID.nobody
    /// The message that it is made of, where it goes out later.
    var origin: MessageOrigin?
    /// Who wants to know whether it reaches anybody (`MessageFates`).
    var fate: UInt32?
    /// The sender's place in the chat, where it is a member: all other members get the message, and the sender does not, whatever its connection
    /// is by then.
    var place: ChatPlace?

    init(_ routed: RoutedMessage, of sender: ConnectionID = .nobody) {
        self.sender = sender
        kind = routed.kind
        topic = Array(routed.topic)
        key = routed.key.map { Array($0) }
        payload = Array(routed.payload)
        format = routed.format
        compression = routed.compression
        filter = Array(routed.filter)
        qos = routed.qos
        isRetained = routed.isRetained
        properties = Array(routed.properties)
        (rule, topicRule, sentOn) = (routed.rule, routed.topicRule, routed.sentOn)
        if routed.changes.contains(.delayed) { delay = Double(routed.delay) / 1000 }
    }

    /// A copy of a message, made by the worker.
    init(_ message: MessageView) {
        kind = message.kind
        topic = Array(message.topic)
        key = message.key.map { Array($0) }
        payload = Array(message.payload)
        format = message.format
        compression = message.compression
        filter = []
        qos = message.qos
        isRetained = false
        properties = Array(message.properties)
        (rule, topicRule) = (.max, .max)
    }

    /// The same under the kind and the topic that the message came with which it is made of.
    func asItCame(_ origin: MessageOrigin) -> OwnedMessage {
        var message = self
        (message.kind, message.topic) = (origin.kind, origin.topic)
        return message
    }

    /// Bytes that it takes.
    var size: Int { topic.count + payload.count + properties.count + filter.count }

    /// - Parameters:
    ///   - id: of the message as it goes out.
    ///   - body: gets the message.
    func withView<Result>(id: Int64, _ body: (MessageView) -> Result) -> Result {
        topic.withUnsafeBytes { topic in
            payload.withUnsafeBytes { payload in
                properties.withUnsafeBytes { properties in
                    guard let key else { return body(view(topic, nil, payload, properties, id)) }
                    return key.withUnsafeBytes { body(view(topic, $0, payload, properties, id)) }
                }
            }
        }
    }

    private func view(_ topic: Bytes, _ key: Bytes?, _ payload: Bytes, _ properties: Bytes, _ id: Int64) -> MessageView {
        var view = MessageView(
            kind: kind, topic: topic, key: key, payload: payload, format: format, compression: compression, id: id, hops: hops, sender: sender)
        (view.qos, view.isRetained, view.properties) = (qos, isRetained, properties)
        view.expiry = PublishProperties.expiry(in: properties)
        return view
    }
}

extension ConnectionID {
    /// No client: what rules made, or what is told without its sender.
    static let nobody = ConnectionID.none
}
