import ShuntCore

/// A message on its way to its recipients: what it says, and the bytes that it came as.
///
/// A plain value. What it points to stays in its place until the event's actions have been carried out, or it is encoded before that ends.
struct Publication {
    let message: MessageView
    /// What clients of its own protocol get; none where no client has sent the message as it is.
    let stretch: Stretch

    @inline(__always)
    init(_ message: MessageView, as stretch: Stretch = .none) {
        self.message = message
        self.stretch = stretch
    }

    /// Whether its bytes are all that a recipient of their form needs, whatever QoS it may get.
    @inline(__always)
    var isPlain: Bool { message.qos == .atMostOnce && !message.isRetained }
}

/// A message's bytes in each wire form that a recipient has needed so far: made once, however many recipients want them.
struct EncodedForms {
    private let message: MessageView
    private var exchange = Stretch.none
    private var mqtt3 = Stretch.none
    private var mqtt5 = Stretch.none
    private var mqtt3Numbered = Stretch.none
    private var mqtt5Numbered = Stretch.none
    /// Forms that cannot express the message.
    private var inexpressible: UInt8 = 0

    init(_ publication: Publication) {
        message = publication.message
        keep(publication.stretch)
    }

    /// - Returns: `none` where the form cannot express the message.
    @inline(__always)
    mutating func stretch(_ form: WireForm, _ encoder: WireEncoder) -> Stretch {
        let known = known(form)
        return known.isNone ? encode(form, encoder) : known
    }

    @inline(__always)
    private func known(_ form: WireForm) -> Stretch {
        switch form {
        case .exchange: exchange
        case .mqtt3: mqtt3
        case .mqtt5: mqtt5
        case .mqtt3Numbered: mqtt3Numbered
        case .mqtt5Numbered: mqtt5Numbered
        }
    }

    private mutating func encode(_ form: WireForm, _ encoder: WireEncoder) -> Stretch {
        guard inexpressible & 1 << form.rawValue == 0 else { return .none }
        guard let stretch = encoder.encode(message, form) else {
            inexpressible |= 1 << form.rawValue
            return .none
        }
        keep(stretch)
        return stretch
    }

    private mutating func keep(_ stretch: Stretch) {
        switch stretch.form {
        case .exchange: exchange = stretch
        case .mqtt3: mqtt3 = stretch
        case .mqtt5: mqtt5 = stretch
        case .mqtt3Numbered: mqtt3Numbered = stretch
        case .mqtt5Numbered: mqtt5Numbered = stretch
        }
    }
}
