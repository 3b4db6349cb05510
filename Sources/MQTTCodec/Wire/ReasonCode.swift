/// The reason codes of MQTT 5.0 (§2.4). 3.1.1 has return codes for CONNACK and SUBACK alone: `connectReturnCode`.
public enum ReasonCode: UInt8, Error, Sendable, CaseIterable {
    /// Also "normal disconnection" and "granted QoS 0".
    case success = 0x00
    case grantedQoS1 = 0x01
    case grantedQoS2 = 0x02
    case disconnectWithWill = 0x04
    case noMatchingSubscribers = 0x10
    case noSubscriptionExisted = 0x11
    case continueAuthentication = 0x18
    case reAuthenticate = 0x19
    case unspecifiedError = 0x80
    case malformedPacket = 0x81
    case protocolError = 0x82
    case implementationSpecificError = 0x83
    case unsupportedProtocolVersion = 0x84
    case clientIdentifierNotValid = 0x85
    case badUserNameOrPassword = 0x86
    case notAuthorized = 0x87
    case serverUnavailable = 0x88
    case serverBusy = 0x89
    case banned = 0x8A
    case serverShuttingDown = 0x8B
    case badAuthenticationMethod = 0x8C
    case keepAliveTimeout = 0x8D
    case sessionTakenOver = 0x8E
    case topicFilterInvalid = 0x8F
    case topicNameInvalid = 0x90
    case packetIdentifierInUse = 0x91
    case packetIdentifierNotFound = 0x92
    case receiveMaximumExceeded = 0x93
    case topicAliasInvalid = 0x94
    case packetTooLarge = 0x95
    case messageRateTooHigh = 0x96
    case quotaExceeded = 0x97
    case administrativeAction = 0x98
    case payloadFormatInvalid = 0x99
    case retainNotSupported = 0x9A
    case qosNotSupported = 0x9B
    case useAnotherServer = 0x9C
    case serverMoved = 0x9D
    case sharedSubscriptionsNotSupported = 0x9E
    case connectionRateExceeded = 0x9F
    case maximumConnectTime = 0xA0
    case subscriptionIdentifiersNotSupported = 0xA1
    case wildcardSubscriptionsNotSupported = 0xA2

    public var isError: Bool { rawValue >= 0x80 }

    /// CONNACK's return code in 3.1.1 (§3.2.2.3); nil where it has none, and the server only closes the connection.
    public var connectReturnCode: UInt8? {
        switch self {
        case .success: 0
        case .unsupportedProtocolVersion: 1
        case .clientIdentifierNotValid: 2
        case .serverUnavailable, .serverBusy, .serverShuttingDown, .useAnotherServer, .serverMoved, .quotaExceeded, .connectionRateExceeded:
            3
        case .badUserNameOrPassword, .badAuthenticationMethod: 4
        case .notAuthorized, .banned: 5
        default: nil
        }
    }
}

/// A packet breaks a statement of the specification. The receiver tells the sender the reason code and closes the connection.
public struct MQTTFault: Error, Equatable, Sendable {
    /// `malformedPacket` where bytes are not what they should be, `protocolError` where they are and should not be there.
    public let code: ReasonCode
    /// As in `MQTT-2.1.3-1`, of MQTT 5.0; empty where none is numbered.
    public let statement: String
    /// For the log and for reason strings.
    public let message: String

    public init(_ code: ReasonCode, _ message: String, _ statement: String = "") {
        self.code = code
        self.statement = statement
        self.message = message
    }
}
