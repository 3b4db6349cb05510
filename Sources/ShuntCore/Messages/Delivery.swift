/// How the bytes of a message are laid out for a client: one for each protocol, and each version that differs.
public enum WireForm: UInt8, Sendable, CaseIterable {
    /// A frame of the exchange protocol.
    case exchange
    /// A PUBLISH of MQTT 3.1 and 3.1.1 with QoS 0.
    case mqtt3
}

/// What a subscription asks for besides a topic: how its messages are to be written.
public struct DeliveryTerms: Equatable, Sendable {
    @usableFromInline let raw: UInt8

    @inlinable
    init(raw: UInt8) { self.raw = raw }

    @inlinable
    public init(_ form: WireForm) { raw = form.rawValue }

    @inlinable public var form: WireForm { WireForm(rawValue: raw).unsafelyUnwrapped }

    /// Those of the exchange protocol.
    public static let exchange = DeliveryTerms(.exchange)
}

/// A client that gets a message, and how.
public struct Recipient: Equatable, Sendable {
    public var connection: ConnectionID
    public var terms: DeliveryTerms

    @inlinable
    public init(_ connection: ConnectionID, _ terms: DeliveryTerms = .exchange) {
        self.connection = connection
        self.terms = terms
    }
}
