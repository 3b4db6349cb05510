import ShuntCore

/// A message on its way: what it says, and its bytes in each wire form that a recipient has needed so far.
///
/// A plain value on the stack. What it points to stays in its place until the event's actions have been carried out, or it is encoded before
/// that ends.
struct Publication {
    let message: MessageView
    private var exchange: Stretch
    private var mqtt3 = Stretch.none
    /// Forms that cannot express the message.
    private var inexpressible: UInt8 = 0

    /// A message that came as a frame of the exchange protocol, which is relayed as it came.
    @inline(__always)
    init(_ message: MessageView, exchange: Stretch) {
        self.message = message
        self.exchange = exchange
    }

    /// A message that came as a packet of MQTT 3, which is relayed as it came.
    @inline(__always)
    init(_ message: MessageView, mqtt3: Stretch) {
        self.message = message
        exchange = .none
        self.mqtt3 = mqtt3
    }

    /// A message that no client sent as it is.
    @inline(__always)
    init(_ message: MessageView) { self.init(message, exchange: .none) }

    /// The message's bytes in a form; made once, however many recipients want them.
    /// - Returns: `none` where the form cannot express the message.
    @inline(__always)
    mutating func stretch(_ form: WireForm, _ encoder: WireEncoder) -> Stretch {
        let known = form == .exchange ? exchange : mqtt3
        return known.isNone ? encode(form, encoder) : known
    }

    @inline(never)
    private mutating func encode(_ form: WireForm, _ encoder: WireEncoder) -> Stretch {
        guard inexpressible & 1 << form.rawValue == 0 else { return .none }
        guard let stretch = encoder.encode(message, form) else {
            inexpressible |= 1 << form.rawValue
            return .none
        }
        switch form {
        case .exchange: exchange = stretch
        case .mqtt3: mqtt3 = stretch
        }
        return stretch
    }

    /// Takes back the bytes that were made for it last: nobody gets them.
    func discard(from made: MadeBytes) {
        made.discard(mqtt3)
        made.discard(exchange)
    }
}
