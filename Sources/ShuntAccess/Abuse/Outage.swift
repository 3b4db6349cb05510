/// Tells when the log should say something about a service: once when it fails, and once when it has worked for a while. Times are seconds,
/// which the caller gives.
public struct Outage: Sendable {
    public enum Change: Equatable, Sendable {
        case begins, ends
    }

    private var failedAt: Double?
    /// Seconds without a failure after which it is over.
    private let quiet: Double

    public init(quiet: Double = 10) { self.quiet = quiet }

    public mutating func failed(now: Double) -> Change? {
        defer { failedAt = now }
        return failedAt == nil ? .begins : nil
    }

    public mutating func worked(now: Double) -> Change? {
        guard let last = failedAt, now - last >= quiet else { return nil }
        failedAt = nil
        return .ends
    }
}
