extension Configuration {
    /// `limits:`, the limits of everything that waits or is counted. Sizes in bytes.
    public struct Limits: Equatable, Sendable {
        /// One frame, head and body.
        public var frame = 10 << 20
        /// Bytes that wait to be written to one connection.
        public var outBuffer = 8 << 20
        /// Bytes that wait in the buffers of all connections of a worker.
        public var buffers = 1 << 30
        /// Clients of a worker.
        public var connections = 1_000_000
        /// Subscriptions of one connection.
        public var subscriptions = 1000
        /// A topic's name.
        public var topic = 1024
        /// A consumer group's name.
        public var group = 256
        /// Messages that a rule may make of one message.
        public var fanout = 1000
        /// Rules that may send a message on, one after the other, before it is dropped.
        public var hops = 8
        /// A payload once it is decompressed.
        public var inflated = 16 << 20
        /// Bytes that wait between two loops.
        public var mailbox = 64 << 20
        /// A frame that has begun must be complete within this.
        public var frameTime = Duration.seconds(60)
        /// A connection whose peer's machine does not answer for this long is closed; 0: the system decides.
        public var peerTimeout = Duration.seconds(20)

        public init() {}

        /// `peerTimeout` in whole seconds, as the kernel counts; not 0 where it is more than 0.
        public var peerSeconds: Int { Int(peerTimeout.components.seconds) + (peerTimeout.components.attoseconds > 0 ? 1 : 0) }
    }
}
