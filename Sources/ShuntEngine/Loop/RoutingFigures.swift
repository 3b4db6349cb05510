/// What a loop counted. Totals since it started, except `subscriptions`.
public struct RoutingFigures: Equatable, Sendable {
    public var requests = 0
    public var requestBytes = 0
    /// Requests among these that are no messages for a topic; and of these the broadcasts and messages of chats that clients have sent.
    public var otherRequests = 0
    public var broadcastsReceived = 0
    public var chatMessagesReceived = 0
    /// Messages for topics that clients have sent. Counted by what they are not, so that the way of a message has one counter.
    public var topicMessagesReceived: Int { requests - otherRequests }
    public var succeeded = 0
    public var failed = 0
    /// Messages that nobody had subscribed.
    public var undelivered = 0
    /// Deliveries that the recipient's protocol has no form for: an empty payload for the exchange protocol, a topic that is no UTF-8 for MQTT.
    public var inexpressible = 0
    public var dropped = 0
    /// Messages that rules have delayed, how many of them are still to go out, and those that expired meanwhile.
    public var delays = 0
    public var delayed = 0
    public var delaysExpired = 0
    /// Dead letters that somebody got, and those that nobody did or that were too many.
    public var deadLetters = 0
    public var deadLettersLost = 0
    public var rejected = 0
    /// What clients asked for and may not do, and messages of their subscriptions that they may not read.
    public var denied = 0
    public var withheld = 0
    public var malformed = 0
    /// Subscriptions of this loop's connections.
    public var subscriptions = 0
    /// Clients of this loop that are not read from, since a consumer of their messages is congested.
    public var heldProducers = 0
    /// How often a client was held.
    public var holds = 0
    /// Consumers of this loop that are stuck.
    public var stuckConsumers = 0
    /// Registered devices of this loop.
    public var devices = 0
    public var broadcasts = 0
    /// Chats that are at home on this loop.
    public var chats = 0
    public var chatMessages = 0
    /// Messages that were held for members of chats, and given up.
    public var expired = 0
    /// Clients that were refused, as operators have banned them.
    public var banned = 0
    /// MQTT: connected clients.
    public var mqttClients = 0
    /// Sessions at home on this loop that outlive their connections, and those of them whose client is away.
    public var sessions = 0
    public var absentSessions = 0
    /// Messages on their way to clients of MQTT, and those that wait for clients.
    public var inflight = 0
    public var waiting = 0
    /// Messages and sessions that were given up since they held most of `mqtt.memory`, and others needed some.
    public var hoarded = 0
    /// Bytes of messages that are held for sessions, of wills and of user properties.
    public var heldBytes = 0
    /// Sessions that ended early, since others needed the room.
    public var sessionsEvicted = 0
    /// Clients that another one of the same identifier has replaced.
    public var takeovers = 0
    public var wills = 0
    /// Messages that sessions had to give up, those that expired while they waited, and those of QoS 0 for clients that were away.
    public var lostInSessions = 0
    public var expiredInSessions = 0
    public var missedByAbsent = 0
    /// Messages larger than their recipient takes.
    public var tooLarge = 0
    /// Retained messages that are at home on this loop, their bytes, and those that were refused.
    public var retained = 0
    public var retainedBytes = 0
    public var retainedRefused = 0

    public init() {}
}
