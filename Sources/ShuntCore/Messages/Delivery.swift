/// The layout of a message's bytes for a client: one case for each protocol, and for each version that differs.
public enum WireForm: UInt8, Sendable, CaseIterable {
    /// A frame of the exchange protocol.
    case exchange
    /// A PUBLISH of MQTT 3.1 and 3.1.1 without a packet identifier: QoS 0.
    case mqtt3
    /// The same of MQTT 5.0, with properties.
    case mqtt5
    /// A PUBLISH of MQTT 3.1.1 that has a packet identifier, which is each recipient's own: QoS 1 or 2.
    case mqtt3Numbered
    /// The same of MQTT 5.0.
    case mqtt5Numbered

    /// The form of the same protocol that has a packet identifier.
    @inlinable public var numbered: WireForm {
        switch self {
        case .exchange: .exchange
        case .mqtt3, .mqtt3Numbered: .mqtt3Numbered
        case .mqtt5, .mqtt5Numbered: .mqtt5Numbered
        }
    }

    @inlinable public var isNumbered: Bool { rawValue >= WireForm.mqtt3Numbered.rawValue }
    /// Whether it is a PUBLISH of MQTT 5.0.
    @inlinable public var hasProperties: Bool { self == .mqtt5 || self == .mqtt5Numbered }
}

/// How a subscription wants its messages: in eight bits, since every loop keeps them with each subscription.
public struct DeliveryTerms: Equatable, Sendable {
    @usableFromInline let raw: UInt8

    private static let qosShift: UInt8 = 2
    private static let noLocalBit: UInt8 = 0x10
    private static let retainAsPublishedBit: UInt8 = 0x20
    private static let sessionBit: UInt8 = 0x40
    private static let sharedBit: UInt8 = 0x80

    @inlinable
    init(raw: UInt8) { self.raw = raw }

    /// - Parameters:
    ///   - form: without a packet identifier.
    ///   - qos: the most.
    ///   - isNoLocal: what the client itself publishes does not come back to it.
    ///   - isRetainAsPublished: the retain flag is passed on.
    ///   - asksSession: the client's session has something to say to each message, as an absent one has, or one with topic aliases.
    ///   - isShared: the message goes to one of several clients.
    public init(
        _ form: WireForm, qos: QoS = .atMostOnce, isNoLocal: Bool = false, isRetainAsPublished: Bool = false, asksSession: Bool = false,
        isShared: Bool = false
    ) {
        raw =
            form.rawValue | qos.rawValue << Self.qosShift | (isNoLocal ? Self.noLocalBit : 0)
            | (isRetainAsPublished ? Self.retainAsPublishedBit : 0) | (asksSession ? Self.sessionBit : 0) | (isShared ? Self.sharedBit : 0)
    }

    /// The same with this QoS.
    public func with(qos: QoS) -> DeliveryTerms { DeliveryTerms(raw: raw & ~(3 << Self.qosShift) | qos.rawValue << Self.qosShift) }

    /// The same, where the session is asked.
    public var askingSession: DeliveryTerms { DeliveryTerms(raw: raw | Self.sessionBit) }

    /// The same in another form, for a client that has come back with another version.
    public func inForm(_ form: WireForm) -> DeliveryTerms { DeliveryTerms(raw: raw & ~3 | form.rawValue) }

    // Forms and QoS come from the initialiser, or from another loop's copy of these bits.
    @inlinable public var form: WireForm { WireForm(rawValue: raw & 3).unsafelyUnwrapped }
    public var qos: QoS { QoS(rawValue: raw >> Self.qosShift & 3) ?? .atMostOnce }
    public var isNoLocal: Bool { raw & Self.noLocalBit != 0 }
    public var isRetainAsPublished: Bool { raw & Self.retainAsPublishedBit != 0 }
    public var asksSession: Bool { raw & Self.sessionBit != 0 }
    public var isShared: Bool { raw & Self.sharedBit != 0 }

    /// Whether a message that has these bytes is all that its recipient needs: nothing of them depends on the client.
    /// - Parameter isPlain: the message has QoS 0 and is not retained.
    @inlinable @inline(__always)
    public func takes(_ form: WireForm, isPlain: Bool) -> Bool { raw & (isPlain ? 0b0101_0011 : 0xFF) == form.rawValue }

    /// The terms of the exchange protocol.
    public static let exchange = DeliveryTerms(.exchange)
}

/// A client that gets a message, and how it gets it.
public struct Recipient: Equatable, Sendable {
    /// The client's connection, or its session where that outlives connections.
    public var connection: ConnectionID
    public var terms: DeliveryTerms

    @inlinable
    public init(_ connection: ConnectionID, _ terms: DeliveryTerms = .exchange) {
        self.connection = connection
        self.terms = terms
    }
}

/// What is left of the terms for one message, in the eight bits that it takes along to another loop. 0: its bytes go out as they are.
public struct HandOver: Equatable, Sendable {
    public let raw: UInt8

    public init(raw: UInt8) { self.raw = raw }

    /// - Parameters:
    ///   - qos: the lower of the message's and the subscription's.
    ///   - isRetained: the retain flag that the client gets.
    ///   - isDead: the message is a dead letter already, and becomes none again.
    public init(qos: QoS, isRetained: Bool, isShared: Bool, isDead: Bool = false) {
        raw = 8 | qos.rawValue | (isRetained ? 4 : 0) | (isShared ? 16 : 0) | (isDead ? 32 : 0)
    }

    /// Nobody has to be asked.
    public static let none = HandOver(raw: 0)
    @inlinable public var isNone: Bool { raw == 0 }
    public var qos: QoS { QoS(rawValue: raw & 3) ?? .atMostOnce }
    public var isRetained: Bool { raw & 4 != 0 }
    public var isShared: Bool { raw & 16 != 0 }
    public var isDead: Bool { raw & 32 != 0 }
    /// The lower bits of a PUBLISH's first byte (5.0 §3.3.1), without DUP.
    public var publishFlags: UInt8 { (raw & 3) << 1 | (raw & 4) >> 2 }
}
