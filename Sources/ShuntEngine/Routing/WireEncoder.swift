import ExchangeCodec
import MQTTCodec
import ShuntCore

/// Writes messages in the forms that recipients want, and reads them back for the rules that look at deliveries.
final class WireEncoder {
    private let made: MadeBytes
    /// The plain bytes of a packed payload.
    private let inflate: Inflate
    /// Bytes that a payload may be unpacked to.
    var inflated: Int

    /// - Returns: nil where the bytes are broken, or would be more than so many.
    typealias Inflate = (Bytes, PayloadCompression, Int) -> [UInt8]?

    init(_ made: MadeBytes, inflated: Int, _ inflate: @escaping Inflate) {
        self.made = made
        self.inflated = inflated
        self.inflate = inflate
    }

    /// Writes a topic message.
    /// - Returns: nil where the form cannot express it.
    func encode(_ message: MessageView, _ form: WireForm) -> Stretch? { encode(message, form, into: made) }

    /// Writes a topic message, or a chat's.
    func encode(_ message: MessageView, _ form: WireForm, into made: MadeBytes) -> Stretch? {
        form == .exchange ? exchange(message, made) : mqtt(message, form, made)
    }

    /// A frame with an empty value would break Java consumers (exchange protocol §6).
    private func exchange(_ message: MessageView, _ made: MadeBytes) -> Stretch? {
        guard !message.payload.isEmpty else { return nil }
        let isChat = message.kind == .chat
        return made.append(
            FrameFields(
                isChat ? .chat : .message, id: message.id, compression: message.compression,
                format: message.format == .none ? .text : message.format, value: message.payload, name: message.topic,
                key: isChat ? ChatDeliveryKey.sessionBytes : message.key))
    }

    /// MQTT knows no compression, and its topics are UTF-8.
    private func mqtt(_ message: MessageView, _ form: WireForm, _ made: MadeBytes) -> Stretch? {
        guard message.kind == .topic else { return named(message, form, made) }
        guard message.topic.count <= Int(UInt16.max), TopicFilter.isPlainTopic(message.topic) || UTF8Text.isValid(message.topic) else { return nil }
        guard message.compression == .none else {
            return inflate(message.payload, message.compression, inflated)?.withUnsafeBytes { mqtt(message, payload: $0, form, made) }
        }
        return mqtt(message, payload: message.payload, form, made)
    }

    /// Broadcasts and chats have topics of their own (`MQTTFront+Services.swift`).
    private func named(_ message: MessageView, _ form: WireForm, _ made: MadeBytes) -> Stretch? {
        let topic = message.kind == .chat ? Array(MQTTFront.chatPrefix.utf8) + message.topic : Array(MQTTFront.notifyTopic.utf8)
        return topic.withUnsafeBytes {
            var named = message
            (named.kind, named.topic) = (.topic, $0)
            return mqtt(named, form, made)
        }
    }

    private func mqtt(_ message: MessageView, payload: Bytes, _ form: WireForm, _ made: MadeBytes) -> Stretch? {
        var fields = PublishFields(
            form.hasProperties ? .v5 : .v3_1_1, topic: message.topic, payload: payload,
            qos: form.isNumbered ? max(message.qos, .atLeastOnce) : .atMostOnce,
            isRetained: false, identifier: form.isNumbered ? 1 : 0)
        guard form.hasProperties, !message.properties.isEmpty || message.key != nil || message.format != .none else {
            return write(fields, form, made)
        }
        return Self.properties(of: message, payload: payload).withUnsafeBytes {
            fields.encodedProperties = $0
            return write(fields, form, made)
        }
    }

    /// A message as retained messages are kept.
    func encodeForKeeping(_ message: MessageView) -> [UInt8]? {
        let scratch = MadeBytes()
        return mqtt(message, .mqtt5, scratch).map { Array(scratch.bytes(of: $0)) }
    }

    private func write(_ fields: PublishFields, _ form: WireForm, _ made: MadeBytes) -> Stretch? {
        guard fields.isExpressible else { return nil }
        let stretch = made.reserve(fields.size, form)
        fields.write(to: made.start(of: stretch))
        return stretch
    }

    /// What a client of MQTT 5.0 is told of a message, behind its length. A payload that is no UTF-8 is not said to be a text.
    private static func properties(of message: MessageView, payload: Bytes) -> [UInt8] {
        var changes = PublishProperties.Changes()
        changes.expiry = message.expiry
        changes.key = message.key
        switch message.properties.isEmpty && UTF8Text.isPayload(payload) ? message.format : .none {
        case .json: changes.contentType = "application/json"
        case .text: changes.contentType = "text/plain"
        default: break
        }
        return PublishProperties.rewrite(message.properties, changes)
    }

    // MARK: Reading back

    /// A message that this side has written, as rules see it.
    /// - Returns: nil where it is no message: an answer, or a chat's notice.
    static func read(_ bytes: Bytes, _ form: WireForm) -> MessageView? {
        form == .exchange ? readExchange(bytes) : readMQTT(bytes, form)
    }

    private static func readExchange(_ bytes: Bytes) -> MessageView? {
        guard let start = bytes.baseAddress, case .frame(let frame) = FrameDecoder.decode(bytes, limit: bytes.count) else { return nil }
        var message = MessageView(frame, start, sender: .nobody)
        switch frame.type {
        case .message: break
        case .chat:
            guard message.key?.elementsEqual(ChatDeliveryKey.session.rawValue.utf8) == true else { return nil }
            (message.kind, message.key) = (.chat, nil)
        case .notify:
            (message.kind, message.key, message.topic) = (.broadcast, nil, .none)
        default: return nil
        }
        return message
    }

    private static func readMQTT(_ bytes: Bytes, _ form: WireForm) -> MessageView? {
        guard let publish = publish(in: bytes, form) else { return nil }
        var message = MessageView(publish, sender: .nobody)
        if let properties = try? PublishProperties(publish.encodedProperties) { message.take(properties) }
        guard message.topic.first == UInt8(ascii: "$") else { return message }
        if message.topic.elementsEqual(MQTTFront.notifyTopic.utf8) {
            (message.kind, message.topic) = (.broadcast, .none)
        } else if message.topic.starts(with: MQTTFront.chatPrefix.utf8) {
            (message.kind, message.topic) = (.chat, Bytes(rebasing: message.topic[MQTTFront.chatPrefix.utf8.count...]))
        }
        return message
    }

    /// A PUBLISH that this side has written, or checked.
    static func publish(in bytes: Bytes, _ form: WireForm) -> PublishView? {
        guard case .packet(let header) = PacketDecoder.decode(bytes, limit: bytes.count), header.type == .publish else { return nil }
        return try? PublishView(header, bytes, form.hasProperties ? .v5 : .v3_1_1)
    }
}

extension MessageView {
    /// A MESSAGE frame.
    @inline(__always)
    init(_ frame: FrameView, _ start: UnsafeRawPointer, sender: ConnectionID) {
        self.init(
            kind: .topic, topic: frame.name.bytesOrNone(in: start), key: nil, payload: frame.value.bytesOrNone(in: start), format: frame.format,
            compression: frame.compression, id: frame.id, sender: sender, qos: .atLeastOnce)
        setKey(frame.key.bytesOrNone(in: start), isThere: !frame.key.isAbsent)
    }

    /// A PUBLISH of MQTT, without what its properties say.
    @inline(__always)
    init(_ publish: PublishView, sender: ConnectionID) {
        self.init(kind: .topic, topic: publish.topic, key: nil, payload: publish.payload, format: .none, id: 0, sender: sender)
        qos = publish.qos
        isRetained = publish.isRetained
    }

    /// What the properties of a PUBLISH say.
    mutating func take(_ properties: PublishProperties) {
        self.properties = properties.bytes
        expiry = properties.expiry
        key = properties.key
        guard let type = properties.contentType else { return }
        if type.elementsEqual("application/json".utf8) { format = .json } else if type.elementsEqual("text/plain".utf8) { format = .text }
    }

    /// What a rule made of a message.
    @inline(__always)
    init(_ routed: RoutedMessage, of origin: MessageView) {
        self.init(
            kind: routed.kind, topic: routed.topic, key: routed.key, payload: routed.payload, format: routed.format,
            compression: routed.compression, id: origin.id, hops: origin.hops, sender: origin.sender)
        let changes = routed.changes
        qos = changes.contains(.qos) ? routed.qos : origin.qos
        isRetained = changes.contains(.retain) ? routed.isRetained : origin.isRetained
        properties = changes.contains(.properties) ? routed.properties : origin.properties
        expiry = changes.contains(.properties) ? PublishProperties.expiry(in: routed.properties) : origin.expiry
    }
}

extension MadeBytes {
    /// Appends a frame of the exchange protocol.
    @inline(__always)
    func append(_ fields: FrameFields) -> Stretch {
        let size = FrameEncoder.size(of: fields)
        let stretch = reserve(size, .exchange)
        FrameEncoder.write(fields, size: size, to: start(of: stretch))
        return stretch
    }

    /// Copies what a message points to.
    func keep(_ message: MessageView) -> MessageView {
        var kept = message
        kept.topic = keep(message.topic)
        kept.key = message.key.map { keep($0) }
        kept.properties = keep(message.properties)
        kept.payload = keep(message.payload)
        return kept
    }

    private func keep(_ part: Bytes) -> Bytes { part.isEmpty ? .none : bytes(of: append(part, .exchange)) }
}

extension ChatDeliveryKey {
    /// Static bytes, for frames.
    static var sessionBytes: Bytes {
        let key: StaticString = "SESSION"
        return Bytes(start: key.utf8Start, count: key.utf8CodeUnitCount)
    }
}
