import MQTTCodec
import ShuntCore

/// What MQTT says of a message beside topic and payload. The exchange protocol has none of it.
public struct MQTTProperties: Equatable, Sendable {
    /// To send: the QoS; nil: the options' (`MQTTOptions.qos`). Of a message that came: the QoS that it came with.
    public var qos: QoS?
    /// To send: the broker is to keep the message for later subscribers; an empty payload clears what it keeps. Of a message that came: it
    /// was kept for this subscription, or, with `isRetainAsPublished`, was published so.
    public var isRetained = false
    /// Of a message that came: the broker has sent it before.
    public var isDuplicate = false
    // All of these are of 5.0.
    /// Seconds after which the broker gives the message up where it waits; what is left of them when it came.
    public var messageExpiry: UInt32?
    /// A MIME type; nil: the one for the message's format.
    public var contentType: String?
    /// The topic that an answer is to be published to.
    public var responseTopic: String?
    /// Bytes by which the asker knows the answer again.
    public var correlationData: [UInt8]?
    /// In order; names may repeat. The key is the one of the name `key`.
    public var userProperties: [UserProperty] = []
    /// Of a message that came: the identifiers of the subscriptions that it came for.
    public var subscriptionIdentifiers: [UInt32] = []

    /// No properties, and the QoS of the options.
    public init() {}

    /// No properties, and the QoS of the options.
    public static let none = MQTTProperties()

    /// The value of the first user property of this name.
    public subscript(name: String) -> String? { userProperties.first { $0.name == name }?.value }

    /// Whether there is something that only 5.0 carries.
    var needsProperties: Bool {
        messageExpiry != nil || contentType != nil || responseTopic != nil || correlationData != nil || !userProperties.isEmpty
    }
}

/// What a broker has said about itself in CONNACK (5.0 §3.2.2.3).
struct BrokerLimits: Equatable, Sendable {
    /// Messages of QoS 1 and 2 that it takes without having acknowledged them.
    var receiveMaximum = 65_535
    var maximumQoS = QoS.exactlyOnce
    var takesRetained = true
    /// Bytes of a packet.
    var packetSize = Int.max
    var hasSharedSubscriptions = true
    var hasWildcards = true
    var hasSubscriptionIdentifiers = true

    static let none = BrokerLimits()

    init() {}

    init(_ properties: Properties) {
        receiveMaximum = Int(properties.receiveMaximum ?? 65_535)
        maximumQoS = properties.maximumQoS.flatMap { QoS(rawValue: $0) } ?? .exactlyOnce
        takesRetained = properties.retainAvailable ?? true
        packetSize = properties.maximumPacketSize.map { Int($0) } ?? .max
        hasSharedSubscriptions = properties.sharedSubscriptionAvailable ?? true
        hasWildcards = properties.wildcardSubscriptionAvailable ?? true
        hasSubscriptionIdentifiers = properties.subscriptionIdentifiersAvailable ?? true
    }
}
