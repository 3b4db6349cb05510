/// On what terms rules let a client in; nil leaves a thing as it is without them.
public struct ClientTerms: Equatable, Sendable {
    /// Texts by name, which later hooks see.
    public var attributes: [UserProperty]?
    /// When it has to go, in seconds since 1970.
    public var expiresAt: Double?
    /// What it may send in a second, in place of its listener's limits; 0: any number.
    public var messagesPerSecond: Int?
    public var bytesPerSecond: Int?

    public init(attributes: [UserProperty]? = nil, expiresAt: Double? = nil, messagesPerSecond: Int? = nil, bytesPerSecond: Int? = nil) {
        (self.attributes, self.expiresAt) = (attributes, expiresAt)
        (self.messagesPerSecond, self.bytesPerSecond) = (messagesPerSecond, bytesPerSecond)
    }
}

/// The rules' decision about a client that registers as a device.
public enum RegisterOutcome: Equatable, Sendable {
    case accept
    /// With these labels in place of the client's own; nil leaves them as they are.
    case acceptAs(tags: [String]?, alias: [String]?)
    case reject(why: String)
    /// A rule looks something up.
    case waits
}

/// A member of a consumer group, among which rules may choose.
public struct GroupMember: Equatable, Sendable {
    /// Its connection, or its session.
    public var id: ConnectionID
    /// Messages that this loop has given it since it joined.
    public var delivered: UInt64
    /// Its out-buffer is filling up, or it is stuck.
    public var isCongested: Bool
    /// Its session waits for it to come back.
    public var isAbsent: Bool

    public init(id: ConnectionID, delivered: UInt64, isCongested: Bool = false, isAbsent: Bool = false) {
        (self.id, self.delivered, self.isCongested, self.isAbsent) = (id, delivered, isCongested, isAbsent)
    }
}

/// What happens to a session, by the names that rules have for it.
public enum SessionEvent: String, Sendable, CaseIterable {
    case created, resumed
    /// Another connection has come with the same client identifier.
    case takenOver = "taken_over"
    /// Its time is over.
    case expired
    /// The client has ended it, or another session needed the room.
    case ended
}

/// A session as rules see it.
public struct SessionView: Equatable, Sendable {
    public var clientID: String
    public var uid: String
    /// `3.1`, `3.1.1` or `5.0`.
    public var version: String
    /// Seconds that it is kept without a connection; `.max`: without end; 0: it ends with the connection.
    public var expiry: UInt32
    public var isConnected = false
    /// Its client; while that is away the session's own id.
    public var client: ConnectionID?
    public var subscriptions = 0
    /// Messages that wait for the client, and those that it has yet to acknowledge.
    public var waiting = 0
    public var inflight = 0

    public init(clientID: String, uid: String, version: String, expiry: UInt32) {
        (self.clientID, self.uid, self.version, self.expiry) = (clientID, uid, version, expiry)
    }
}
