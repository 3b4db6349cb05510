public import ShuntCore

/// A ban, as the admin API has it.
public struct BanRecord: Codable, Equatable, Sendable {
    /// `client:ID`, `uid:NAME`, or addresses as in `10.0.0.0/8`.
    public var subject: String
    /// Seconds since 1970; nil: for ever.
    public var until: Double?
    public var why: String
    /// Of a ban that has just been set: workers that have not confirmed it in time. They learn of it once they hear their master.
    public var unconfirmed: [String]?

    public init(_ ban: Ban, unconfirmed: [String] = []) {
        (subject, until, why) = (ban.subject.description, ban.until, ban.why)
        self.unconfirmed = unconfirmed.isEmpty ? nil : unconfirmed
    }
}

/// Some of the bans, by subject; `total` is how many there are.
public struct BanPage: Codable, Equatable, Sendable {
    public static let maximumLimit = 1_000

    public var bans: [BanRecord]
    public var total: Int
    public var offset: Int
    public var limit: Int
}

/// Whom an operator bans, and for how long.
public struct BanRequest: Codable, Equatable, Sendable {
    public var subject: String
    /// Seconds; nil: for ever.
    public var seconds: Double?
    public var why: String?

    public init(subject: String, seconds: Double?, why: String?) {
        (self.subject, self.seconds, self.why) = (subject, seconds, why)
    }
}

/// A ban that was lifted.
public struct LiftedBan: Codable, Equatable, Sendable {
    public var lifted: String
    /// Workers that have not confirmed it in time.
    public var unconfirmed: [String]?

    public init(lifted: String, unconfirmed: [String] = []) {
        (self.lifted, self.unconfirmed) = (lifted, unconfirmed.isEmpty ? nil : unconfirmed)
    }
}
