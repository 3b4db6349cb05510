/// Counts the subscriptions of all filters, or of all groups that have a name, and finds those with the most; of these groups also how their
/// members do. Some at a time, while subscriptions come and go. One loop knows all names; what members were given each loop has counted for
/// itself, so a census of groups goes on from loop to loop (`goOn`).
public struct IndexCensus: Sendable {
    public enum Subject: Sendable {
        case filters, groups
    }

    struct Found: Equatable, Sendable {
        var name: String
        var subscriptions: Int
        var number: UInt32 = 0
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
    fileprivate var areNamesOver = false
    /// The entry to look at next, once all names have been looked at.
    fileprivate var nextEntry = 0
    /// Of the groups that were found, by number.
    private var members: [UInt32: Members] = [:]
    /// Of their filters, and where each is, by the numbers of both.
    private var shares: [Share] = []
    private var places: [UInt64: Int] = [:]
    /// What all loops so far have given each member of these filters, by its subscription.
    private var counts: [SubscriptionID: MemberCount] = [:]
    /// The first loop has been looked at.
    private var isElsewhere = false
    /// The most shares, and members of them, that are looked at.
    static let (maximumShares, maximumMembers) = (4_096, 65_536)

    private struct Members {
        var stuck = 0
        var absent = 0
    }

    private struct Share {
        var group: UInt32
        var number: UInt32
        /// Empty where nothing can be said of it.
        var filter = ""
        var members = 0
        /// There are more members than are looked at.
        var isCut = false
    }

    private struct MemberCount {
        var share: Int
        var delivered: UInt64
    }

    public init(_ subject: Subject, _ question: SubscriptionQuestion) {
        self.subject = subject
        filter = question.filter.map { Array($0.utf8) }
        limit = min(max(1, question.limit ?? SubscriptionQuestion.usualLimit), SubscriptionQuestion.maximumLimit)
    }

    fileprivate mutating func add(_ name: Bytes, _ number: UInt32, _ count: Int, _ strategy: GroupStrategy) {
        guard isMeant(name) else { return }
        total += 1
        subscriptions += count
        guard count > least else { return }
        most.append(Found(name: String(decoding: name, as: UTF8.self), subscriptions: count, number: number, strategy: strategy))
        guard most.count >= 2 * limit else { return }
        sort()
        least = most.last?.subscriptions ?? 0
    }

    /// All names have been looked at.
    fileprivate mutating func namesAreOver() {
        areNamesOver = true
        guard subject == .groups else { return isOver = true }
        for one in found() { members[one.number] = Members() }
        isOver = members.isEmpty
    }

    fileprivate mutating func add(_ entry: SubscriptionIndex.Entry) {
        guard !isElsewhere else {
            if let count = counts[entry.id]?.delivered { counts[entry.id]?.delivered = count &+ entry.delivered }
            return
        }
        guard members[entry.group] != nil else { return }
        switch entry.pressure {
        case .stuck: members[entry.group]?.stuck += 1
        case .absent: members[entry.group]?.absent += 1
        case .none, .congested: break
        }
        let key = UInt64(entry.group) << 32 | UInt64(entry.filter)
        guard places[key] != nil || shares.count < Self.maximumShares else { return }
        let place = places[key] ?? shares.count
        if place == shares.count {
            shares.append(Share(group: entry.group, number: entry.filter))
            places[key] = place
        }
        shares[place].members += 1
        guard counts.count < Self.maximumMembers else { return shares[place].isCut = true }
        counts[entry.id] = MemberCount(share: place, delivered: entry.delivered)
    }

    /// The loop's entries have been looked at.
    fileprivate mutating func entriesAreOver(_ filters: BytePool) {
        isOver = true
        guard !isElsewhere else { return }
        for place in shares.indices where shares[place].members > 1 && !shares[place].isCut {
            let number = shares[place].number
            if number < filters.end, filters.isUsed(number) { shares[place].filter = filters.text(number) }
        }
        places = [:]
        counts = counts.filter { !shares[$0.value.share].filter.isEmpty }
    }

    /// Looks at what another loop has given the members that were found.
    /// - Returns: false where there is nothing more to find.
    public mutating func goOn() -> Bool {
        guard subject == .groups, !counts.isEmpty else { return false }
        (isElsewhere, isOver, nextEntry) = (true, false, 0)
        return true
    }

    /// Of each group the filter whose messages go most unevenly to its members.
    private var uneven: [UInt32: GroupsRecord.Share] {
        var sums = shares.map { GroupsRecord.Share(filter: $0.filter, members: $0.members, delivered: 0, most: 0) }
        for count in counts.values {
            let delivered = Int(clamping: count.delivered)
            sums[count.share].delivered = sums[count.share].delivered.addingReportingOverflow(delivered).partialValue
            sums[count.share].most = max(sums[count.share].most, delivered)
        }
        var uneven: [UInt32: GroupsRecord.Share] = [:]
        for (share, one) in zip(shares, sums) where !share.filter.isEmpty {
            if let other = uneven[share.group], (one.most - one.others, other.filter) <= (other.most - other.others, one.filter) { continue }
            uneven[share.group] = one
        }
        return uneven
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
        let uneven = uneven
        return GroupsRecord(
            groups: found().map { one in
                .init(
                    group: one.name, strategy: one.strategy.rawValue, subscriptions: one.subscriptions, stuck: members[one.number]?.stuck,
                    absent: members[one.number]?.absent, uneven: uneven[one.number])
            }, total: total, subscriptions: subscriptions)
    }
}

extension SubscriptionIndex {
    /// Goes on with a census.
    public func look(_ census: inout IndexCensus) {
        let pool = census.subject == .filters ? filters : groups
        if census.areNamesOver { return lookAtMembers(&census) }
        let end = min(census.next + IndexCensus.portion, pool.end)
        while census.next < end {
            defer { census.next += 1 }
            guard pool.isUsed(census.next) else { continue }
            let number = census.next
            pool.withBytes(number) { name in
                switch census.subject {
                case .filters: census.add(name, number, members.count(pool[number]), .leastDelivered)
                case .groups: census.add(name, number, Int(pool[number]), strategyOfGroup[Int(number)])
                }
            }
        }
        guard census.next >= pool.end else { return }
        census.namesAreOver()
    }

    private func lookAtMembers(_ census: inout IndexCensus) {
        let end = min(census.nextEntry + Int(IndexCensus.portion), entries.count)
        while census.nextEntry < end {
            defer { census.nextEntry += 1 }
            // One that is free names no group.
            if entries[census.nextEntry].group != Self.noEntry { census.add(entries[census.nextEntry]) }
        }
        if census.nextEntry >= entries.count { census.entriesAreOver(filters) }
    }
}
