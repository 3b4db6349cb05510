import ShuntCore

extension Configuration {
    /// `master:`, the process that knows the workers.
    public struct Master: Equatable, Sendable {
        /// Never empty after loading: the host's name by default.
        public var name = ""
        /// Where workers and clients reach the master, by the exchange protocol.
        public var exchange = Service(listen: HostPort("127.0.0.1", 4088))
        /// The other masters of the cluster, perhaps with this one among them; empty: this one serves alone.
        public var peers: [HostPort] = []
        /// The host by which workers and other masters know this one; empty: the one that it listens on.
        public var advertise = ""
        /// Where the admin API answers.
        public var admin = HTTPService(listen: HostPort("127.0.0.1", 4080))
        /// The file of the tokens that the admin API asks for; empty: it asks for none.
        public var adminTokensFile = ""
        public var registry = Registry()
        public var heartbeat = Heartbeat()

        public init() {}

        public struct Registry: Equatable, Sendable {
            /// The SQLite file; relative to the working directory.
            public var path = "var/registry.sqlite"
            /// The longest time before changes are written.
            public var batch = Duration.milliseconds(200)
            /// How many of the newest events are kept.
            public var eventsKeep = 10_000
            /// Whether it lists the clients of all workers.
            public var clients = true
            /// How far back the history of the workers' figures goes.
            public var history = HistoryLength.month
        }

        public struct Heartbeat: Equatable, Sendable {
            /// A worker not heard of for this long is lost.
            public var liveFor = Duration.seconds(20)
        }
    }
}
