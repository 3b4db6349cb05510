/// The layout of a message's bytes for a client: one case for each protocol, and for each version that differs.
public enum WireForm: UInt8, Sendable, CaseIterable {
    /// A frame of the exchange protocol.
    case exchange
    /// A PUBLISH of MQTT 3.1 and 3.1.1 with QoS 0.
    case mqtt3
}

/// The form in which a subscription wants its messages.
public struct DeliveryTerms: Equatable, Sendable {
    @usableFromInline let raw: UInt8

    @inlinable
    init(raw: UInt8) { self.raw = raw }

    @inlinable
    public init(_ form: WireForm) { raw = form.rawValue }

    // Raw values come from forms alone: both initialisers of other modules take one.
    @inlinable public var form: WireForm { WireForm(rawValue: raw).unsafelyUnwrapped }

    /// The terms of the exchange protocol.
    public static let exchange = DeliveryTerms(.exchange)
}

/// A client that gets a message, and the form that it gets.
public struct Recipient: Equatable, Sendable {
    public var connection: ConnectionID
    public var terms: DeliveryTerms

    @inlinable
    public init(_ connection: ConnectionID, _ terms: DeliveryTerms = .exchange) {
        self.connection = connection
        self.terms = terms
    }
}
