/// Which topics of a worker are meant.
public struct TopicQuestion: Codable, Equatable, Sendable {
    public enum Measure: String, Codable, CaseIterable, Sendable {
        case messages, bytes, recipients
    }

    /// Over which time topics are compared.
    public enum Time: String, Codable, CaseIterable, Sendable {
        /// The last ten to twenty seconds.
        case now
        /// Since the topic is counted.
        case total
    }

    /// How many topics an answer has where the question gives no limit, and how many it has at most.
    public static let (usualLimit, maximumLimit) = (100, 1_000)

    /// nil: messages.
    public var by: Measure?
    /// nil: now.
    public var over: Time?
    public var limit: Int?

    public init(by: Measure? = nil, over: Time? = nil, limit: Int? = nil) { (self.by, self.over, self.limit) = (by, over, limit) }

    /// How many topics an answer has.
    var bounded: Int { min(max(1, limit ?? Self.usualLimit), Self.maximumLimit) }
}

/// The busiest topics of a worker.
public struct TopicsRecord: Codable, Equatable, Sendable {
    public struct Topic: Codable, Equatable, Sendable {
        public var topic: String
        /// Messages that clients have published, and that rules have sent there, since the topic is counted.
        public var messages: Int
        /// Of these messages as they came.
        public var bytes: Int
        /// Recipients that were chosen for them.
        public var recipients: Int
        /// The same of each of the last seconds.
        public var messagesPerSecond: Double
        public var bytesPerSecond: Double
        public var recipientsPerSecond: Double

        public init(topic: String, _ load: TopicLoad) {
            self.topic = topic
            (messages, bytes, recipients) = (load.total.messages, load.total.bytes, load.total.recipients)
            (messagesPerSecond, bytesPerSecond, recipientsPerSecond) = (load.messageRate, load.byteRate, load.recipientRate)
        }

        public var load: TopicLoad {
            var load = TopicLoad(total: TrafficCount(messages: messages, bytes: bytes, recipients: recipients))
            (load.messageRate, load.byteRate, load.recipientRate) = (messagesPerSecond, bytesPerSecond, recipientsPerSecond)
            return load
        }
    }

    /// The busiest first.
    public var topics: [Topic]
    /// Topics that are counted, on the loop that has most of them.
    public var counted: Int
    /// Of all topics since the worker began, those too that are not counted any more.
    public var messages: Int
    public var bytes: Int
    public var recipients: Int

    public init(topics: [Topic], counted: Int, messages: Int, bytes: Int, recipients: Int) {
        (self.topics, self.counted, self.messages, self.bytes, self.recipients) = (topics, counted, messages, bytes, recipients)
    }
}
