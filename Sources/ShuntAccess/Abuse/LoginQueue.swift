public import ShuntCore

/// Holds clients whose credentials wait for their check, and tells which is next. Addresses take turns: a flood from one address delays no
/// other. A user who was right before from the same address comes before all of them. Bounded.
public struct LoginQueue<Login: Sendable>: Sendable {
    public struct Settings: Equatable, Sendable {
        /// The most that wait, as many users besides who were right before, and the most of one address.
        public var capacity = 1_000
        public var perAddress = 100
        /// The most attempts for one user that are held because of failures.
        public var heldPerUser = 32

        public init() {}
    }

    private let settings: Settings
    /// Of users who were right before.
    private var known: [(key: NameKey, login: Login)] = []
    private var others: [NameKey: [Login]] = [:]
    /// The addresses in `others`, the one whose turn it is first.
    private var turns: [NameKey] = []
    /// How many of an address wait.
    private var waiting: [NameKey: Int] = [:]
    private var held: [NameKey: Int] = [:]
    public private(set) var count = 0

    public init(_ settings: Settings = Settings()) { self.settings = settings }

    /// - Returns: false where there is no room.
    public mutating func add(_ login: Login, from address: PeerAddress, isKnown: Bool) -> Bool {
        let key = NameKey(address)
        let inLine = isKnown ? known.count : count - known.count
        guard inLine < settings.capacity, waiting[key, default: 0] < settings.perAddress else { return false }
        count += 1
        waiting[key, default: 0] += 1
        if isKnown {
            known.append((key, login))
        } else {
            if others[key] == nil { turns.append(key) }
            others[key, default: []].append(login)
        }
        return true
    }

    /// Takes out the next.
    public mutating func next() -> Login? {
        if !known.isEmpty {
            let (key, login) = known.removeFirst()
            left(key)
            return login
        }
        guard let key = turns.first, var logins = others.removeValue(forKey: key), let login = logins.first else { return nil }
        turns.removeFirst()
        logins.removeFirst()
        if !logins.isEmpty {
            others[key] = logins
            turns.append(key)
        }
        left(key)
        return login
    }

    private mutating func left(_ key: NameKey) {
        count -= 1
        let left = (waiting[key] ?? 1) - 1
        waiting[key] = left > 0 ? left : nil
    }

    /// An attempt for a user is to be held for a while: `release` is called at its end.
    /// - Returns: false where too many are.
    public mutating func hold(_ user: String) -> Bool {
        let key = NameKey(0, user)
        guard held[key, default: 0] < settings.heldPerUser else { return false }
        held[key, default: 0] += 1
        return true
    }

    public mutating func release(_ user: String) {
        let key = NameKey(0, user)
        let left = (held[key] ?? 1) - 1
        held[key] = left > 0 ? left : nil
    }
}
