/// A device session as the registry keeps it.
public struct DeviceRecord: Codable, Equatable, Sendable {
    /// With `device` it names the session.
    public var uid: String
    public var device: String
    public var tags: [String]
    public var alias: [String]
    /// `host:port` of the worker that has, or had, the connection.
    public var worker: String
    /// `ip:port` of the client.
    public var address: String
    public var isOnline: Bool
    /// Seconds since 1970 when the connection was opened.
    public var connectedAt: Double
    /// Seconds since 1970, by the master's clock: when it registered or left, or its worker was lost.
    /// An online device has been seen as lately as its worker.
    public var lastSeenAt: Double

    private enum CodingKeys: String, CodingKey {
        case uid, device, tags, alias, worker, address, connectedAt, lastSeenAt
        case isOnline = "online"
    }

    public init(
        uid: String, device: String, tags: [String] = [], alias: [String] = [], worker: String, address: String,
        isOnline: Bool = true, connectedAt: Double, lastSeenAt: Double
    ) {
        self.uid = uid
        self.device = device
        self.tags = tags
        self.alias = alias
        self.worker = worker
        self.address = address
        self.isOnline = isOnline
        self.connectedAt = connectedAt
        self.lastSeenAt = lastSeenAt
    }
}

/// One change of devices for the registry to write.
public enum DeviceChange: Equatable, Sendable {
    /// Inserts or replaces the session of that uid and device.
    case device(DeviceRecord)
    case left(uid: String, device: String, at: Double)
    /// All online devices of a worker are offline.
    case workerLost(worker: String, at: Double)
    /// The session was kept long enough.
    case removed(uid: String, device: String)
}
