import MQTTCodec
import ShuntCore

extension ReasonCode {
    /// The code as people read it (5.0 §2.4).
    var text: String {
        switch self {
        case .success: "success"
        case .grantedQoS1: "granted QoS 1"
        case .grantedQoS2: "granted QoS 2"
        case .disconnectWithWill: "disconnected, with its will"
        case .noMatchingSubscribers: "nobody subscribes to this topic"
        case .noSubscriptionExisted: "there was no such subscription"
        case .continueAuthentication: "continue authentication"
        case .reAuthenticate: "authenticate again"
        case .unspecifiedError: "unspecified error"
        case .malformedPacket: "malformed packet"
        case .protocolError: "protocol error"
        case .implementationSpecificError: "the broker's own rules are against it"
        case .unsupportedProtocolVersion: "the broker does not speak this version of MQTT"
        case .clientIdentifierNotValid: "the client id is not valid"
        case .badUserNameOrPassword: "wrong user name or password"
        case .notAuthorized: "not authorized"
        case .serverUnavailable: "the broker is not available"
        case .serverBusy: "the broker is busy"
        case .banned: "this client is banned"
        case .serverShuttingDown: "the broker shuts down"
        case .badAuthenticationMethod: "this authentication method is not supported"
        case .keepAliveTimeout: "the broker has heard nothing within the keep alive"
        case .sessionTakenOver: "another connection has taken the client id"
        case .topicFilterInvalid: "the topic filter is not valid"
        case .topicNameInvalid: "the topic is not valid"
        case .packetIdentifierInUse: "the packet identifier is in use"
        case .packetIdentifierNotFound: "the packet identifier is not known"
        case .receiveMaximumExceeded: "more messages than the receive maximum"
        case .topicAliasInvalid: "the topic alias is not valid"
        case .packetTooLarge: "the packet is too large"
        case .messageRateTooHigh: "too many messages in too short a time"
        case .quotaExceeded: "the quota is used up"
        case .administrativeAction: "an administrator has ended the connection"
        case .payloadFormatInvalid: "the payload is not what its format says"
        case .retainNotSupported: "retained messages are not supported"
        case .qosNotSupported: "this QoS is not supported"
        case .useAnotherServer: "use another server for now"
        case .serverMoved: "the server has moved"
        case .sharedSubscriptionsNotSupported: "shared subscriptions are not supported"
        case .connectionRateExceeded: "too many connections in too short a time"
        case .maximumConnectTime: "the connection was open for as long as it may be"
        case .subscriptionIdentifiersNotSupported: "subscription identifiers are not supported"
        case .wildcardSubscriptionsNotSupported: "wildcard subscriptions are not supported"
        }
    }

    /// The code of the one list that this one stands for.
    var errorCode: ErrorCode {
        switch self {
        case .noMatchingSubscribers: .topicNoSubscriber
        case .badUserNameOrPassword, .notAuthorized, .banned, .badAuthenticationMethod: .accessDenied
        case .topicFilterInvalid, .topicNameInvalid: .topicInvalid
        case .packetTooLarge: .frameTooLarge
        case .payloadFormatInvalid: .payloadInvalid
        case .sessionTakenOver: .sessionReplaced
        case .keepAliveTimeout: .keepAlive
        case .unsupportedProtocolVersion, .retainNotSupported, .qosNotSupported, .sharedSubscriptionsNotSupported,
            .subscriptionIdentifiersNotSupported, .wildcardSubscriptionsNotSupported:
            .requestUnsupported
        case .serverUnavailable, .serverBusy, .serverShuttingDown, .connectionRateExceeded, .useAnotherServer, .serverMoved: .addressUnavailable
        default: .refused
        }
    }

    /// Whether the same connection, or the same subscription, would be refused again.
    var isPermanent: Bool {
        switch self {
        case .serverUnavailable, .serverBusy, .serverShuttingDown, .connectionRateExceeded, .useAnotherServer, .serverMoved,
            .quotaExceeded, .messageRateTooHigh, .keepAliveTimeout, .maximumConnectTime, .administrativeAction, .unspecifiedError:
            false
        default: isError
        }
    }

    /// What would be right, where that is clear.
    var help: String? {
        switch self {
        case .unsupportedProtocolVersion: "try MQTT 3.1.1, or another port: Shunt's port for the exchange protocol speaks no MQTT"
        case .badUserNameOrPassword, .notAuthorized: "give a user name and a password that the broker knows, and that may do this"
        case .sessionTakenOver: "a client id is one client at a time: end the other one, or take another id"
        default: nil
        }
    }
}

extension Refusal {
    /// - Parameter reasonString: the broker's own words.
    init(_ reason: ReasonCode, _ reasonString: String? = nil) {
        self.init(
            status: reason.errorCode.status,
            text: [reason.text, reasonString].compactMap { $0 }.reduce("") { $0 == $1 || $0.isEmpty ? $1 : "\($0): \($1)" })
        reasonCode = reason.rawValue
    }

    /// The error that it is at this broker.
    /// - Parameter what: what was refused, such as `the connection`.
    func error(_ what: String, at location: String) -> ShuntError {
        let reason = reasonCode.flatMap { ReasonCode(rawValue: $0) } ?? .unspecifiedError
        return ShuntError(code, "\(what) was refused: \(text)", at: location, help: reason.help)
    }
}
