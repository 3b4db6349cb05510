import ExchangeCodec
import ShuntCore

/// What the rules have decided about a message for one client.
public enum Delivery: Equatable, Sendable {
    /// The client gets the frame that was offered.
    case unchanged
    /// The client gets the frame in `replacement` instead.
    case replaced
    /// The client does not get it.
    case dropped
}

/// Rules that look at each delivery, and at what could not be delivered.
extension LoopEngine {
    /// Whether the driver is to tell of messages that are dropped on their way to a client: `undelivered`.
    public var wantsUndelivered: Bool { !limits.deadLetterTopic.isEmpty || hooks?.wanted.contains(.undelivered) ?? false }

    /// Asks the rules about a message for a client of this loop, when it is to be written: what they make of it is in `replacement` until
    /// the next call. So of a message for many clients there is one copy, whatever rules look at it.
    /// - Parameters:
    ///   - handOver: how a client of MQTT gets it, where that is not as it is.
    ///   - isAnother: whether it is not the message of the last call, for another client.
    public func offer(
        _ bytes: Bytes, _ form: WireForm, to recipient: ConnectionID, _ handOver: HandOver = .none, isAnother: Bool, now: Double
    ) -> Delivery {
        guard router.looksAtDeliveries, let hooks, isCurrent(recipient) else { return .unchanged }
        router.now = now
        if isAnother { hooks.beginTurn() }
        return withMessage(bytes, form, isOffered: true) { message, filter in
            var message = message
            // The bytes are one message's for many clients: what its packet says to this one is in `handOver`.
            message.isRetained = handOver.isRetained
            if !handOver.isNone { message.qos = handOver.qos }
            switch hooks.onDeliver(message, filter: filter, to: recipient, now: now) {
            case .deliver: return .unchanged
            case .replace(let routed): return replace(message, by: routed, filter: filter, form)
            case .drop:
                output.figures.dropped += 1
                return .dropped
            }
        } ?? .unchanged
    }

    /// A message was dropped on its way to a client of this loop.
    /// - Parameter isDead: it is a dead letter already.
    /// - Returns: whether it is one now.
    @discardableResult
    public func undelivered(_ bytes: Bytes, _ form: WireForm, why: UndeliveredReason, isDead: Bool = false, now: Double) -> Bool {
        guard wantsUndelivered else { return isDead }
        router.now = now
        return withMessage(bytes, form) { message, _ in router.tellUndelivered(message, why: why, isDead: isDead) } ?? isDead
    }

    /// The form of the messages that a client of this loop gets.
    public func form(of connection: ConnectionID) -> WireForm { isCurrent(connection) ? clients[connection.slot].form : .exchange }

    /// A chat's message that was held and is given up.
    func expired(_ payload: ChatPayload, of chat: String) {
        payload.bytes.withUnsafeBytes { bytes in
            Self.withBytes(chat) { topic in
                let message = MessageView(
                    kind: .chat, topic: topic, key: nil, payload: bytes, format: payload.format, compression: payload.compression, id: 0,
                    sender: .nobody)
                _ = router.tellUndelivered(message, why: .expired)
            }
        }
    }

    // MARK: Messages as rules see them

    /// - Parameter body: gets the message, and a broadcast's filter as JSON.
    /// - Returns: nil where it is no message.
    private func withMessage<Result>(
        _ bytes: Bytes, _ form: WireForm, isOffered: Bool = false, _ body: (MessageView, Bytes) -> Result
    ) -> Result? {
        guard var message = WireEncoder.read(bytes, form) else { return nil }
        guard message.kind == .broadcast else { return body(message, .none) }
        guard form == .exchange else { return body(message, isOffered ? deliveredFilter : .none) }
        let filter = message.payload
        return Self.withBytes(isOffered ? offeredText(of: filter) : Self.text(of: filter)) { text in
            (message.payload, message.format) = (text, .text)
            return body(message, filter)
        }
    }

    /// The filter of the broadcast that is being delivered, for devices that get only its text.
    private var deliveredFilter: Bytes {
        guard !broadcastFrame.isNone else { return .none }
        return WireEncoder.read(output.made.bytes(of: broadcastFrame), .exchange)?.payload ?? .none
    }

    static func text(of filter: Bytes) -> String { (try? NotifyBody(decoding: filter))?.message ?? "" }

    /// The text of a broadcast, found once for all its recipients: until `clear`, what is offered stays where it is.
    private func offeredText(of filter: Bytes) -> String {
        guard let start = filter.baseAddress else { return "" }
        if let broadcastText, broadcastText.start == start, broadcastText.count == filter.count { return broadcastText.text }
        let text = Self.text(of: filter)
        broadcastText = (start, filter.count, text)
        return text
    }

    /// Makes what one recipient gets instead.
    private func replace(_ message: MessageView, by routed: RoutedMessage, filter: Bytes, _ form: WireForm) -> Delivery {
        replacement.removeAll()
        if message.kind == .broadcast, form == .exchange {
            var body = (try? NotifyBody(decoding: filter)) ?? NotifyBody()
            body.message = String(decoding: routed.payload, as: UTF8.self)
            replaced = replacement.append(Frame(.notify, id: message.id, format: .json, value: body.encoded()).encoded(), .exchange)
            return .replaced
        }
        var new = MessageView(routed, of: message)
        new.kind = message.kind
        guard let stretch = router.encoder.encode(new, form, into: replacement) else {
            output.figures.inexpressible += 1
            return .dropped
        }
        replaced = stretch
        return .replaced
    }

    var replacementForm: WireForm { replaced.form }

    /// What rules have made of the message that was offered last, or what its session has made of one that it was handed.
    public var replacementBytes: Bytes { replacement.bytes(of: replaced) }
}
