/// A client session as the registry keeps it: a connected client, or a session of MQTT whose client is away. Metadata only.
public struct ClientRecord: Codable, Equatable, Sendable {
    public enum State: String, Codable, Sendable, CaseIterable {
        case connected, away
    }

    /// `host:port` of the worker that has it.
    public var worker: String
    /// Names it at this worker, while it is there: `loop-slot-generation`.
    public var session: String
    /// The client identifier of MQTT; of the exchange protocol the device's name, empty while the client has registered none.
    public var client: String
    public var uid: String
    /// `exchange`, `mqtt 3.1.1` or `mqtt 5.0`.
    public var protocolName: String
    /// The listener's name; empty while the client is away.
    public var listener: String
    /// `ip:port` of the client; empty while it is away.
    public var address: String
    public var state: State
    /// Seconds since 1970 since when it has been in this state, by the worker's clock.
    public var since: Double
    public var subscriptions: Int

    private enum CodingKeys: String, CodingKey {
        case worker, session, client, uid, listener, address, state, since, subscriptions
        case protocolName = "protocol"
    }

    public init(
        worker: String, session: String, client: String = "", uid: String = "", protocolName: String, listener: String = "",
        address: String = "", state: State = .connected, since: Double, subscriptions: Int = 0
    ) {
        (self.worker, self.session, self.client, self.uid) = (worker, session, client, uid)
        (self.protocolName, self.listener, self.address) = (protocolName, listener, address)
        (self.state, self.since, self.subscriptions) = (state, since, subscriptions)
    }
}

/// One change of clients for the registry to write.
public enum ClientChange: Equatable, Sendable {
    /// Inserts or replaces the client of that worker and session.
    /// - list: the number of the worker's list that it belongs to.
    case client(ClientRecord, list: Int64)
    case gone(worker: String, session: String)
    /// The worker has told all clients that it has: those of its earlier lists are gone.
    case listed(worker: String, list: Int64)
    /// All clients of a worker are gone.
    case workerLost(worker: String)
}
