import ShuntCore

extension Configuration {
    /// `cluster:`, what masters and workers ask of each other.
    public struct Cluster: Equatable, Sendable {
        /// The file of the token that both ends of a link prove; empty: none.
        public var tokenFile = ""
        /// Whether workers and masters of message-channel take part without a proof.
        public var allowJava = false
        /// Where they connect from.
        public var javaFrom: [AddressRange] = []

        public var tls = TLS()

        /// The certificate of this master or worker, and the authority of all.
        public struct TLS: Equatable, Sendable {
            /// PEM, then those that lead to its root; empty: no TLS.
            public var certificate = ""
            /// Empty: in the certificate's file, or beside it.
            public var key = ""
            public var authority = ""

            public init() {}
        }

        public init() {}
    }
}
