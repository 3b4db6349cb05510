/// What a worker keeps for clients of MQTT, and for how long (`mqtt:`). Numbers of one loop where a loop has them.
public struct MQTTLimits: Equatable, Sendable {
    /// Sessions that outlive their connections.
    public var sessions: Int
    /// Seconds that such a session of 3.1.1 is kept without a connection.
    public var sessionExpiry: UInt32
    /// The most seconds that one of 5.0 may ask for.
    public var maximumSessionExpiry: UInt32
    /// Messages that wait for one session.
    public var queueMessages: Int
    /// Bytes of the messages that wait for one session.
    public var queueBytes: Int
    /// Bytes of all messages that are kept for sessions. One that waits for several counts once.
    public var memory: Int
    /// What happens to a message for a session that has as many as it may have.
    public var queueFull: QueueFullPolicy
    /// Messages of QoS 1 and 2 on their way to one client at a time; a client of 5.0 may want fewer.
    public var inflight: Int
    /// Seconds after which producers no longer wait for a client that acknowledges too little (`worker.slow_patience`).
    public var patience: Double
    /// Messages of QoS 2 that one client may have begun to send.
    public var receiveMaximum: UInt16
    /// Topic aliases that one client may use, and that are used towards one client.
    public var topicAliases: UInt16
    /// The longest keep alive in seconds that a client of 5.0 may have; 0: as it likes.
    public var maximumKeepAlive: UInt16
    /// Retained messages.
    public var retainedMessages: Int
    /// Whether any message is retained.
    public var keepsRetained: Bool { retainedMessages > 0 }
    /// Bytes of retained messages, with their topics.
    public var retainedBytes: Int
    /// Seconds after which a retained message is forgotten; 0: never.
    public var retainedAge: UInt32
    /// Who may send broadcasts.
    public var broadcastsFrom: BroadcastSenders

    public init(
        sessions: Int = 100_000, sessionExpiry: UInt32 = 7 * 86_400, maximumSessionExpiry: UInt32 = 30 * 86_400, queueMessages: Int = 1000,
        queueBytes: Int = 8 << 20, memory: Int = 256 << 20, queueFull: QueueFullPolicy = .dropOldest, inflight: Int = 1000,
        patience: Double = 5, receiveMaximum: UInt16 = 1000, topicAliases: UInt16 = 16, maximumKeepAlive: UInt16 = 0, retainedMessages: Int = 100_000,
        retainedBytes: Int = 64 << 20, retainedAge: UInt32 = 0, broadcastsFrom: BroadcastSenders = .named
    ) {
        self.sessions = sessions
        self.sessionExpiry = sessionExpiry
        self.maximumSessionExpiry = maximumSessionExpiry
        self.queueMessages = queueMessages
        self.queueBytes = queueBytes
        self.memory = memory
        self.queueFull = queueFull
        self.inflight = inflight
        self.patience = patience
        self.receiveMaximum = receiveMaximum
        self.topicAliases = topicAliases
        self.maximumKeepAlive = maximumKeepAlive
        self.retainedMessages = retainedMessages
        self.retainedBytes = retainedBytes
        self.retainedAge = retainedAge
        self.broadcastsFrom = broadcastsFrom
    }
}

/// The treatment of messages for a session that has as many as it may have.
public enum QueueFullPolicy: String, Sendable, CaseIterable {
    /// The message that has waited longest is dropped.
    case dropOldest = "drop_oldest"
    /// The new message is dropped.
    case dropNewest = "drop_newest"
}

/// The clients of MQTT that may send broadcasts.
public enum BroadcastSenders: String, Sendable, CaseIterable {
    /// Clients that have given a user name.
    case named
    case all
}
