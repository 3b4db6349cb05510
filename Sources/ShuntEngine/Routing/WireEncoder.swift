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
        switch form {
        case .exchange: exchange(message, made)
        case .mqtt3: mqtt3(message, made)
        }
    }

    /// A frame with an empty value would break Java consumers (exchange protocol §6).
    private func exchange(_ message: MessageView, _ made: MadeBytes) -> Stretch? {
        guard !message.payload.isEmpty else { return nil }
        let isChat = message.kind == .chat
        return made.append(
            FrameFields(
                isChat ? .chat : .message, id: message.id, compression: message.compression,
                format: message.format, value: message.payload, name: message.topic,
                key: isChat ? ChatDeliveryKey.sessionBytes : message.key))
    }

    /// MQTT 3 knows no compression, and its topics are UTF-8.
    private func mqtt3(_ message: MessageView, _ made: MadeBytes) -> Stretch? {
        guard message.topic.count <= Int(UInt16.max), TopicFilter.isPlainTopic(message.topic) || UTF8Text.isValid(message.topic) else { return nil }
        guard message.compression == .none else {
            return inflate(message.payload, message.compression, inflated)?.withUnsafeBytes { mqtt3(message.topic, $0, made) }
        }
        return mqtt3(message.topic, message.payload, made)
    }

    private func mqtt3(_ topic: Bytes, _ payload: Bytes, _ made: MadeBytes) -> Stretch? {
        let fields = PublishFields(.v3_1_1, topic: topic, payload: payload)
        guard fields.isExpressible else { return nil }
        let stretch = made.reserve(fields.size, .mqtt3)
        fields.write(to: made.start(of: stretch))
        return stretch
    }

    // MARK: Reading back

    /// A message that this side has written, as rules see it.
    /// - Returns: nil where it is no message: an answer, or a chat's notice.
    static func read(_ bytes: Bytes, _ form: WireForm) -> MessageView? {
        switch form {
        case .exchange: readExchange(bytes)
        case .mqtt3: readMQTT3(bytes)
        }
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

    private static func readMQTT3(_ bytes: Bytes) -> MessageView? {
        guard case .packet(let header) = PacketDecoder.decode(bytes, limit: bytes.count), header.type == .publish,
            let publish = try? PublishView(header, bytes, .v3_1_1)
        else { return nil }
        return MessageView(publish, sender: .nobody)
    }
}

extension MessageView {
    /// A MESSAGE frame.
    @inline(__always)
    init(_ frame: FrameView, _ start: UnsafeRawPointer, sender: ConnectionID) {
        self.init(
            kind: .topic, topic: frame.name(in: start) ?? .none, key: frame.key(in: start),
            payload: frame.value(in: start) ?? .none, format: frame.format,
            compression: frame.compression, id: frame.id, sender: sender)
    }

    /// A PUBLISH of MQTT.
    @inline(__always)
    init(_ publish: PublishView, sender: ConnectionID) {
        self.init(kind: .topic, topic: publish.topic, key: nil, payload: publish.payload, format: .text, id: 0, sender: sender)
    }

    /// What a rule made of a message.
    @inline(__always)
    init(_ routed: RoutedMessage, of origin: MessageView) {
        self.init(
            kind: routed.kind, topic: routed.topic, key: routed.key, payload: routed.payload, format: routed.format,
            compression: routed.compression, id: origin.id, hops: origin.hops, sender: origin.sender)
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
