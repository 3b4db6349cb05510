import ExchangeCodec
import ShuntCore

/// Why a message did not reach somebody, in the words of `on_undelivered`.
public enum UndeliveredReason: String, Sendable {
    case nobodySubscribed = "no subscriber"
    case noDevice = "no device"
    /// The recipient does not read fast enough.
    case queueFull = "queue full"
    /// The recipient has left meanwhile.
    case gone = "gone"
    /// It was held for a member of a chat who did not come back, or for whom too much was held.
    case expired = "expired"
}

/// Rules that look at each delivery, and at what could not be delivered.
extension LoopEngine {
    /// Whether the driver is to tell of messages that are dropped on their way to a client: `undelivered`.
    public var wantsUndelivered: Bool { hooks?.wanted.contains(.undelivered) ?? false }

    /// Asks the rules about a frame for a client of this loop, when it is to be written: what they make of it is in `replacement` until
    /// the next call. So of a message for many clients there is one copy, whatever rules look at it.
    /// - Parameter isAnother: whether it is not the message of the last call, for another client.
    public func offer(_ frame: Bytes, to recipient: ConnectionID, isAnother: Bool, now: Double) -> Delivery {
        guard looksAtDeliveries, isCurrent(recipient) else { return .unchanged }
        self.now = now
        if isAnother { hooks?.beginTurn() }
        return withMessage(in: frame, isOffered: true) { message, view, filter in
            switch hooks?.onDeliver(message, filter: filter, to: recipient, now: now) {
            case nil, .deliver: return .unchanged
            case .replace(let routed):
                replace(view, by: routed, filter: filter)
                return .replaced
            case .drop:
                figures.dropped += 1
                return .dropped
            }
        } ?? .unchanged
    }

    /// A message was dropped on its way to a client of this loop.
    public func undelivered(_ frame: Bytes, why: UndeliveredReason, now: Double) {
        guard wantsUndelivered else { return }
        self.now = now
        _ = withMessage(in: frame) { message, _, _ in tellUndelivered(message, why: why) }
    }

    /// Tells the rules of a message that did not reach anybody, or somebody.
    func tellUndelivered(_ message: MessageView, why: UndeliveredReason) {
        guard let hooks, hooks.wanted.contains(.undelivered) else { return }
        hooks.onUndelivered(message, why: why.rawValue, now: now)
    }

    /// A chat's message that was held and is given up.
    func tellUndelivered(_ payload: ChatPayload, of chat: String) {
        payload.bytes.withUnsafeBytes { bytes in
            Self.withBytes(chat) { topic in
                let message = MessageView(
                    kind: .chat, topic: topic, key: nil, payload: bytes, format: payload.format, compression: payload.compression, id: 0,
                    sender: .nobody)
                tellUndelivered(message, why: .expired)
            }
        }
    }

    // MARK: Frames as rules see them

    /// - Parameter body: gets the message, its frame, and a broadcast's filter as JSON.
    /// - Returns: nil where it is no message: an answer, or a chat's notice.
    private func withMessage<Result>(in bytes: Bytes, isOffered: Bool = false, _ body: (MessageView, FrameView, Bytes) -> Result) -> Result? {
        guard let start = bytes.baseAddress, case .frame(let frame) = FrameDecoder.decode(bytes, limit: bytes.count) else { return nil }
        let none = Bytes(start: nil, count: 0)
        switch frame.type {
        case .message: return body(MessageView(frame, start, hops: 0, sender: .nobody), frame, none)
        case .chat:
            guard frame.key(in: start)?.elementsEqual(ChatDeliveryKey.session.rawValue.utf8) == true else { return nil }
            var message = MessageView(frame, start, hops: 0, sender: .nobody)
            (message.kind, message.key) = (.chat, nil)
            return body(message, frame, none)
        case .notify:
            let filter = frame.value(in: start) ?? none
            return Self.withBytes(isOffered ? offeredText(of: filter) : Self.text(of: filter)) { text in
                body(
                    MessageView(kind: .broadcast, topic: none, key: nil, payload: text, format: .text, id: frame.id, sender: .nobody), frame,
                    filter)
            }
        default: return nil
        }
    }

    private static func text(of filter: Bytes) -> String { (try? NotifyBody(decoding: filter))?.message ?? "" }

    /// The text of a broadcast, found once for all its recipients: until `clear`, what is offered stays where it is.
    private func offeredText(of filter: Bytes) -> String {
        guard let start = filter.baseAddress else { return "" }
        if let broadcastText, broadcastText.start == start, broadcastText.count == filter.count { return broadcastText.text }
        let text = Self.text(of: filter)
        broadcastText = (start, filter.count, text)
        return text
    }

    /// Makes the frame that one recipient gets instead.
    private func replace(_ frame: FrameView, by routed: RoutedMessage, filter: Bytes) {
        replacement.removeAll()
        guard frame.type == .notify else {
            _ = replacement.append(
                FrameFields(
                    frame.type, id: frame.id, compression: routed.compression, format: routed.format, value: routed.payload,
                    name: routed.topic, key: frame.type == .chat ? ChatDeliveryKey.sessionBytes : routed.key))
            return
        }
        var body = (try? NotifyBody(decoding: filter)) ?? NotifyBody()
        body.message = String(decoding: routed.payload, as: UTF8.self)
        _ = replacement.append(Frame(.notify, id: frame.id, format: .json, value: body.encoded()).encoded())
    }
}

extension ConnectionID {
    /// No client: what rules made, or what is told without its sender.
    static let nobody = ConnectionID(raw: .max)
}

extension ChatDeliveryKey {
    /// Static bytes, for frames.
    fileprivate static var sessionBytes: Bytes {
        let key: StaticString = "SESSION"
        return Bytes(start: key.utf8Start, count: key.utf8CodeUnitCount)
    }
}
