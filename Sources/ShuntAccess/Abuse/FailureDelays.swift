import ShuntCore

/// Makes guesses slow: after a few failures, each further attempt from an address waits twice as long, and so does each for a user.
///
/// An address that has to wait is refused, and its password is not looked at. An attempt for a user is only held, for a shorter time: else a
/// stranger could keep the user out. So is one from this machine, where all clients may come through a proxy. A user who was right before from
/// the same address does not wait for what others guess. Each `forgetsAfter`, one failure is forgotten.
public struct FailureDelays: Sendable {
    /// Times in seconds.
    public struct Settings: Equatable, Sendable {
        /// Failures without a delay.
        public var free = 3
        /// The first delay.
        public var first = 0.5
        public var longestForAddress = 60.0
        public var longestForUser = 5.0
        public var longestForThisMachine = 1.0
        public var forgetsAfter = 60.0
        /// The most addresses and users whose failures are remembered, and as many users who were right; the one that came first makes way.
        public var capacity = 65_536

        public init() {}
    }

    /// What becomes of an attempt.
    public enum Attempt: Equatable, Sendable {
        /// The password is checked at once.
        case check
        /// It is checked after so many seconds.
        case hold(Double)
        /// It is not checked; the address may try again after so many seconds.
        case refuse(Double)
    }

    private struct Failures: Sendable {
        var count: Double
        /// When `count` was right.
        var at: Double
        /// No attempt before.
        var until: Double

        /// How many are not forgotten.
        func count(_ now: Double, _ forgetsAfter: Double) -> Double { max(0, count - max(0, now - at) / forgetsAfter) }
    }

    private let settings: Settings
    private var table: BoundedTable<NameKey, Failures>
    /// Users who were right, each with the address that they came from.
    private var known: BoundedTable<NameKey, Bool>

    public init(_ settings: Settings = Settings()) {
        self.settings = settings
        table = BoundedTable(capacity: settings.capacity)
        known = BoundedTable(capacity: settings.capacity)
    }

    /// Addresses and users that are remembered.
    public var count: Int { table.count }

    /// - Parameters:
    ///   - user: empty where the client gives none.
    ///   - now: seconds of a clock that never goes back.
    public func attempt(from address: PeerAddress, user: String, now: Double) -> Attempt {
        if let seconds = refusal(of: address, now: now) { return .refuse(seconds) }
        guard !knows(user, from: address) else { return .check }
        let isOfThisMachine = address.network == nil
        let forMachine = isOfThisMachine ? delay(for: NameKey(address), settings.longestForThisMachine, now) : 0
        let forUser = user.isEmpty ? 0 : delay(for: Self.key(user), settings.longestForUser, now)
        let delay = max(forMachine, forUser)
        return delay > 0 ? .hold(delay) : .check
    }

    /// - Returns: after how many seconds the address may try again; nil where it may now.
    public func refusal(of address: PeerAddress, now: Double) -> Double? {
        guard address.network != nil, let failures = table[NameKey(address)], failures.until > now else { return nil }
        return failures.until - now
    }

    /// Whether the user was right before, from this address. Behind this machine's own addresses there may be anybody.
    public func knows(_ user: String, from address: PeerAddress) -> Bool {
        !user.isEmpty && address.network != nil && known[NameKey(user, at: address)] != nil
    }

    private func delay(for key: NameKey, _ longest: Double, _ now: Double) -> Double {
        table[key].map { delay(after: $0.count(now, settings.forgetsAfter), longest) } ?? 0
    }

    /// An attempt was checked, and was wrong.
    public mutating func failed(from address: PeerAddress, user: String, now: Double) {
        add(NameKey(address), settings.longestForAddress, now)
        if !user.isEmpty { add(Self.key(user), settings.longestForUser, now) }
    }

    /// An attempt was checked, and was right.
    public mutating func succeeded(from address: PeerAddress, user: String) {
        if !user.isEmpty, address.network != nil { known.set(NameKey(user, at: address), to: true) }
    }

    /// Gives up what is forgotten: now and then.
    public mutating func forget(now: Double) {
        let forgetsAfter = settings.forgetsAfter
        table.remove { $0.count(now, forgetsAfter) == 0 && $0.until <= now }
    }

    private mutating func add(_ key: NameKey, _ longest: Double, _ now: Double) {
        let count = (table[key]?.count(now, settings.forgetsAfter) ?? 0) + 1
        table.set(key, to: Failures(count: count, at: now, until: now + delay(after: count, longest)))
    }

    private func delay(after count: Double, _ longest: Double) -> Double {
        // A part of a failure that is not forgotten counts as a whole one.
        let beyond = Int(count.rounded(.up)) - settings.free
        guard beyond > 0 else { return 0 }
        return min(longest, settings.first * Double(1 << min(beyond - 1, 30)))
    }

    private static func key(_ user: String) -> NameKey { NameKey(1, user) }
}
