import ShuntCore

extension Configuration {
    /// `mqtt:`, what a worker keeps for clients of MQTT. Sizes in bytes.
    public struct MQTT: Equatable, Sendable {
        /// Sessions that outlive their connections.
        public var sessions = 100_000
        /// How long such a session of 3.1.1 waits for its client.
        public var sessionExpiry = Duration.seconds(7 * 86_400)
        /// The longest that a client of 5.0 may ask for.
        public var sessionExpiryMaximum = Duration.seconds(30 * 86_400)
        /// Messages that wait for one session.
        public var queueMessages = 1000
        /// Bytes of these.
        public var queueBytes = 8 << 20
        /// Bytes of all messages that wait for sessions.
        public var memory = 256 << 20
        public var queueFull = QueueFullPolicy.dropOldest
        /// Messages of QoS 1 and 2 on their way to one client.
        public var inflight = 1000
        /// Messages of QoS 2 that a client may have begun to send.
        public var receiveMaximum = 1000
        public var topicAliases = 16
        /// The longest keep alive of a client of 5.0; 0: as it likes.
        public var keepAliveMaximum = Duration.zero
        public var retainedMessages = 100_000
        public var retainedBytes = 64 << 20
        /// 0: retained messages stay.
        public var retainedAge = Duration.zero
        /// How often figures are published below `$SYS`; 0: never.
        public var sysInterval = Duration.seconds(10)
        public var broadcastsFrom = BroadcastSenders.named

        public init() {}
    }
}
