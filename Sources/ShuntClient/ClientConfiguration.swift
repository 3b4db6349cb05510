import ExchangeCodec
import ShuntCore

/// How a client finds its workers. A list without any address finds none, and says so.
public enum ClientRoute: Equatable, Sendable {
    /// Ask these masters, in turn, which workers there are.
    case masters([HostPort])
    /// Straight to these workers.
    case workers([HostPort])

    var addresses: [HostPort] {
        switch self {
        case .masters(let list), .workers(let list): list
        }
    }

    /// - Throws: `usage` if there is no address.
    func check() throws(ShuntError) {
        guard addresses.isEmpty else { return }
        throw ShuntError(.usage, "no master and no worker to connect to", help: "give at least one address")
    }
}

/// Times and bounds of one client's connections.
public struct ConnectionOptions: Equatable, Sendable {
    /// For a TCP connection to come about.
    public var connectTimeout: Duration
    /// For the answer to a request that is not a message: which workers there are, a subscription.
    public var replyTimeout: Duration
    /// How long to look for a server before what waits for one fails. At least one round is always tried.
    public var patience: Duration
    /// Between two attempts.
    public var backoff: Backoff
    /// The largest frame to take or to send, in bytes. Workers have the same limit (`limits.frame`).
    public var frameLimit: Int
    /// A connection on which nothing arrives for so long is asked with PING (exchange protocol §13.3).
    public var pingAfter: Duration
    /// How long the answer to a PING may take.
    public var pingTimeout: Duration

    public init(
        connectTimeout: Duration = .seconds(3), replyTimeout: Duration = .seconds(3), patience: Duration = .seconds(5),
        backoff: Backoff = Backoff(), frameLimit: Int = FrameLayout.defaultLimit, pingAfter: Duration = .seconds(60),
        pingTimeout: Duration = .seconds(15)
    ) {
        self.connectTimeout = connectTimeout
        self.replyTimeout = replyTimeout
        self.patience = patience
        self.backoff = backoff
        self.frameLimit = frameLimit
        self.pingAfter = pingAfter
        self.pingTimeout = pingTimeout
    }
}
