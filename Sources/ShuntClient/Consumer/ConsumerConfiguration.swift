import ExchangeCodec
import ShuntCore

/// The settings of a consumer.
public struct ConsumerConfiguration: Equatable, Sendable {
    public var route: ClientRoute
    /// A topic, or a topic filter if the workers know filters: `orders/+`, `orders/#`.
    public var topic: String
    /// The group: each message goes to one of the group's consumers.
    public var group: String
    /// Only messages with this key; nil for all.
    public var key: String?
    public var connection: ConnectionOptions
    /// How often to ask the master for new workers.
    public var refresh: Duration
    /// Messages kept for a slow application. At this number the consumer stops reading, and the workers feel it. A batch that the
    /// application has taken is not counted.
    public var bufferedMessages: Int
    /// The same in bytes.
    public var bufferedBytes: Int

    public init(
        route: ClientRoute, topic: String, group: String, key: String? = nil,
        connection: ConnectionOptions = ConnectionOptions(), refresh: Duration = .seconds(5),
        bufferedMessages: Int = 4096, bufferedBytes: Int = 4 << 20
    ) {
        self.route = route
        self.topic = topic
        self.group = group
        self.key = key
        self.connection = connection
        self.refresh = refresh
        self.bufferedMessages = bufferedMessages
        self.bufferedBytes = bufferedBytes
    }

    var subscription: SubscribeBody { SubscribeBody(group: group, topic: topic, key: key) }

    func check() throws(ShuntError) {
        try route.check()
        if topic.isEmpty { throw ShuntError(.topicInvalid, "the topic is empty", help: "a name such as orders/1") }
        if group.isEmpty {
            throw ShuntError(.usage, "the group is empty", help: "any name; of its consumers each message goes to one")
        }
    }
}

/// An event of a consumer's connections.
public enum ConsumerEvent: Equatable, Sendable {
    /// Connected and subscribed; `isBack` if it had been before.
    case subscribed(HostPort, isBack: Bool)
    /// Was subscribed, and is not any more. The consumer goes on trying.
    case lost(HostPort, ShuntError)
    /// Could not be connected to, or did not take the subscription; the consumer goes on trying. Told once, until the
    /// worker is back.
    case unavailable(HostPort, ShuntError)
    /// No master answered; the consumer keeps the workers that it has, and goes on asking.
    case masterUnavailable(ShuntError)
    /// A master answers again, after `masterUnavailable`.
    case masterBack
}
