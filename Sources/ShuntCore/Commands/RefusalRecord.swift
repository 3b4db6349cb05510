/// What a process has read last and not taken.
public struct RefusalRecord: Codable, Equatable, Sendable {
    /// Seconds since 1970.
    public var at: Double
    /// What was wrong with it.
    public var why: String

    public init(at: Double, why: String) { (self.at, self.why) = (at, why) }
}
