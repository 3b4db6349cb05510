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
        }

        /// Tokens that clients give as their password.
        public struct JWT: Equatable, Sendable {
            /// A file with a JWK set or PEM. Empty: tokens are not looked at.
            public var keys = ""
            /// Empty: any.
            public var issuer = ""
            /// Empty: tokens for a named audience are refused.
            public var audience = ""
            /// The claim that is the uid.
            public var uid = "sub"
            /// How far clocks may differ.
            public var skew = Duration.seconds(30)
        }
    }
}
