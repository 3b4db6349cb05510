import ExchangeCodec
import ShuntCore
import ShuntTLSNIO

/// The addresses by which a client finds its workers, and with them the protocol that it speaks. An empty list is an error when the client starts.
public enum ClientRoute: Equatable, Sendable {
    /// Ask these masters, in turn, which workers there are.
    case masters([HostPort])
    /// Connect to these workers, without a master.
    case workers([HostPort])
    /// Speak MQTT instead of the exchange protocol, to this broker: any broker, or a worker's MQTT listener.
    case mqtt(HostPort, MQTTOptions)

    /// The masters, the workers, or the broker.
    public var addresses: [HostPort] {
        switch self {
        case .masters(let list), .workers(let list): list
        case .mqtt(let broker, _): [broker]
        }
    }

    /// - Throws: `usage` if there is no address, or MQTT's options cannot be.
    func check() throws(ShuntError) {
        if case .mqtt(_, let options) = self { try options.check() }
        guard addresses.isEmpty else { return }
        throw ShuntError(.usage, "no master and no worker to connect to", help: "give at least one address")
    }
}

/// How clients speak TLS: whose certificates they trust, and which one they show.
public typealias TLSClient = ShuntTLSNIO.TLSClient

/// How one client's connections are made: times and bounds, TLS, and who the client is.
public struct ConnectionOptions: Equatable, Sendable {
    /// The time to open a TCP connection.
    public var connectTimeout: Duration
    /// The time for the answer to a request that is not a message: a question for workers, a subscription.
    public var replyTimeout: Duration
    /// How long to look for a server before requests that wait for one fail. At least one round is always tried.
    public var patience: Duration
    /// The pause between two attempts.
    public var backoff: Backoff
    /// The largest frame, or packet of MQTT, to take or to send, in bytes. Workers have the same limit (`limits.frame`).
    public var frameLimit: Int
    /// The silence after which a PING is sent (exchange protocol §13.3).
    public var pingAfter: Duration
    /// How long the answer to a PING may take.
    public var pingTimeout: Duration
    /// How TLS is spoken with workers and brokers; nil: not at all. Masters are asked for workers in plain bytes.
    public var tls: TLSClient?
    /// Shows workers who the client is, by the exchange protocol: `uid:password`, or a token. nil: nothing is shown. For MQTT that is said in
    /// `MQTTOptions`.
    public var token: String?

    /// Options with their defaults, except those that are given.
    public init(
        connectTimeout: Duration = .seconds(3), replyTimeout: Duration = .seconds(3), patience: Duration = .seconds(5),
        backoff: Backoff = Backoff(), frameLimit: Int = FrameLayout.defaultLimit, pingAfter: Duration = .seconds(60),
        pingTimeout: Duration = .seconds(15), tls: TLSClient? = nil, token: String? = nil
    ) {
        self.connectTimeout = connectTimeout
        self.replyTimeout = replyTimeout
        self.patience = patience
        self.backoff = backoff
        self.frameLimit = frameLimit
        self.pingAfter = pingAfter
        self.pingTimeout = pingTimeout
        self.tls = tls
        self.token = token
    }
}
