/// What a loop counted. Totals since it started, except `subscriptions`.
public struct RoutingFigures: Equatable, Sendable {
    public var requests = 0
    public var requestBytes = 0
    public var succeeded = 0
    public var failed = 0
    /// Messages that nobody had subscribed.
    public var undelivered = 0
    /// Deliveries that the recipient's protocol has no form for: an empty payload for the exchange protocol, a topic that is no UTF-8 for MQTT.
    public var inexpressible = 0
    public var dropped = 0
    public var rejected = 0
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

    public init() {}
}
