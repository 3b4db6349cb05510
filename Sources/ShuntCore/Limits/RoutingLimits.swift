/// Limits of one loop's clients and messages.
public struct RoutingLimits: Equatable, Sendable {
    /// The largest frame, in total bytes.
    public var frame: Int
    /// Subscriptions of one connection.
    public var subscriptions: Int
    /// Bytes of a topic or topic filter.
    public var topic: Int
    /// Bytes of a group's name.
    public var group: Int
    /// How many rules may send a message on to another topic, one after the other.
    public var hops: Int
    /// Messages that rules may make of one message, over all hops.
    public var fanout: Int
    /// Bytes that a packed payload may be unpacked to, for a client whose protocol knows no compression.
    public var inflated: Int
    /// What is kept for clients of MQTT.
    public var mqtt: MQTTLimits
    /// Messages that rules may delay, and bytes of them.
    public var delayedMessages = 10_000
    public var delayedBytes = 16 << 20
    /// Where messages go that rules have failed on, that were dropped at a bound or that nobody has subscribed; empty: nowhere.
    public var deadLetterTopic: [UInt8] = []

    public init(
        frame: Int = 10 << 20, subscriptions: Int = 1000, topic: Int = 1024, group: Int = 256, hops: Int = 8, fanout: Int = 1000,
        inflated: Int = 16 << 20, mqtt: MQTTLimits = .init()
    ) {
        self.frame = frame
        self.subscriptions = subscriptions
        self.topic = topic
        self.group = group
        self.hops = hops
        self.fanout = fanout
        self.inflated = inflated
        self.mqtt = mqtt
    }
}
