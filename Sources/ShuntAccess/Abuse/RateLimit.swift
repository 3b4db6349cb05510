/// Lets through so much a second on average, and so much at once.
///
/// What is larger than all that is left goes through as well, and is paid off before anything else: so nothing is too large to ever go.
public struct TokenBucket: Equatable, Sendable {
    /// A second.
    public let rate: Double
    /// At once.
    public let burst: Double
    private var level: Double
    /// When `level` was right.
    private var at: Double

    /// - Parameter now: seconds of a clock that never goes back.
    public init(rate: Double, burst: Double, now: Double) {
        self.rate = max(rate, 1e-9)
        self.burst = max(burst, 0)
        level = self.burst
        at = now
    }

    /// Takes an amount, whether there is that much or not.
    /// - Returns: the seconds until the amount is paid off; 0: at once.
    public mutating func take(_ amount: Double, now: Double) -> Double {
        level = min(burst, level + max(0, now - at) * rate) - amount
        at = max(at, now)
        return level >= 0 ? 0 : -level / rate
    }
}

/// How fast a client may publish.
public struct RateLimit: Equatable, Sendable {
    /// What happens to a client that is faster.
    public enum Policy: String, CaseIterable, Sendable {
        /// It is not read from for a while.
        case hold
        case disconnect
    }

    /// What happens to a client after a message.
    public enum Verdict: Equatable, Sendable {
        case pass
        /// The message goes through; the client is not read from for so many seconds.
        case hold(Double)
        /// The message does not go through.
        case disconnect
    }

    private var messages: TokenBucket?
    private var bytes: TokenBucket?
    private let policy: Policy

    /// - Parameters: nil: as many, or as much, as the client likes.
    public init(messages: TokenBucket? = nil, bytes: TokenBucket? = nil, policy: Policy) {
        (self.messages, self.bytes, self.policy) = (messages, bytes, policy)
    }

    /// A client sends a message of so many bytes.
    public mutating func take(bytes count: Int, now: Double) -> Verdict {
        let wait = max(messages?.take(1, now: now) ?? 0, bytes?.take(Double(count), now: now) ?? 0)
        guard wait > 0 else { return .pass }
        return policy == .hold ? .hold(wait) : .disconnect
    }
}
