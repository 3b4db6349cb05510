/// Who is banned: a client identifier, a uid, or addresses.
public enum BanSubject: Hashable, Comparable, Sendable, CustomStringConvertible {
    case client(ExactText)
    case uid(ExactText)
    case addresses(AddressRange)

    /// The longest name, in bytes, with its kind.
    public static let maximum = 1024

    /// What can be banned, for an error.
    public static let form = "give client:ID, uid:NAME, or an address, perhaps with a prefix length as in 10.0.0.0/8, all bits after it 0"

    /// `client:ID`, `uid:NAME`, or an address, perhaps with a prefix length; nil for anything else, for what is longer than `maximum`, and for a
    /// NUL, which no name has.
    public init?(_ text: String) {
        guard text.utf8.count <= Self.maximum, !text.utf8.contains(0) else { return nil }
        if text.hasPrefix("client:"), text.utf8.count > 7 {
            self = .client(ExactText(String(text.dropFirst(7))))
        } else if text.hasPrefix("uid:"), text.utf8.count > 4 {
            self = .uid(ExactText(String(text.dropFirst(4))))
        } else {
            guard let range = AddressRange(text) else { return nil }
            self = .addresses(range)
        }
    }

    public var description: String {
        switch self {
        case .client(let name): "client:\(name)"
        case .uid(let name): "uid:\(name)"
        case .addresses(let range): range.description
        }
    }

    public static func < (one: BanSubject, other: BanSubject) -> Bool { one.description < other.description }
}

/// One ban.
public struct Ban: Equatable, Sendable {
    public var subject: BanSubject
    /// Seconds since 1970; nil: for ever.
    public var until: Double?
    /// What the operator says.
    public var why: String

    public init(_ subject: BanSubject, until: Double? = nil, why: String = "") {
        (self.subject, self.until, self.why) = (subject, until, why)
    }

    func holds(at now: Double) -> Bool { until.map { now < $0 } ?? true }
}

/// All bans. A client is looked for by a hash of its names, and of its address once for each length of prefix that there is.
public struct Bans: Sendable {
    private var bans: [BanSubject: Ban] = [:]
    /// How many bans have a prefix of this length.
    private var prefixes: [Int: Int] = [:]
    /// The lengths, the longest first.
    private var lengths: [Int] = []
    /// No ban is over before.
    private var nextEnd = Double.infinity

    public static let maximum = 100_000
    /// The longest reason, in bytes.
    public static let maximumWhy = 1024

    public init() {}

    public var count: Int { bans.count }
    public var isEmpty: Bool { bans.isEmpty }
    /// In no order.
    public var all: some Collection<Ban> { bans.values }

    /// Adds a ban, in the place of an earlier one with the same subject.
    /// - Throws: `limit.memory` if there are too many, `request.invalid` for a reason that is too long.
    public mutating func add(_ ban: Ban) throws(ShuntError) {
        guard ban.why.utf8.count <= Self.maximumWhy else {
            throw ShuntError(.requestInvalid, "the reason is too long", help: "at most \(Self.maximumWhy) bytes")
        }
        guard bans.count < Self.maximum || bans[ban.subject] != nil else {
            throw ShuntError(.memoryLimit, "there are \(Self.maximum) bans", help: "ban a range of addresses, or lift some")
        }
        nextEnd = min(nextEnd, ban.until ?? .infinity)
        if bans.updateValue(ban, forKey: ban.subject) == nil { count(ban.subject, 1) }
    }

    /// Lifts a ban.
    /// - Returns: whether there was one.
    public mutating func remove(_ subject: BanSubject) -> Bool {
        guard bans.removeValue(forKey: subject) != nil else { return false }
        count(subject, -1)
        return true
    }

    /// Takes out the bans that are over, and returns them.
    public mutating func expire(now: Double) -> [Ban] {
        guard now >= nextEnd else { return [] }
        let over = bans.values.filter { !$0.holds(at: now) }.sorted { $0.subject < $1.subject }
        for ban in over { _ = remove(ban.subject) }
        nextEnd = bans.values.reduce(.infinity) { min($0, $1.until ?? .infinity) }
        return over
    }

    /// The ban of a client; of several one by name, else the one of the fewest addresses.
    /// - Parameters:
    ///   - uid, clientID: empty where there is none.
    ///   - now: seconds since 1970.
    public func ban(clientID: String, uid: String, address: PeerAddress, now: Double) -> Ban? {
        guard !bans.isEmpty else { return nil }
        for subject in [BanSubject.client(ExactText(clientID)), .uid(ExactText(uid))] {
            if let ban = bans[subject], ban.holds(at: now) { return ban }
        }
        for length in lengths {
            let range = AddressRange(around: address, prefix: length)
            // A range of IPv6 may begin as a mapped IPv4 address does, which it does not hold.
            if let ban = bans[.addresses(range)], ban.holds(at: now), range.contains(address) { return ban }
        }
        return nil
    }

    private mutating func count(_ subject: BanSubject, _ change: Int) {
        guard case .addresses(let range) = subject else { return }
        let left = prefixes[range.prefix, default: 0] + change
        prefixes[range.prefix] = left > 0 ? left : nil
        lengths = prefixes.keys.sorted(by: >)
    }
}
