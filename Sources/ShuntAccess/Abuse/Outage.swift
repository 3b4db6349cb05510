/// Whether a service answers, as an operator is told it: once when it fails, once when it has worked for a while. It is told the time, in
/// seconds.
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
