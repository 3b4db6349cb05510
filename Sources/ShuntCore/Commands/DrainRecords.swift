/// How an operator wants a worker to be drained.
public struct DrainRequest: Codable, Equatable, Sendable {
    /// Clients that are sent away in a second; nil: `usualRate`.
    public var rate: Int?
    /// Seconds after which clients are sent away that cannot be without loss; nil: never.
    public var forceAfter: Double?
    /// Whether the worker's process ends when nobody is left.
    public var exit: Bool?

    public static let usualRate = 200
    public static let maximumRate = 100_000

    public init(rate: Int? = nil, forceAfter: Double? = nil, exit: Bool? = nil) {
        (self.rate, self.forceAfter, self.exit) = (rate, forceAfter, exit)
    }
}

/// How far a worker is that sends clients away.
public struct DrainRecord: Codable, Equatable, Sendable {
    /// Whether it drains: it takes no new clients.
    public var draining: Bool
    /// Seconds since 1970; nil where it does not drain.
    public var since: Double?
    /// What is still there: connections, sessions of MQTT that outlive their connections, chats, messages that `route.delay` delays.
    public var connections: Int
    public var sessions: Int
    public var chats: Int
    public var delayed: Int
    /// Clients and sessions that are to go once they have taken what waits for them.
    public var leaving: Int
    /// Clients and sessions that were sent away.
    public var sent: Int
    /// Clients that are still to be sent away where a worker gives some of its clients to others.
    public var excess: Int
    /// Messages that rules delayed and that were given up, since the time for it was over; nil where none was.
    public var givenUp: Int?
    /// Why nobody is sent away at present; nil where somebody is, or nobody is left.
    public var waits: String?

    public init(
        draining: Bool = false, since: Double? = nil, connections: Int = 0, sessions: Int = 0, chats: Int = 0, delayed: Int = 0, leaving: Int = 0,
        sent: Int = 0, excess: Int = 0, givenUp: Int? = nil, waits: String? = nil
    ) {
        (self.draining, self.since, self.connections, self.sessions, self.chats) = (draining, since, connections, sessions, chats)
        (self.delayed, self.leaving, self.sent, self.excess) = (delayed, leaving, sent, excess)
        (self.givenUp, self.waits) = (givenUp, waits)
    }

    /// Nobody is left, and nothing that is still to be sent.
    public var isEmpty: Bool { connections == 0 && sessions == 0 && chats == 0 && delayed == 0 }
}

/// How many of its clients a worker is to give to others.
public struct ShedRequest: Codable, Equatable, Sendable {
    public var clients: Int
    /// Clients that are sent away in a second; nil: `DrainRequest.usualRate`.
    public var rate: Int?

    public init(clients: Int, rate: Int? = nil) { (self.clients, self.rate) = (clients, rate) }
}
