import ShuntCore

extension Configuration {
    /// `worker:`, the process that holds the client connections.
    public struct Worker: Equatable, Sendable {
        /// Never empty after loading: the host's name by default.
        public var name = ""
        /// The host that clients are told; empty: the source address that the master sees.
        public var advertise = ""
        /// Tried in turn. Empty: the worker routes by itself.
        public var masters = [HostPort("127.0.0.1", 4088)]
        /// Threads with connections of their own; 0: one per core.
        public var loops = 0
        /// By name, at least one.
        public var listeners = ["exchange": Listener(listen: HostPort("127.0.0.1", 4091))]
        /// The HTTP service with health and metrics.
        public var http = HTTPService(listen: HostPort("127.0.0.1", 9091))
        public var heartbeat = Heartbeat()
        /// How a consumer group chooses who gets a message.
        public var groups = GroupStrategies()
        /// The policy for a connection whose out-buffer is full.
        public var slowConsumer = SlowConsumerPolicy.hold
        /// The same by a group's name.
        public var slowGroups: [String: SlowConsumerPolicy] = [:]
        /// How long producers wait for a consumer that does not drain.
        public var slowPatience = Duration.seconds(5)
        /// The policy for messages to a consumer that nobody waits for any longer.
        public var stuckConsumer = StuckConsumerPolicy.dropNewest

        public var slowPolicies: SlowConsumerPolicies { SlowConsumerPolicies(standard: slowConsumer, overrides: slowGroups) }

        public init() {}

        /// One of `listeners:`.
        public struct Listener: Equatable, Sendable {
            public var `protocol`: ListenerProtocol
            /// Port 0 asks the system for a free one.
            public var listen: HostPort
            /// The proxies that connect here on behalf of clients. Empty: clients connect themselves.
            public var proxies: [AddressRange]
            /// Whether clients that nothing knows may come in.
            public var allowAnonymous = false
            /// Empty: the `access:` of all listeners holds.
            public var access = Access()

            public init(protocol: ListenerProtocol = .exchange, listen: HostPort, proxies: [AddressRange] = []) {
                self.protocol = `protocol`
                self.listen = listen
                self.proxies = proxies
            }
        }

        public enum ListenerProtocol: String, CaseIterable, Sendable {
            case exchange
            case mqtt
        }

        public struct Heartbeat: Equatable, Sendable {
            /// How often the worker sends its master a heartbeat with its figures.
            public var every = Duration.seconds(3)
        }
    }
}
