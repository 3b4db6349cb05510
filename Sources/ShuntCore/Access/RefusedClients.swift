/// Clients that were refused, by who they are and why: how often, and when. At most so many.
///
/// When it is full, a quarter makes way: first those that were refused once, those longest ago first.
public struct RefusedClients: Sendable {
    /// Who was refused, where and why. It has nothing that a client has shown in secret.
    public struct Client: Hashable, Sendable {
        /// Without the port.
        public let address: PeerAddress
        /// What the client has said; empty where it has named nobody. Printable, and cut: some people type passwords as user names.
        public let user: String
        public let reason: String
        /// The listener's number.
        public let listener: Int

        public init(address: PeerAddress, user: String, reason: String, listener: Int) {
            self.address = address.isUnix ? address : PeerAddress(high: address.high, low: address.low)
            self.user = RefusedClients.shown(user)
            self.reason = reason
            self.listener = listener
        }
    }

    /// How often, and when first and last, in seconds since 1970.
    public struct Refusals: Equatable, Sendable {
        public var count: Int
        public var firstAt: Double
        public var lastAt: Double
    }

    /// The most bytes of a user name that are shown.
    public static let userBytes = 32

    private var table: [Client: Refusals] = [:]
    private let capacity: Int

    public init(capacity: Int) { self.capacity = max(4, capacity) }

    public var count: Int { table.count }
    public var isEmpty: Bool { table.isEmpty }

    /// A client was refused.
    /// - Parameter now: seconds since 1970.
    public mutating func note(_ client: Client, now: Double) { add(client, Refusals(count: 1, firstAt: now, lastAt: now)) }

    /// What another has noted of the same worker.
    public mutating func add(_ other: RefusedClients) { for (client, refusals) in other.table { add(client, refusals) } }

    /// Gives up what is known, and returns it.
    public mutating func take() -> RefusedClients {
        defer { table.removeAll(keepingCapacity: true) }
        return self
    }

    /// The clients that were refused last, the latest first; and how many match in all.
    public func list(_ query: RefusedQuery) -> (latest: [(client: Client, refusals: Refusals)], total: Int) {
        let user = query.user.map(Self.shown)
        let matching = table.filter { client, _ in
            (user.map { $0 == client.user } ?? true) && (query.addresses.map { !client.address.isUnix && $0.contains(client.address) } ?? true)
        }
        let latest = matching.sorted { Self.isEarlier($1, $0) }.prefix(max(0, query.limit))
        return (latest.map { ($0.key, $0.value) }, matching.count)
    }

    /// A user name as it is kept.
    public static func shown(_ user: String) -> String {
        guard user.utf8.count > userBytes else { return PrintableText.of(user) }
        var cut = String.UnicodeScalarView()
        var bytes = 0
        for scalar in user.unicodeScalars {
            bytes += UTF8.width(scalar)
            guard bytes <= userBytes else { break }
            cut.append(scalar)
        }
        return PrintableText.of(String(cut)) + "…"
    }

    private mutating func add(_ client: Client, _ new: Refusals) {
        if var known = table[client] {
            known.count &+= new.count
            known.firstAt = min(known.firstAt, new.firstAt)
            known.lastAt = max(known.lastAt, new.lastAt)
            table[client] = known
        } else {
            if table.count >= capacity { makeRoom() }
            table[client] = new
        }
    }

    private mutating func makeRoom() {
        let leastFirst = table.sorted { one, other in
            (one.value.count == 1) == (other.value.count == 1) ? Self.isEarlier(one, other) : one.value.count == 1
        }
        for (client, _) in leastFirst.prefix(capacity / 4) { table[client] = nil }
    }

    /// By the last refusal; of the same moment, by address, user, reason and listener, so that the order of a list is certain.
    private static func isEarlier(_ one: (key: Client, value: Refusals), _ other: (key: Client, value: Refusals)) -> Bool {
        guard one.value.lastAt == other.value.lastAt else { return one.value.lastAt < other.value.lastAt }
        let order = { (client: Client) in (client.address.high, client.address.low, client.user, client.reason, client.listener) }
        return order(one.key) > order(other.key)
    }
}
