/// When the keys for tokens are fetched from their address, and how long fetched keys count. The caller gives the time, in seconds of a clock
/// that never goes back.
public struct KeyFetching: Sendable {
    /// Times in seconds.
    public struct Settings: Equatable, Sendable {
        /// Between two fetches.
        public var refresh = 300.0
        /// How long keys count after the last fetch that worked.
        public var keep = 3600.0
        /// Between two fetches that a token with an unknown `kid` leads to.
        public var unknownKey = 10.0
        /// After a fetch that failed, until the next; it doubles up to the longest.
        public var firstPause = 1.0
        public var longestPause = 30.0

        public init() {}
    }

    /// What the log says, once for each change.
    public enum Change: Equatable, Sendable {
        /// Keys are there, for the first time or again.
        case works
        /// The source is down; the keys count for so many seconds more, 0 where there are none.
        case down(Double)
        /// The source has been down for too long: tokens are refused from now on.
        case lapsed
    }

    private enum Standing { case unknown, works, down, lapsed }

    private let settings: Settings
    private var standing = Standing.unknown
    private var fetchedAt: Double?
    private var isUnderWay = false
    private var next = 0.0
    private var failures = 0
    private var askedForKeyAt: Double?

    public init(_ settings: Settings) { self.settings = settings }

    /// Whether keys are to be fetched now: then the fetch counts as begun.
    public mutating func isDue(now: Double) -> Bool {
        guard !isUnderWay, now >= next else { return false }
        isUnderWay = true
        return true
    }

    /// What is to be done about a token whose key is not there.
    public enum Remedy: Equatable, Sendable {
        /// Keys are to be fetched now: the fetch counts as begun, and the token waits for it.
        case fetch
        /// It waits for the fetch under way.
        case wait
        case none
    }

    /// A token names a `kid` that no key has, or there are no keys.
    public mutating func keyIsMissing(now: Double) -> Remedy {
        if isUnderWay { return .wait }
        if let askedForKeyAt, now < askedForKeyAt + settings.unknownKey { return .none }
        askedForKeyAt = now
        isUnderWay = true
        return .fetch
    }

    /// - Returns: what an operator should be told.
    public mutating func fetched(now: Double) -> Change? {
        (isUnderWay, failures, fetchedAt, next) = (false, 0, now, now + settings.refresh)
        defer { standing = .works }
        return standing == .works ? nil : .works
    }

    /// - Returns: what an operator should be told.
    public mutating func failed(now: Double) -> Change? {
        isUnderWay = false
        next = now + min(settings.longestPause, settings.refresh, settings.firstPause * Double(1 << min(failures, 16)))
        failures += 1
        guard standing == .works || standing == .unknown else { return nil }
        standing = .down
        return .down(max(0, remaining(now: now)))
    }

    /// Called regularly.
    /// - Returns: what an operator should be told.
    public mutating func tick(now: Double) -> Change? {
        guard fetchedAt != nil, standing != .lapsed, !mayUse(now: now) else { return nil }
        standing = .lapsed
        return .lapsed
    }

    /// Whether the keys that were fetched count.
    public func mayUse(now: Double) -> Bool { remaining(now: now) > 0 }

    /// Seconds since the last fetch that worked; nil before it.
    public func age(now: Double) -> Double? { fetchedAt.map { now - $0 } }

    private func remaining(now: Double) -> Double { fetchedAt.map { $0 + settings.keep - now } ?? 0 }
}
