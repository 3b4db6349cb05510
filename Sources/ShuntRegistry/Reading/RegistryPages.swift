import ShuntCore

/// Some of the workers, by name; `total` is how many match.
public struct WorkerPage: Codable, Equatable, Sendable {
    public var workers: [WorkerRecord]
    public var total: Int
    public var offset: Int
    public var limit: Int

    public init(workers: [WorkerRecord], total: Int, offset: Int, limit: Int) {
        self.workers = workers
        self.total = total
        self.offset = offset
        self.limit = limit
    }
}

/// An event as the registry keeps it.
public struct StoredEvent: Codable, Equatable, Sendable {
    /// Grows with every event, and is never used twice.
    public var id: Int64
    /// Seconds since 1970.
    public var at: Double
    /// One of ``EventRecord/Kind``; a name, so that an older program can show what a newer one wrote.
    public var kind: String
    public var subject: String
    public var detail: String

    public init(id: Int64, at: Double, kind: String, subject: String, detail: String) {
        self.id = id
        self.at = at
        self.kind = kind
        self.subject = subject
        self.detail = detail
    }
}

/// Some events, oldest first.
public struct EventPage: Codable, Equatable, Sendable {
    public var events: [StoredEvent]
    /// What to give as `after` to go on from here: the newest id that was looked at.
    public var nextAfter: Int64
    /// The oldest id that is kept; 0 where there is none.
    public var oldest: Int64
    /// Names the registry: in another one ids begin anew.
    public var registry: String

    public init(events: [StoredEvent], nextAfter: Int64, oldest: Int64 = 0, registry: String = "") {
        self.events = events
        self.nextAfter = nextAfter
        self.oldest = oldest
        self.registry = registry
    }

    /// Ids after this one that are kept no longer; nil where none are.
    public func gap(after: Int64) -> ClosedRange<Int64>? {
        // No id is the greatest number that there is, which may be asked for.
        oldest > 0 && after < oldest - 1 ? after + 1...oldest - 1 : nil
    }
}

/// Which events to read.
public struct EventQuery: Equatable, Sendable {
    public static let maximumLimit = 1_000

    /// The first `limit` events after this id; nil: the newest `limit`.
    public var after: Int64?
    /// Only events at or after this time, in seconds since 1970.
    public var since: Double?
    public var kind: EventRecord.Kind?
    public var limit: Int

    public init(after: Int64? = nil, since: Double? = nil, kind: EventRecord.Kind? = nil, limit: Int = 100) {
        self.after = after
        self.since = since
        self.kind = kind
        self.limit = limit
    }
}

/// Which workers to read.
public struct WorkerQuery: Equatable, Sendable {
    public static let maximumLimit = 1_000

    public var state: WorkerRecord.State?
    public var limit: Int
    public var offset: Int

    public init(state: WorkerRecord.State? = nil, limit: Int = 100, offset: Int = 0) {
        self.state = state
        self.limit = limit
        self.offset = offset
    }
}

/// How much the registry holds.
public struct RegistryCounts: Codable, Equatable, Sendable {
    /// Workers by state; every state is there.
    public var workers: [String: Int]
    public var events: Int
    /// Device sessions, offline ones too.
    public var devices: Int
    public var chats: Int
    /// Client sessions, those whose client is away too.
    public var clients: Int

    public init(workers: [String: Int], events: Int, devices: Int = 0, chats: Int = 0, clients: Int = 0) {
        self.workers = workers
        self.events = events
        self.devices = devices
        self.chats = chats
        self.clients = clients
    }
}
