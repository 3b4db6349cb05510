extension Configuration {
    /// `access:`, how clients prove who they are, and what says what they may do. Files are paths; an empty one: none.
    public struct Access: Equatable, Sendable {
        /// In mosquitto's format.
        public var passwordFile = ""
        /// In mosquitto's syntax.
        public var aclFile = ""
        /// Shunt's own, in YAML.
        public var rules = ""
        public var jwt = JWT()
        public var http = HTTP()
        public var flapping = Flapping()

        public init() {}

        /// Whether nothing is set: of a listener, that those of all listeners hold.
        public var isEmpty: Bool { self == Access() }

        /// When a client that connects again and again is refused.
        public struct Flapping: Equatable, Sendable {
            /// The connect that is refused; 0: none is.
            public var connects = 0
            public var within = Duration.seconds(60)
            public var refusedFor = Duration.seconds(300)
            /// What tells clients apart: each of these is counted.
            public var by = [Key.clientID]

            public enum Key: String, CaseIterable, Sendable {
                case clientID = "client_id"
                case uid
                /// Clients behind one address, as of a gateway, count together.
                case address
            }
        }

        /// Tokens that clients give as their password.
        public struct JWT: Equatable, Sendable {
            /// A file with a JWK set or PEM, or the address of a JWK set. Empty: tokens are not looked at.
            public var keys = ""
            /// Empty: any.
            public var issuer = ""
            /// Empty: tokens for a named audience are refused.
            public var audience = ""
            /// The claim that is the uid.
            public var uid = "sub"
            /// How far clocks may differ.
            public var skew = Duration.seconds(30)
            /// Of keys that an address gives: how often they are fetched, and how long they count after the last fetch that worked.
            public var refresh = Duration.seconds(300)
            public var keep = Duration.seconds(3600)
            /// A file with the authorities of the address, as PEM. Empty: those of the system.
            public var authorities = ""
        }

        /// A service that is asked about clients.
        public struct HTTP: Equatable, Sendable {
            /// Empty: none is asked.
            public var url = ""
            public var timeout = Duration.seconds(2)
            /// How often it is asked again where it cannot be reached, or answers 5xx.
            public var retries = 1
            /// The most questions under way.
            public var concurrency = 32
            /// How long an answer counts.
            public var cache = Duration.seconds(60)
            public var onError = OnError.refuse
            /// A file with the authorities of the address, as PEM. Empty: those of the system.
            public var authorities = ""

            /// What becomes of a client about which there is no answer.
            public enum OnError: String, CaseIterable, Sendable {
                case refuse
                /// What comes next decides, as where the service says ignore.
                case ignore
            }
        }
    }
}
