/// What an operator wants to know of clients that were refused.
public struct RefusedQuery: Equatable, Sendable {
    /// The most that one list holds.
    public static let maximumLimit = 500

    /// How many at most: those that were refused last.
    public var limit: Int
    /// Only clients from there.
    public var addresses: AddressRange?
    /// Only clients that have said they are this user.
    public var user: String?

    public init(limit: Int = 100, addresses: AddressRange? = nil, user: String? = nil) {
        self.limit = limit
        self.addresses = addresses
        self.user = user
    }
}

/// A client that a worker has refused, as operators see it: once for each reason and listener.
public struct RefusedRecord: Codable, Equatable, Sendable {
    /// About the most bytes that a record takes as JSON. The user name is cut, and the other texts are short.
    public static let maximumBytes = 640

    /// The IP address; `unix` for a client of a socket in the file system.
    public var address: String
    /// As the client has said it: cut, and printable; empty where it has named nobody.
    public var user: String
    /// `password`, `banned`, `rights` and the like.
    public var reason: String
    /// The listener's name.
    public var listener: String
    /// `host:port` of the worker; empty within that worker.
    public var worker: String
    /// How often.
    public var count: Int
    /// Seconds since 1970, by the worker's clock.
    public var firstAt: Double
    public var lastAt: Double

    public init(
        address: String, user: String, reason: String, listener: String, worker: String = "", count: Int, firstAt: Double, lastAt: Double
    ) {
        self.address = address
        self.user = user
        self.reason = reason
        self.listener = listener
        self.worker = worker
        self.count = count
        self.firstAt = firstAt
        self.lastAt = lastAt
    }
}

/// The clients that all workers have refused, the latest first.
public struct RefusedList: Codable, Equatable, Sendable {
    public private(set) var refused: [RefusedRecord] = []
    /// How many the workers know that match.
    public private(set) var total = 0
    public let limit: Int
    /// Workers that have not answered in time.
    public var missing: [String] = []

    public init(limit: Int) { self.limit = limit }

    /// One worker's list.
    public mutating func add(_ records: [RefusedRecord], total: Int, of worker: String) {
        let named = records.map { record in
            var record = record
            record.worker = worker
            return record
        }
        refused = Array((refused + named).sorted { ($0.lastAt, $1.worker) > ($1.lastAt, $0.worker) }.prefix(limit))
        let (sum, isTooMuch) = self.total.addingReportingOverflow(total)
        self.total = isTooMuch ? .max : sum
    }
}
