import ShuntCore

/// The properties of a packet of MQTT 5.0 (§2.2.2): each at most once, except user properties and, in PUBLISH, subscription identifiers.
///
/// One type for all packets. Which properties a packet may have is checked when it is read.
public struct Properties: Equatable, Sendable {
    public var payloadFormat: UInt8?
    /// Seconds.
    public var messageExpiry: UInt32?
    public var contentType: String?
    public var responseTopic: String?
    public var correlationData: [UInt8]?
    public var subscriptionIdentifiers: [UInt32] = []
    /// Seconds; `.max` means that it does not end.
    public var sessionExpiry: UInt32?
    public var assignedClientIdentifier: String?
    /// Seconds.
    public var serverKeepAlive: UInt16?
    public var authenticationMethod: String?
    public var authenticationData: [UInt8]?
    public var requestProblemInformation: Bool?
    /// Seconds.
    public var willDelay: UInt32?
    public var requestResponseInformation: Bool?
    public var responseInformation: String?
    public var serverReference: String?
    public var reasonString: String?
    public var receiveMaximum: UInt16?
    public var topicAliasMaximum: UInt16?
    public var topicAlias: UInt16?
    public var maximumQoS: UInt8?
    public var retainAvailable: Bool?
    public var userProperties: [UserProperty] = []
    /// Bytes.
    public var maximumPacketSize: UInt32?
    public var wildcardSubscriptionAvailable: Bool?
    public var subscriptionIdentifiersAvailable: Bool?
    public var sharedSubscriptionAvailable: Bool?

    public init() {}

    public typealias UserProperty = ShuntCore.UserProperty

    public static let none = Properties()
}

/// The identifiers of properties, and the packets that may have each (5.0 §2.2.2.2, table 2-4).
enum PropertyID: UInt8, CaseIterable {
    case payloadFormat = 1
    case messageExpiry = 2
    case contentType = 3
    case responseTopic = 8
    case correlationData = 9
    case subscriptionIdentifier = 11
    case sessionExpiry = 17
    case assignedClientIdentifier = 18
    case serverKeepAlive = 19
    case authenticationMethod = 21
    case authenticationData = 22
    case requestProblemInformation = 23
    case willDelay = 24
    case requestResponseInformation = 25
    case responseInformation = 26
    case serverReference = 28
    case reasonString = 31
    case receiveMaximum = 33
    case topicAliasMaximum = 34
    case topicAlias = 35
    case maximumQoS = 36
    case retainAvailable = 37
    case userProperty = 38
    case maximumPacketSize = 39
    case wildcardSubscriptionAvailable = 40
    case subscriptionIdentifiersAvailable = 41
    case sharedSubscriptionAvailable = 42

    var owners: PropertyOwners {
        switch self {
        case .payloadFormat, .messageExpiry, .contentType, .responseTopic, .correlationData: [.publish, .will]
        case .subscriptionIdentifier: [.publish, .subscribe]
        case .sessionExpiry: [.connect, .connectAcknowledgement, .disconnect]
        case .authenticationMethod, .authenticationData: [.connect, .connectAcknowledgement, .authenticate]
        case .requestProblemInformation, .requestResponseInformation: .connect
        case .willDelay: .will
        case .assignedClientIdentifier, .serverKeepAlive, .responseInformation, .maximumQoS, .retainAvailable,
            .wildcardSubscriptionAvailable, .subscriptionIdentifiersAvailable, .sharedSubscriptionAvailable:
            .connectAcknowledgement
        case .serverReference: [.connectAcknowledgement, .disconnect]
        case .reasonString: [.connectAcknowledgement, .acknowledgement, .disconnect, .authenticate]
        case .receiveMaximum, .topicAliasMaximum, .maximumPacketSize: [.connect, .connectAcknowledgement]
        case .topicAlias: .publish
        case .userProperty: .all
        }
    }
}

/// What has properties.
struct PropertyOwners: OptionSet {
    let rawValue: UInt16
    static let connect = PropertyOwners(rawValue: 1)
    static let will = PropertyOwners(rawValue: 2)
    static let connectAcknowledgement = PropertyOwners(rawValue: 4)
    static let publish = PropertyOwners(rawValue: 8)
    /// PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK.
    static let acknowledgement = PropertyOwners(rawValue: 16)
    static let subscribe = PropertyOwners(rawValue: 32)
    static let unsubscribe = PropertyOwners(rawValue: 64)
    static let disconnect = PropertyOwners(rawValue: 128)
    static let authenticate = PropertyOwners(rawValue: 256)
    static let all = PropertyOwners(rawValue: 511)
}
