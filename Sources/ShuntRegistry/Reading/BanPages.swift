public import ShuntCore

/// A ban, as the admin API has it.
public struct BanRecord: Codable, Equatable, Sendable {
    /// `client:ID`, `uid:NAME`, or addresses as in `10.0.0.0/8`.
    public var subject: String
    /// Seconds since 1970; nil: for ever.
    public var until: Double?
    public var why: String

    public init(_ ban: Ban) { (subject, until, why) = (ban.subject.description, ban.until, ban.why) }
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

    public init(lifted: String) { self.lifted = lifted }
}
