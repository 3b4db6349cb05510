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
}

/// A message's bytes in each wire form that a recipient has needed so far: made once, however many recipients want them.
struct EncodedForms {
    private let message: MessageView
    private var exchange = Stretch.none
    private var mqtt3 = Stretch.none
    /// Forms that cannot express the message.
    private var inexpressible: UInt8 = 0

    init(_ publication: Publication) {
        message = publication.message
        keep(publication.stretch)
    }

    /// - Returns: `none` where the form cannot express the message.
    @inline(__always)
    mutating func stretch(_ form: WireForm, _ encoder: WireEncoder) -> Stretch {
        let known = form == .exchange ? exchange : mqtt3
        return known.isNone ? encode(form, encoder) : known
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
        }
    }
}
