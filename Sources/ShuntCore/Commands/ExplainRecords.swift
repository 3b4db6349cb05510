/// A message about which an operator asks what would become of it.
public struct ExplainRequest: Codable, Equatable, Sendable {
    /// Bytes of a payload, at most.
    public static let maximumPayload = 256 << 10
    /// Clients and groups that are named, at most.
    public static let maximumLimit = 100

    public var topic: String
    /// Who sends it; nil: a client that nothing names.
    public var uid: String?
    public var client: String?
    /// nil: every listener.
    public var listener: String?
    public var key: String?
    public var payload: String?
    /// In place of `payload`, where it is no text.
    public var payloadBase64: String?
    public var qos: Int?
    /// Only this consumer group is told.
    public var group: String?
    /// Whether payloads that rules change are told.
    public var payloads: Bool?
    /// Clients and groups that are named.
    public var limit: Int?

    public init(topic: String) { self.topic = topic }
}

/// What would become of a message at one worker. Nothing was sent, and nothing has changed.
public struct ExplainRecord: Codable, Equatable, Sendable {
    /// What a listener lets the sender do.
    public struct Right: Codable, Equatable, Sendable {
        public var listener: String
        public var mayPublish: Bool
        /// What decides: a file's line, the client's token.
        public var publishBy: String
        public var maySubscribe: Bool
        public var subscribeBy: String

        public init(listener: String, mayPublish: Bool, publishBy: String, maySubscribe: Bool, subscribeBy: String) {
            (self.listener, self.mayPublish, self.publishBy) = (listener, mayPublish, publishBy)
            (self.maySubscribe, self.subscribeBy) = (maySubscribe, subscribeBy)
        }
    }

    /// A decision of a rule.
    public struct Rule: Codable, Equatable, Sendable {
        public var rule: String
        /// Of the message that it saw.
        public var topic: String
        public var verdict: String
        /// What the rule, or its error, says; empty where it says nothing.
        public var why: String
        public var seconds: Double
        /// The fields of the message that it has changed.
        public var changes: [String]
        /// Where it sends messages besides, or instead.
        public var sends: [String]
        /// Payloads, where these are asked for and it has changed one.
        public var before: String?
        public var after: String?
        /// Its breaker has switched it off on so many loops.
        public var offLoops: Int?

        public init(rule: String, topic: String, verdict: String, why: String, seconds: Double, changes: [String], sends: [String]) {
            (self.rule, self.topic, self.verdict, self.why) = (rule, topic, verdict, why)
            (self.seconds, self.changes, self.sends) = (seconds, changes, sends)
        }
    }

    public struct Client: Codable, Equatable, Sendable {
        /// Empty where the client has none.
        public var uid: String
        /// MQTT's client identifier, or the device.
        public var client: String
        public var address: String
        /// Its session waits for it.
        public var isAway: Bool
        /// Its rights keep messages of the topic from it.
        public var isWithheld: Bool
        /// Why a rule's `on_deliver` keeps the message from it.
        public var withheldBy: String?

        public init(uid: String, client: String, address: String, isAway: Bool = false, isWithheld: Bool = false) {
            (self.uid, self.client, self.address, self.isAway, self.isWithheld) = (uid, client, address, isAway, isWithheld)
        }
    }

    public struct Filter: Codable, Equatable, Sendable {
        public var filter: String
        public var subscriptions: Int

        public init(filter: String, subscriptions: Int) { (self.filter, self.subscriptions) = (filter, subscriptions) }
    }

    public struct Group: Codable, Equatable, Sendable {
        public var name: String
        public var strategy: String
        public var members: Int
        /// By loop: whom it would choose next; loops that agree are named together.
        public var chosen: [Choice]
        /// A rule's `on_select` has chosen, on some loop at least.
        public var isSelected = false

        public struct Choice: Codable, Equatable, Sendable {
            public var loops: [Int]
            public var client: Client

            public init(loops: [Int], client: Client) { (self.loops, self.client) = (loops, client) }
        }

        public init(name: String, strategy: String, members: Int, chosen: [Choice]) {
            (self.name, self.strategy, self.members, self.chosen) = (name, strategy, members, chosen)
        }
    }

    /// Where a message goes once rules have seen it.
    public struct Route: Codable, Equatable, Sendable {
        public var topic: String
        /// The rule that sends it there; nil: it came with this topic.
        public var by: String?
        /// Why it does not go there after all: the sender's rights, a limit.
        public var refused: String?
        public var filters: [Filter] = []
        /// Who gets one message each: plain subscribers, and one member of each group.
        public var recipients = 0
        /// Whether `recipients` is exact, and not how many there are at most.
        public var isExact = true
        /// The first of the plain subscribers.
        public var clients: [Client] = []
        public var groups: [Group] = []
        /// Bytes of the message that is retained for the topic now.
        public var retainedBytes: Int?
        /// Where nobody gets it: a filter that is nearly the topic.
        public var nearest: String?
        /// The group that was asked for, where it does not take the topic.
        public var missingGroup: String?
        /// The first of the groups that take it, where that one does not.
        public var otherGroups: [String]?
        /// Seconds after which it goes there: a rule delays it.
        public var after: Double?

        public init(topic: String, by: String?) { (self.topic, self.by) = (topic, by) }
    }

    /// `delivered`, `nobody`, `dropped`, `rejected`, or `denied`.
    public var outcome: String
    public var why: String
    /// Whom rules were asked about, where somebody is named.
    public var sender: String?
    public var rights: [Right]
    public var rules: [Rule]
    /// Rules whose `match` does not take the message.
    public var unmatched: [String]
    public var routes: [Route]
    /// What rules send as broadcasts, into chats, or later, and what rights keep of it.
    public var others: [String]
    public var seconds: Double

    public init() {
        (outcome, why, rights, rules, unmatched, routes, others, seconds) = ("", "", [], [], [], [], [], 0)
    }
}
