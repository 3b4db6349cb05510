/// Live messages that an operator wants to follow.
public struct TraceRequest: Codable, Equatable, Sendable {
    /// The master gives it.
    public var id: String?
    /// A topic filter.
    public var topic: String
    /// Only messages of this user, or of this client.
    public var uid: String?
    public var client: String?
    /// Whether payloads are told: only in recordings, for which one needs the role operate.
    public var payloads: Bool?

    public init(topic: String) { self.topic = topic }
}

/// What a trace has seen since, or its end.
public struct TraceQuestion: Codable, Equatable, Sendable {
    public var id: String
    /// The number of the last message that has been read.
    public var after: Int
    public var payloads: Bool

    public init(id: String, after: Int, payloads: Bool) { (self.id, self.after, self.payloads) = (id, after, payloads) }
}

/// A message that was followed through the rules of one worker.
public struct TracedMessage: Codable, Equatable, Sendable {
    /// What rules may read of a message and its sender besides: a recording has it, so that rules decide on it again as they did.
    public struct More: Codable, Equatable, Sendable {
        public struct Pair: Codable, Equatable, Sendable {
            public var name: String
            public var value: String

            public init(_ property: UserProperty) { (name, value) = (property.name, property.value) }
        }

        public var props: [Pair]?
        public var contentType: String?
        public var responseTopic: String?
        /// Where it is text.
        public var correlationData: String?
        /// Seconds.
        public var expiry: UInt32?
        public var payloadFormat: Int?
        /// Of the message, as rules read it.
        public var id: Int?
        public var sender: Sender?

        public struct Sender: Codable, Equatable, Sendable {
            public var protocolName: String
            public var client: String?
            public var version: String?
            /// Seconds.
            public var keepAlive: Int?
            public var tags: [String]?
            public var alias: [String]?
            public var groups: [String]?
            /// Of its CONNECT.
            public var props: [Pair]?
            /// Of its connection, as rules read it; and since when it is there, in seconds since 1970.
            public var id: Int?
            public var connectedAt: Double?

            public init(_ peer: Peer) {
                func known<Element>(_ list: [Element]) -> [Element]? { list.isEmpty ? nil : list }
                protocolName = peer.protocolName
                (client, version, keepAlive) = (peer.mqtt?.clientID, peer.mqtt?.version, peer.mqtt.map { Int($0.keepAlive) })
                (tags, alias, groups) = (known(peer.tags), known(peer.alias), known(peer.groups))
                props = peer.mqtt.flatMap { known($0.properties.map(Pair.init)) }
                (id, connectedAt) = (Int(peer.id.raw & UInt64(Int.max)), peer.connectedAt)
            }
        }

        public init() {}

        /// About its bytes as JSON.
        public var size: Int {
            func size(_ pairs: [Pair]?) -> Int { (pairs ?? []).reduce(0) { $0 + 24 + ($1.name.utf8.count + $1.value.utf8.count) * 2 } }
            func size(_ texts: [String]?) -> Int { (texts ?? []).reduce(0) { $0 + 3 + $1.utf8.count * 2 } }
            let texts = [contentType, responseTopic, correlationData, sender?.client].compactMap(\.self)
            return 300 + size(props) + size(texts) + size(sender?.props) + size(sender?.tags) + size(sender?.alias) + size(sender?.groups)
        }
    }

    public struct Step: Codable, Equatable, Sendable {
        public var rule: String
        public var verdict: String
        /// The reason that it gives, or how it has failed.
        public var why: String
        /// Seconds that the rule's call took.
        public var seconds: Double
        /// Of the message that it saw.
        public var topic: String
        /// The topics of what it has sent, besides or instead; the first few.
        public var sends: [String]

        public init(rule: String, verdict: String, why: String, seconds: Double, topic: String, sends: [String] = []) {
            (self.rule, self.verdict, self.why, self.seconds, self.topic, self.sends) = (rule, verdict, why, seconds, topic, sends)
        }
    }

    /// Its number in the trace of this worker, from 1.
    public var number = 0
    /// Seconds since 1970.
    public var at: Double
    public var loop: Int
    public var topic: String
    public var key: String?
    public var qos: Int
    public var retained: Bool
    /// Who has sent it: empty where nothing is known.
    public var uid: String
    public var client: String
    public var address: String
    /// Of the payload, as it came.
    public var bytes: Int
    public var format: String
    /// `gzip`, `lz4` or `snappy`, where the payload is compressed.
    public var compression: String?
    /// Where payloads are asked for: as a text, or else as base64.
    public var payload: String?
    public var payloadBase64: String?
    /// Where payloads are asked for.
    public var more: More?
    public var steps: [Step]
    /// `delivered`, `sent` (elsewhere or later, as `why` tells), `nobody`, `dropped`, `rejected`, or `denied`.
    public var outcome: String
    public var why: String
    /// Who got it, or what rules sent besides; broadcasts and chats' messages that rules made of it do not count.
    public var recipients: Int

    public init(at: Double, loop: Int, topic: String) {
        (self.at, self.loop, self.topic) = (at, loop, topic)
        (qos, retained, uid, client, address, bytes, format) = (0, false, "", "", "", 0, "none")
        (steps, outcome, why, recipients) = ([], "", "", 0)
    }
}

/// Messages that a worker's trace has kept.
public struct TracePage: Codable, Equatable, Sendable {
    public var messages: [TracedMessage]
    /// Messages that had no room since the one that was read last.
    public var lost: Int
    /// Messages that were not looked at, all in all, since there were too many in a second.
    public var skipped: Int
    public var hasMore: Bool

    public init(messages: [TracedMessage], lost: Int, skipped: Int, hasMore: Bool) {
        (self.messages, self.lost, self.skipped, self.hasMore) = (messages, lost, skipped, hasMore)
    }
}

/// Which trace a worker has begun or ended.
public struct TraceID: Codable, Equatable, Sendable {
    public var id: String

    public init(id: String) { self.id = id }
}

extension TracedMessage.Step {
    /// A rule has sent what nobody lets it.
    public static func denied(_ rule: String, _ action: AccessAction, _ subject: Bytes, by place: String) -> Self {
        let name = PrintableText.of(String(decoding: subject.prefix(200), as: UTF8.self))
        let target =
            switch action {
            case .broadcast: "devices"
            case .chat: "chat \(name)"
            default: name
            }
        let why = place.isEmpty ? "the rule's grants do not have it" : "neither the sender may send it (\(place)) nor do the rule's grants have it"
        return Self(rule: rule, verdict: "denied", why: why, seconds: 0, topic: action == .publish ? name : "", sends: [target])
    }
}
