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
        public var listeners = ["exchange": Listener(listen: .tcp(HostPort("127.0.0.1", 4091)), allowAnonymous: true)]
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
        /// Whether BALANCE of a message-channel master has connections closed.
        public var balance = false
        /// Whether operators may see payloads of live messages.
        public var adminPayloads = true

        public var slowPolicies: SlowConsumerPolicies { SlowConsumerPolicies(standard: slowConsumer, overrides: slowGroups) }

        public init() {}

        /// One of `listeners:`.
        public struct Listener: Equatable, Sendable {
            public var `protocol`: ListenerProtocol
            /// Port 0 asks the system for a free one.
            public var listen: ListenAddress
            /// What the protocol's bytes travel in.
            public var transport = ListenerTransport.tcp
            /// The path of an HTTP request for WebSocket.
            public var path = "/mqtt"
            /// The origins of pages that may connect by WebSocket, besides pages of the same host; `*` for all.
            public var origins: [String] = []
            /// The proxies that connect here on behalf of clients. Empty: clients connect themselves.
            public var proxies: [AddressRange]
            /// Whether clients that nothing knows may come in.
            public var allowAnonymous = false
            /// Empty: the `access:` of all listeners holds.
            public var access = Access()
            public var limits = ListenerLimits()
            /// How it speaks TLS, where it does.
            public var tls = TLS()

            public init(
                protocol: ListenerProtocol = .exchange, listen: ListenAddress, proxies: [AddressRange] = [], allowAnonymous: Bool = false
            ) {
                self.allowAnonymous = allowAnonymous
                self.protocol = `protocol`
                self.listen = listen
                self.proxies = proxies
            }
        }

        /// `limits:` of a listener; 0: none.
        public struct ListenerLimits: Equatable, Sendable {
            /// Open at once.
            public var connectionsPerAddress = 0
            public var connectionsPerSecond = 0
            /// Of one client, as are the bytes.
            public var messagesPerSecond = 0
            public var bytesPerSecond = 0

            public init() {}
        }

        /// `tls:` of a listener. Without certificates it speaks plain bytes.
        public struct TLS: Equatable, Sendable {
            /// A file in PEM: the certificate and those that lead to its root; empty: none.
            public var certificate = ""
            /// The key's file; empty: in the certificate's file, or beside it.
            public var key = ""
            /// Files of more certificates, each with its key in it or beside it.
            public var certificates: [String] = []
            /// The authorities whose clients are taken; empty: none.
            public var clientCA = ""
            public var verify = Verification.none
            /// The lists of certificates that these authorities have revoked; empty: none.
            public var revocations = ""
            public var minimum = Version.tls12
            public var uidFrom = ClientCertificate.UIDSource.commonName

            public init() {}

            public var isOn: Bool { !certificate.isEmpty || !certificates.isEmpty }

            public enum Verification: String, CaseIterable, Sendable { case none, optional, required }

            public enum Version: String, CaseIterable, Sendable {
                case tls12 = "1.2"
                case tls13 = "1.3"
            }
        }

        public enum ListenerProtocol: String, CaseIterable, Sendable {
            case exchange
            case mqtt
        }

        public enum ListenerTransport: String, CaseIterable, Sendable {
            case tcp
            case websocket
        }

        public struct Heartbeat: Equatable, Sendable {
            /// How often the worker sends its master a heartbeat with its figures.
            public var every = Duration.seconds(3)
        }
    }
}
