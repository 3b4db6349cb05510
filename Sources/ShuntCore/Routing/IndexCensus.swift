/// Counts the subscriptions of all filters, or of all groups that have a name, and finds those with the most: some at a time, while
/// subscriptions come and go.
public struct IndexCensus: Sendable {
    public enum Subject: Sendable {
        case filters, groups
    }

    struct Found: Equatable, Sendable {
        var name: String
        var subscriptions: Int
        /// A group's.
        var strategy = GroupStrategy.leastDelivered

        func isBefore(_ other: Found) -> Bool { (-subscriptions, name) < (-other.subscriptions, other.name) }
    }

    /// The most bytes that the names in an answer take together.
    static let maximumBytes = 128 << 10
    /// Names that are looked at in one turn of a loop.
    static let portion: UInt32 = 4_096

    let subject: Subject
    private let filter: [UInt8]?
    private let limit: Int
    fileprivate var next: UInt32 = 0
    /// All have been looked at.
    public fileprivate(set) var isOver = false
    private var most: [Found] = []
    /// Those with fewer subscriptions are not among the first.
    private var least = 0
    private var total = 0
    private var subscriptions = 0

    public init(_ subject: Subject, _ question: SubscriptionQuestion) {
        self.subject = subject
        filter = question.filter.map { Array($0.utf8) }
        limit = min(max(1, question.limit ?? SubscriptionQuestion.usualLimit), SubscriptionQuestion.maximumLimit)
    }

    fileprivate mutating func add(_ name: Bytes, _ count: Int, _ strategy: GroupStrategy) {
        guard isMeant(name) else { return }
        total += 1
        subscriptions += count
        guard count > least else { return }
        most.append(Found(name: String(decoding: name, as: UTF8.self), subscriptions: count, strategy: strategy))
        guard most.count >= 2 * limit else { return }
        sort()
        least = most.last?.subscriptions ?? 0
    }

    private func isMeant(_ name: Bytes) -> Bool {
        // A client's own group has no name that it was given.
        guard subject == .filters else { return name.first != 0 }
        guard let filter else { return true }
        return filter.withUnsafeBytes { TopicFilter.takes(name, filter: $0) }
    }

    private mutating func sort() {
        most.sort { $0.isBefore($1) }
        most = Array(most.prefix(limit))
    }

    private func found() -> [Found] {
        var (sorted, bytes) = (self, 0)
        sorted.sort()
        return Array(
            sorted.most.prefix { one in
                bytes += one.name.utf8.count
                return bytes <= Self.maximumBytes
            })
    }

    public var filters: SubscriptionsRecord {
        SubscriptionsRecord(
            filters: found().map { .init(filter: $0.name, subscriptions: $0.subscriptions) }, total: total, subscriptions: subscriptions)
    }

    public var groups: GroupsRecord {
        GroupsRecord(
            groups: found().map { .init(group: $0.name, strategy: $0.strategy.rawValue, subscriptions: $0.subscriptions) }, total: total,
            subscriptions: subscriptions)
    }
}

extension SubscriptionIndex {
    /// Goes on with a census.
    public func look(_ census: inout IndexCensus) {
        let pool = census.subject == .filters ? filters : groups
        let end = min(census.next + IndexCensus.portion, pool.end)
        while census.next < end {
            defer { census.next += 1 }
            guard pool.isUsed(census.next) else { continue }
            let number = census.next
            pool.withBytes(number) { name in
                switch census.subject {
                case .filters: census.add(name, members.count(pool[number]), .leastDelivered)
                case .groups: census.add(name, Int(pool[number]), strategyOfGroup[Int(number)])
                }
            }
        }
        census.isOver = census.next >= pool.end
    }
}
