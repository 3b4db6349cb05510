/// The one list of error codes, for the wire, the admin API and the command line.
///
/// A code's raw value is stable: operators and programs match on it. `status` is what the exchange protocol
/// and the admin API answer, `exitCode` what a command ends with (sysexits.h).
public enum ErrorCode: String, Sendable, CaseIterable {
    // A client sent something wrong.
    case frameTooLarge = "frame.too_large"
    case frameMalformed = "frame.malformed"
    case frameTimeout = "frame.timeout"
    /// A client speaks another protocol than the port.
    case protocolHTTP = "protocol.http"
    case protocolMQTT = "protocol.mqtt"
    case protocolTLS = "protocol.tls"
    /// The listener requires a proxy's header, and the connection began with none or a wrong one.
    case protocolProxy = "protocol.proxy"
    /// The listener is for WebSocket, and the client does not keep to it.
    case protocolWebSocket = "protocol.websocket"
    /// A handshake of TLS failed, or its client broke TLS later.
    case tlsHandshake = "tls.handshake"
    case payloadInvalid = "payload.invalid"
    case requestInvalid = "request.invalid"
    case requestUnsupported = "request.unsupported"
    case topicInvalid = "topic.invalid"
    case topicNoSubscriber = "topic.no_subscriber"
    case subscriptionExists = "subscription.exists"
    case subscriptionUnknown = "subscription.unknown"
    case subscriptionLimit = "subscription.limit"
    case connectionLimit = "connection.limit"
    case connectionLost = "connection.lost"
    /// A client was silent for longer than the keep-alive time that it announced.
    case keepAlive = "connection.keep_alive"
    case slowConsumer = "connection.slow_consumer"
    /// Something looks wrong in the cluster.
    case auditFindings = "audit.findings"
    case workerNone = "worker.none"
    case workerUnknown = "worker.unknown"
    /// Another worker serves the client: a rule sends it there.
    case workerElsewhere = "worker.elsewhere"
    case deviceInvalid = "device.invalid"
    case deviceUnknown = "device.unknown"
    case deviceNone = "device.none"
    case filterInvalid = "filter.invalid"
    /// A server does not know the client's name and password, or does not let it do what it asks for.
    case accessDenied = "access.denied"
    /// A client has shown nothing that names it, or something wrong.
    case accessCredentials = "access.credentials"
    /// It cannot be checked at present who a client is: it is refused.
    case accessUnavailable = "access.unavailable"
    /// The token or the certificate that let a client in does not count any longer.
    case accessExpired = "access.expired"
    /// An operator has banned the client.
    case accessBanned = "access.banned"
    /// An operator has closed the client.
    case clientKicked = "client.kicked"
    /// There is no such client.
    case clientUnknown = "client.unknown"
    /// There is no such ban.
    case banUnknown = "ban.unknown"
    /// The client connects or publishes more often than it may.
    case accessRate = "access.rate"
    case chatInvalid = "chat.invalid"
    case chatUnknown = "chat.unknown"
    case chatFull = "chat.full"
    case chatNotMember = "chat.not_member"
    case chatElsewhere = "chat.elsewhere"
    /// Another connection has registered or joined by the same name.
    case sessionReplaced = "session.replaced"
    case memoryLimit = "limit.memory"
    /// As many programs follow the master's events as may.
    case followerLimit = "limit.followers"
    /// The system allows the process too few open files.
    case descriptorLimit = "limit.descriptors"
    case hopLimit = "limit.hops"
    case fanoutLimit = "limit.fanout"
    /// Rules may delay no more messages.
    case delayLimit = "limit.delay"
    // Decisions and faults of rules.
    case ruleRejected = "rule.rejected"
    case ruleFailed = "rule.failed"
    case ruleTime = "rule.time"
    case ruleMemory = "rule.memory"
    case ruleInvalid = "rule.invalid"
    case ruleMissing = "rule.missing"
    // Starting and running.
    case configInvalid = "config.invalid"
    case configUnknownKey = "config.unknown_key"
    case configType = "config.type"
    case configRange = "config.range"
    case configMissing = "config.missing"
    /// A certificate, its key or a revocation list cannot be read, or they do not belong together.
    case tlsInvalid = "tls.invalid"
    case addressInUse = "address.in_use"
    case addressUnavailable = "address.unavailable"
    case registryInvalid = "registry.invalid"
    case registryUnavailable = "registry.unavailable"
    case registryReadOnly = "registry.read_only"
    case queryInvalid = "query.invalid"
    case queryLimit = "query.limit"
    case masterUnavailable = "master.unavailable"
    /// Another master of the cluster serves, or none does for now.
    case masterStandby = "master.standby"
    /// A server said no, and its status and text tell why.
    case refused = "refused"
    case notFound = "not_found"
    case methodNotAllowed = "method.not_allowed"
    /// A request names a host that the server is not.
    case hostUnknown = "host.unknown"
    case usage = "usage"
    /// Standard input or output failed.
    case ioFailed = "io.failed"
    case internalError = "internal"

    /// The HTTP number for the exchange protocol's acknowledgements and the admin API.
    public var status: Int {
        switch self {
        case .frameTooLarge: 413
        case .frameMalformed, .protocolHTTP, .protocolMQTT, .protocolTLS, .protocolProxy, .protocolWebSocket, .tlsHandshake, .payloadInvalid,
            .requestInvalid, .requestUnsupported, .topicInvalid, .deviceInvalid, .filterInvalid,
            .chatInvalid, .queryInvalid, .usage, .refused, .configInvalid, .configUnknownKey, .configType, .configRange,
            .configMissing, .tlsInvalid, .ruleInvalid:
            400
        case .frameTimeout, .keepAlive: 408
        // Message-channel's clients know these as 500 (§4.4).
        case .topicNoSubscriber, .subscriptionExists, .subscriptionUnknown, .workerNone, .deviceNone: 500
        case .accessCredentials, .accessExpired: 401
        case .accessDenied, .accessBanned, .clientKicked, .ruleRejected, .chatNotMember, .registryReadOnly: 403
        case .workerUnknown, .deviceUnknown, .chatUnknown, .clientUnknown, .banUnknown, .notFound, .ruleMissing: 404
        case .methodNotAllowed: 405
        case .chatFull, .sessionReplaced: 409
        case .hostUnknown: 421
        case .queryLimit: 422
        case .chatElsewhere, .workerElsewhere: 307
        case .subscriptionLimit, .fanoutLimit, .accessRate: 429
        case .hopLimit: 508
        case .accessUnavailable, .connectionLimit, .connectionLost, .slowConsumer, .memoryLimit, .followerLimit, .delayLimit, .descriptorLimit,
            .masterUnavailable, .masterStandby, .registryUnavailable,
            .addressInUse, .addressUnavailable:
            503
        case .ruleFailed, .ruleTime, .ruleMemory, .registryInvalid, .ioFailed, .internalError, .auditFindings: 500
        }
    }

    /// A command's exit code: 64 usage, 65 data, 69 unavailable, 70 software, 74 input or output, 75 try again later, 77 permission, 78
    /// configuration.
    public var exitCode: Int32 {
        switch self {
        case .auditFindings: 1
        case .usage: 64
        case .addressInUse, .addressUnavailable, .descriptorLimit, .masterUnavailable, .masterStandby, .registryUnavailable, .workerNone,
            .connectionLost,
            .tlsHandshake:
            69
        case .configInvalid, .configUnknownKey, .configType, .configRange, .configMissing, .tlsInvalid, .ruleFailed, .ruleTime,
            .ruleMemory, .ruleInvalid, .ruleMissing, .registryInvalid:
            78
        case .accessDenied, .accessCredentials, .accessExpired, .accessBanned, .registryReadOnly, .ruleRejected: 77
        case .internalError: 70
        case .ioFailed: 74
        case .sessionReplaced, .followerLimit: 75
        default: 65
        }
    }
}

/// An error as people and programs see it: what was wrong, where, and what would be right.
public struct ShuntError: Error, Equatable, Sendable, CustomStringConvertible {
    public var code: ErrorCode
    /// What was wrong, a sentence without a full stop.
    public var message: String
    /// `file:line`, a key path, an address; nil where the caller knows.
    public var location: String?
    /// What would be right.
    public var help: String?
    /// What else was found wrong beside it.
    public var others: [ShuntError] = []

    public init(_ code: ErrorCode, _ message: String, at location: String? = nil, help: String? = nil) {
        self.code = code
        self.message = message
        self.location = location
        self.help = help
    }

    /// One error that carries all of these: the first, with the rest in `others`. nil for an empty list.
    public init?(all errors: [ShuntError]) {
        guard var first = errors.first else { return nil }
        first.others += errors.dropFirst()
        self = first
    }

    /// This error and those that it carries, as single errors.
    public var all: [ShuntError] {
        var first = self
        first.others = []
        return [first] + others.flatMap(\.all)
    }

    /// `location: message (code); help`, and how many errors it carries besides.
    public var description: String {
        let more = others.isEmpty ? "" : "; and \(others.count) more"
        // A message may begin with the key that is its place.
        let place = location.map { message.hasPrefix($0) ? "" : "\($0): " } ?? ""
        return place + message + " (\(code.rawValue))" + (help.map { "; \($0)" } ?? "") + more
    }
}
