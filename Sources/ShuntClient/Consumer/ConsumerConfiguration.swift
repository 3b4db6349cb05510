import ExchangeCodec
import ShuntCore

/// The settings of a consumer.
public struct ConsumerConfiguration: Equatable, Sendable {
    /// Where servers are found.
    public var route: ClientRoute
    /// A topic, or a topic filter if the workers know filters: `orders/+`, `orders/#`.
    public var topic: String
    /// The group: each message goes to one of the group's consumers. Over MQTT a shared subscription, and an empty text for none.
    public var group: String
    /// Only messages with this key; nil for all. An MQTT broker does not know keys, so the consumer drops messages with other
    /// keys itself. A group would lose those messages: over MQTT a consumer has a key or a group, not both.
    public var key: String?
    /// How connections are made.
    public var connection: ConnectionOptions
    /// How often to ask the master for new workers.
    public var refresh: Duration
    /// Messages kept for a slow application. At this number the consumer stops reading, and the workers feel it. A batch that the
    /// application has taken is not counted.
    public var bufferedMessages: Int
    /// The same in bytes.
    public var bufferedBytes: Int

    /// The settings of a consumer of this topic, in this group.
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
        if case .mqtt(_, let options) = route { return try check(options) }
        if group.isEmpty {
            throw ShuntError(.usage, "the group is empty", help: "any name; of its consumers each message goes to one")
        }
    }
}

extension ConsumerConfiguration {
    /// The topic filter to subscribe to at an MQTT broker.
    var filter: String { group.isEmpty ? topic : "$share/\(group)/\(topic)" }

    private func check(_ options: MQTTOptions) throws(ShuntError) {
        guard TopicFilter.isFilter(topic), MQTTText.isAllowed(filter) else {
            throw ShuntError(
                .topicInvalid, "'\(topic)' is no topic filter", help: "+ stands for one whole level, # at the end for all that follows")
        }
        guard !group.isEmpty else { return }
        guard !group.utf8.contains(where: { "/+#".utf8.contains($0) }) else {
            throw ShuntError(.usage, "the group '\(group)' has /, + or # in it", help: "MQTT allows none of them")
        }
        if options.subscription.isNoLocal {
            throw ShuntError(.usage, "a group with no local", help: "MQTT does not allow them together")
        }
        if key != nil {
            throw ShuntError(
                .usage, "a group with a key", help: "an MQTT broker knows no keys, and what this consumer leaves out would be lost to the group")
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
    /// An MQTT broker has sent the consumer to another one.
    case redirected(from: HostPort, to: HostPort)

    init(_ news: SessionNews) {
        switch news {
        case .attached(let broker, let isBack): self = .subscribed(broker, isBack: isBack)
        case .lost(let broker, let error): self = .lost(broker, error)
        case .redirected(let from, let to): self = .redirected(from: from, to: to)
        }
    }
}
