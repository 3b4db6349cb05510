import ShuntCore

/// Which clients to read: those that are all that is given.
public struct ClientQuery: Equatable, Sendable {
    public static let maximumLimit = 1_000
    /// Characters of `search`.
    public static let maximumSearch = 256

    /// A part of the client identifier or of the uid; small and capital letters of ASCII are the same.
    public var search: String?
    /// The client identifier, or the name of a device of the exchange protocol: the whole of it.
    public var client: String?
    public var uid: String?
    /// The worker's whole name.
    public var worker: String?
    public var state: ClientRecord.State?
    /// `exchange`, `mqtt`, or a whole name such as `mqtt 5.0`.
    public var protocolName: String?
    public var limit: Int
    public var offset: Int

    public init(
        search: String? = nil, client: String? = nil, uid: String? = nil, worker: String? = nil, state: ClientRecord.State? = nil,
        protocolName: String? = nil,
        limit: Int = 100, offset: Int = 0
    ) {
        (self.search, self.client, self.uid, self.worker) = (search, client, uid, worker)
        (self.state, self.protocolName, self.limit, self.offset) = (state, protocolName, limit, offset)
    }
}

/// Some of the clients, by name, worker and session; `total` is how many match.
public struct ClientPage: Codable, Equatable, Sendable {
    public var clients: [ClientRecord]
    public var total: Int
    public var offset: Int
    public var limit: Int

    public init(clients: [ClientRecord], total: Int, offset: Int, limit: Int) {
        (self.clients, self.total, self.offset, self.limit) = (clients, total, offset, limit)
    }
}

/// What has become of the clients that an operator has kicked.
public struct KickedClients: Codable, Equatable, Sendable {
    /// Connections that were closed.
    public var closed: Int
    /// Sessions of MQTT that have ended.
    public var ended: Int
    /// The workers that had such clients.
    public var workers: [String]
    /// Workers that have not answered.
    public var missing: [String]

    public init(closed: Int, ended: Int, workers: [String], missing: [String]) {
        (self.closed, self.ended, self.workers, self.missing) = (closed, ended, workers, missing)
    }
}
