/// Which clients of a worker are meant: by name, or one session.
public struct ClientQuestion: Codable, Equatable, Sendable {
    /// Sessions that are told at a time.
    public static let maximumClients = 100
    /// Subscriptions of a client that are told, and how many may be asked for.
    public static let (usualSubscriptions, maximumSubscriptions) = (100, 1_000)

    /// The client identifier of MQTT, or the name of a device of the exchange protocol.
    public var client: String?
    /// `loop-slot-generation`, as the registry names it.
    public var session: String?
    /// Only clients of this protocol: `exchange`, `mqtt`, or a whole name such as `mqtt 5.0`.
    public var protocolName: String?
    /// Subscriptions that are told of each.
    public var subscriptions: Int?
    /// To be kicked: whether a session of MQTT that outlives its connection ends too.
    public var endsSession: Bool?

    public init(
        client: String? = nil, session: String? = nil, protocolName: String? = nil, subscriptions: Int? = nil, endsSession: Bool? = nil
    ) {
        (self.client, self.session, self.protocolName) = (client, session, protocolName)
        (self.subscriptions, self.endsSession) = (subscriptions, endsSession)
    }

    /// Whether clients that speak this are meant.
    public func isMeant(speaking name: String) -> Bool { protocolName.map { name == $0 || name.hasPrefix($0 + " ") } ?? true }

    /// The connection or session that is meant; nil where `session` is none.
    public var sessionID: ConnectionID? { session.flatMap { ConnectionID(text: $0) } }
}

/// What a worker knows of the clients that an operator has asked for.
public struct ClientDetailsRecord: Codable, Equatable, Sendable {
    public var clients: [ClientDetail]
    /// How many there are; at most ``ClientQuestion/maximumClients`` are told.
    public var total: Int

    public init(clients: [ClientDetail], total: Int) { (self.clients, self.total) = (clients, total) }
}

/// All that a worker knows of a client, and no byte of a message.
public struct ClientDetail: Codable, Equatable, Sendable {
    public struct Subscription: Codable, Equatable, Sendable {
        public var filter: String
        /// nil: the client is a group of its own.
        public var group: String?
        public var key: String?
        public var qos: Int

        public init(filter: String, group: String?, key: String?, qos: Int) {
            (self.filter, self.group, self.key, self.qos) = (filter, group, key, qos)
        }
    }

    /// As in the registry, but the worker's name, which the answer has.
    public var session: String
    public var client: String
    public var uid: String
    public var protocolName: String
    public var listener = ""
    public var address = ""
    public var state: ClientRecord.State
    public var since: Double
    public var tags: [String] = []
    public var alias: [String] = []
    /// Whether it is a registered device.
    public var device = false
    /// MQTT: seconds.
    public var keepAlive: Int?
    /// MQTT: seconds that its session is kept without it; nil where that ends with the connection, or without end.
    public var sessionExpiry: Int?
    /// Whether the session outlives its connection.
    public var lasting = false
    /// When the session ends if the client stays away.
    public var endsAt: Double?
    /// The newest; `subscriptionCount` tells how many there are.
    public var subscriptions: [Subscription] = []
    public var subscriptionCount: Int
    /// MQTT: messages that it has been sent and has not acknowledged; how many it takes at a time.
    public var inflight: Int?
    public var receiveMaximum: Int?
    /// MQTT: messages that wait for it, and their bytes.
    public var queued: Int?
    public var queuedBytes: Int?
    /// Bytes that wait for its socket to take them.
    public var outBytes = 0
    /// `none`, `congested` or `stuck`: how its buffers are.
    public var pressure = "none"
    /// It is not read from, since a consumer of its messages is congested.
    public var held = false
    /// The topic of its will.
    public var willTopic: String?

    private enum CodingKeys: String, CodingKey {
        case session, client, uid, listener, address, state, since, tags, alias, device, keepAlive, sessionExpiry, lasting, endsAt
        case subscriptions, subscriptionCount, inflight, receiveMaximum, queued, queuedBytes, outBytes, pressure, held, willTopic
        case protocolName = "protocol"
    }

    public init(
        session: String, client: String, uid: String, protocolName: String, state: ClientRecord.State, since: Double, subscriptionCount: Int
    ) {
        (self.session, self.client, self.uid, self.protocolName) = (session, client, uid, protocolName)
        (self.state, self.since, self.subscriptionCount) = (state, since, subscriptionCount)
    }
}

/// What a worker has done to the clients that an operator kicks.
public struct KickedRecord: Codable, Equatable, Sendable {
    /// Connections that were closed.
    public var closed: Int
    /// Sessions of MQTT that have ended, though they would have outlived the connection.
    public var ended: Int

    public init(closed: Int = 0, ended: Int = 0) { (self.closed, self.ended) = (closed, ended) }

    public static func + (one: Self, other: Self) -> Self { Self(closed: one.closed + other.closed, ended: one.ended + other.ended) }
}
