// What rules say of clients that come, and of subscriptions.

/// The rules' decision about a client that connects.
public enum ConnectOutcome: Equatable, Sendable {
    case accept
    /// Admitted, with these fields in place of the client's own; nil leaves a field as it is.
    case acceptAs(uid: String?, tags: [String]?, alias: [String]?, terms: ClientTerms = ClientTerms())
    case reject(why: String)
    /// Told to connect to this `host:port`.
    case redirect(to: String)
    /// A rule looks something up: the outcome comes later.
    case waits
}

/// A subscription that a client asks for.
public struct SubscriptionRequest: Equatable, Sendable {
    /// A topic, or an MQTT topic filter where it has wildcards.
    public var topic: String
    public var group: String
    /// Only messages with this key; nil takes all (`*` on the exchange protocol's wire).
    public var key: String?
    /// The most that messages come with. The exchange protocol's counts as QoS 1. Rules may make it lower.
    public var qos: QoS

    public init(topic: String, group: String, key: String? = nil, qos: QoS = .atLeastOnce) {
        self.topic = topic
        self.group = group
        self.key = key
        self.qos = qos
    }
}

/// The rules' decision about a subscription.
public enum SubscribeOutcome: Equatable, Sendable {
    case accept
    /// Accepted with another topic, another group or a lower QoS.
    case acceptAs(SubscriptionRequest)
    case reject(why: String)
    /// A rule looks something up: the outcome comes later.
    case waits
}
