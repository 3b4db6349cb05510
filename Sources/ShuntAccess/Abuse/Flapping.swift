public import ShuntConfig
public import ShuntCore

/// Finds clients that connect again and again: after so many connects within a window they are refused for a time.
///
/// A window begins with the first connect after the one before has ended.
public struct Flapping: Sendable {
    /// What tells clients apart.
    public typealias Key = Configuration.Access.Flapping.Key

    /// Times in seconds.
    public struct Settings: Equatable, Sendable {
        /// The connect that is refused, counted from the first of a window.
        public var connects = 15
        public var window = 60.0
        public var refusal = 300.0
        public var keys: Set<Key> = [.clientID]
        /// The most clients that are remembered; the one that came first makes way.
        public var capacity = 65_536

        public init() {}
    }

    private struct Window: Sendable {
        var start: Double
        var count: Int
        /// No connect before.
        var until: Double
    }

    public let settings: Settings
    private var table: BoundedTable<NameKey, Window>

    public init(_ settings: Settings = Settings()) {
        self.settings = settings
        table = BoundedTable(capacity: settings.capacity)
    }

    /// Clients that are remembered.
    public var count: Int { table.count }

    /// A client connects.
    /// - Parameters:
    ///   - uid: that it has proved. Empty where there is none, as `clientID`.
    ///   - now: seconds of a clock that never goes back.
    /// - Returns: for how many seconds it is refused; nil where it may.
    public mutating func connects(clientID: String, uid: String, address: PeerAddress, now: Double) -> Double? {
        var longest: Double?
        for name in names(clientID, uid, address) {
            if let refusal = count(name, now) { longest = max(refusal, longest ?? 0) }
        }
        return longest
    }

    /// The same without counting a connect: a stranger that is refused for something else makes no client flap.
    public func refusal(clientID: String, uid: String, address: PeerAddress, now: Double) -> Double? {
        names(clientID, uid, address).compactMap { table[$0].map { $0.until - now } }.filter { $0 > 0 }.max()
    }

    private func names(_ clientID: String, _ uid: String, _ address: PeerAddress) -> [NameKey] {
        Key.allCases.compactMap { key in
            guard settings.keys.contains(key) else { return nil }
            return switch key {
            // Another user with the same identifier is another client: nobody makes the one flap by being the other.
            case .clientID: clientID.isEmpty ? nil : NameKey(0, "\(clientID)\u{0}\(uid)")
            case .uid: uid.isEmpty ? nil : NameKey(1, uid)
            case .address: NameKey(address)
            }
        }
    }

    /// Gives up what is over: now and then.
    public mutating func forget(now: Double) {
        table.remove { $0.until <= now && now - $0.start >= settings.window }
    }

    private mutating func count(_ name: NameKey, _ now: Double) -> Double? {
        var window = table[name] ?? Window(start: now, count: 0, until: 0)
        // Connects while it is refused make the refusal no longer.
        if window.until > now { return window.until - now }
        if window.until > 0 || now - window.start >= settings.window { window = Window(start: now, count: 0, until: 0) }
        window.count += 1
        if window.count >= settings.connects { window.until = now + settings.refusal }
        table.set(name, to: window)
        return window.until > now ? settings.refusal : nil
    }
}
