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

    /// A message for a client of this loop that came in on another.
    /// - Parameter isAnother: whether it is not the same one as in the last call, for another client.
    /// - Returns: whether rules look at deliveries, so that the engine's actions say what becomes of it.
    public func deliver(_ frame: Bytes, to recipient: ConnectionID, isAnother: Bool) -> Bool {
        guard looksAtDeliveries, isCurrent(recipient) else { return false }
        if isAnother { hooks?.beginTurn() }
        if deliver(frame, to: [recipient], stretch: nil) > 0 { figures.dropped += 1 }
        return true
    }

    /// Asks the rules about each recipient of a frame, clients of this loop.
    /// - Parameter stretch: where the frame is; nil if it is in none of the engine's bytes.
    /// - Returns: how many are not to get it.
    func deliver(_ frame: Bytes, to recipients: some Sequence<ConnectionID>, stretch: Stretch?) -> Int {
        let dropped = withMessage(in: frame) { message, view, filter in
            var dropped = 0
            var stretch = stretch
            for recipient in recipients {
                switch hooks?.onDeliver(message, filter: filter, to: recipient, now: now) {
                case nil, .deliver:
                    if stretch == nil { stretch = made.append(Array(frame)) }
                    if let stretch { actions.append(.deliver(recipient, stretch)) }
                case .replace(let routed): actions.append(.deliver(recipient, append(routed, inPlaceOf: view, filter: filter)))
                case .drop: dropped += 1
                }
            }
            return dropped
        }
        if let dropped { return dropped }
        let stretch = stretch ?? made.append(Array(frame))
        for recipient in recipients { actions.append(.deliver(recipient, stretch)) }
        return 0
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
    private func withMessage<Result>(in bytes: Bytes, _ body: (MessageView, FrameView, Bytes) -> Result) -> Result? {
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
            let text = (try? NotifyBody(decoding: filter))?.message ?? ""
            return Self.withBytes(text) { text in
                body(
                    MessageView(kind: .broadcast, topic: none, key: nil, payload: text, format: .text, id: frame.id, sender: .nobody), frame,
                    filter)
            }
        default: return nil
        }
    }

    /// The frame of what a rule has made for one recipient.
    private func append(_ routed: RoutedMessage, inPlaceOf frame: FrameView, filter: Bytes) -> Stretch {
        guard frame.type == .notify else {
            return made.append(
                FrameFields(
                    frame.type, id: frame.id, compression: routed.compression, format: routed.format, value: routed.payload,
                    name: routed.topic, key: frame.type == .chat ? ChatDeliveryKey.sessionBytes : routed.key))
        }
        var body = (try? NotifyBody(decoding: filter)) ?? NotifyBody()
        body.message = String(decoding: routed.payload, as: UTF8.self)
        return made.append(Frame(.notify, id: frame.id, format: .json, value: body.encoded()).encoded())
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
