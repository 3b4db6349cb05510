import ShuntCore

/// The configuration of `shunt dev`, `shunt master` and `shunt worker`: every key, with its default if it is not given.
///
/// One file may configure all of them; each process reads the parts that it needs.
/// The keys, their ranges and what they mean stand in one table, `Configuration.keys`; `config/reference.yaml` is made from it.
public struct Configuration: Equatable, Sendable {
    public var profile = Profile.standard
    public var master = Master()
    public var cluster = Cluster()
    public var worker = Worker()
    public var access = Access()
    public var chat = Chat()
    public var devices = Devices()
    public var mqtt = MQTT()
    public var rules = Rules()
    public var limits = Limits()
    public var log = Log()
    var places = Places()

    /// The defaults.
    /// - Parameter hostName: the name of a master or worker that is given none.
    public init(hostName: String = "localhost") {
        nameProcesses(after: hostName)
    }

    /// The defaults as the table of keys shows them: names are still empty.
    static let unnamed = Configuration(hostName: "")

    /// Gives a master or worker without a name the name of its host.
    mutating func nameProcesses(after hostName: String) {
        if master.name.isEmpty { master.name = hostName }
        if worker.name.isEmpty { worker.name = hostName }
    }

    /// `profile:`, how strict the defaults of the other keys are, and whether doors may stand open.
    public enum Profile: String, CaseIterable, Sendable {
        case standard
        /// Defaults are those of `HardenedDefaults`; a door that stands open to the network ends the start.
        case hardened
    }

    /// `listen:`, for a service that has no other key.
    public struct Service: Equatable, Sendable {
        /// Port 0 asks the system for a free one.
        public var listen: HostPort

        public init(listen: HostPort) { self.listen = listen }
    }

    /// An HTTP service.
    public struct HTTPService: Equatable, Sendable {
        /// Port 0 asks the system for a free one.
        public var listen: HostPort
        /// Host names that requests may use for it; `*.name` is any host under that name.
        public var hosts: [String] = []
        public var tls = TLS()

        public init(listen: HostPort) { self.listen = listen }

        /// Without a certificate it speaks plain HTTP.
        public struct TLS: Equatable, Sendable {
            /// A file in PEM: the certificate and those that lead to its root; empty: none.
            public var certificate = ""
            /// The key's file; empty: in the certificate's file, or beside it.
            public var key = ""
        }
    }
}
