/// Every subscription of a worker, as one loop knows them, and the routes that follow from them.
///
/// Each loop holds all subscriptions, its own and the other loops', so that it can choose a group's member by itself. Counts of deliveries
/// and turns are the loop's own. A worker with plain topics finds a route by comparing bytes, and chooses a member without making an
/// object.
public struct SubscriptionIndex {
    struct Entry {
        var id: SubscriptionID
        var connection: ConnectionID
        /// `delivered`, and in the upper eight bits the terms.
        private var deliveredAndTerms: UInt64
        var filter: UInt32
        /// `noEntry`: the entry is free.
        var group: UInt32
        /// The number of its key in `keys`; `anyKey` takes all.
        var key: UInt32
        /// The next entry of the same connection, and in the upper bits the properties below.
        private var nextAndState: UInt32

        init(_ subscription: Subscription, delivered: UInt64, filter: UInt32, group: UInt32, key: UInt32, next: UInt32) {
            id = subscription.id
            connection = subscription.connection
            deliveredAndTerms = delivered & Self.deliveredMask | UInt64(subscription.terms.raw) << Self.termsShift
            self.filter = filter
            self.group = group
            self.key = key
            nextAndState = next & Self.nextMask
        }

        private static let deliveredMask: UInt64 = 0x00FF_FFFF_FFFF_FFFF
        private static let termsShift: UInt64 = 56

        /// Messages that this loop has given to the member since it joined.
        var delivered: UInt64 {
            get { deliveredAndTerms & Self.deliveredMask }
            set { deliveredAndTerms = deliveredAndTerms & ~Self.deliveredMask | newValue & Self.deliveredMask }
        }

        /// Counts a message that the member is given.
        @inline(__always)
        mutating func countDelivery() { deliveredAndTerms &+= 1 }

        var recipient: Recipient { Recipient(connection, DeliveryTerms(raw: UInt8(truncatingIfNeeded: deliveredAndTerms >> Self.termsShift))) }

        private static let nextMask: UInt32 = 0x0FFF_FFFF
        private static let pressureShift: UInt32 = 28
        private static let holdsBit: UInt32 = 1 << 30
        private static let isNewBit: UInt32 = 1 << 31

        /// The next entry of the same connection; `noEntry` after the last one.
        var next: UInt32 {
            get { nextAndState & Self.nextMask == Self.nextMask ? SubscriptionIndex.noEntry : nextAndState & Self.nextMask }
            set { nextAndState = nextAndState & ~Self.nextMask | newValue & Self.nextMask }
        }

        /// How far its connection's out-buffer has filled up.
        var pressure: ConsumerPressure {
            get { ConsumerPressure(rawValue: UInt8(nextAndState >> Self.pressureShift & 3)) ?? .none }
            set { nextAndState = nextAndState & ~(3 << Self.pressureShift) | UInt32(newValue.rawValue) << Self.pressureShift }
        }

        /// Producers wait for its connection while the connection is congested.
        var holds: Bool {
            get { nextAndState & Self.holdsBit != 0 }
            set { nextAndState = newValue ? nextAndState | Self.holdsBit : nextAndState & ~Self.holdsBit }
        }

        /// It has joined, and its `delivered` was not yet raised to the level of the members that it shares messages with.
        var isNew: Bool {
            get { nextAndState & Self.isNewBit != 0 }
            set { nextAndState = newValue ? nextAndState | Self.isNewBit : nextAndState & ~Self.isNewBit }
        }

        var isCongested: Bool { nextAndState & (3 << Self.pressureShift) != 0 }
        var isAbsent: Bool { pressure == .absent }
        var terms: DeliveryTerms { recipient.terms }

        var mustHold: Bool {
            let congested = UInt32(ConsumerPressure.congested.rawValue) << Self.pressureShift
            return nextAndState & (Self.holdsBit | 3 << Self.pressureShift) == Self.holdsBit | congested
        }
    }

    /// The most entries; a loop has fewer by far.
    static let capacity = 0x0FFF_FFFE
    static let noEntry = UInt32.max
    static let anyKey = UInt32.max
    /// Routes kept from one event to the next, unless `init` says otherwise.
    public static let routeCapacity = 65_536

    var entries: ContiguousArray<Entry> = []
    private var freeEntries: ContiguousArray<UInt32> = []
    /// The first entry of each connection, by its loop and slot.
    private(set) var firstOfConnection = ConnectionTable()
    /// Of connections with many entries, where each is.
    private(set) var crowded: [ConnectionID: CrowdedConnection] = [:]

    /// The filters, each with the list of its entries.
    var filters = BytePool()
    /// The entries of the filters, longest-standing first.
    var members = MemberLists()
    var wildcards = WildcardTree()
    var groups = BytePool()
    private(set) var strategyOfGroup: ContiguousArray<GroupStrategy> = []
    var slowPolicyOfGroup: ContiguousArray<SlowConsumerPolicy> = []
    /// The turn with which each group begins in the next new route.
    var turnOfGroup: ContiguousArray<UInt32> = []
    var keys = BytePool()

    var table: RouteTable
    var versions = TopicVersions()
    /// How often the rules have changed.
    var ruleChanges: UInt32 = 0
    /// Whether any route may have a standing decision: a question that is quicker than to ask for it.
    public internal(set) var hasStanding = false
    /// Scratch: the filters that take a topic, and the members of the route that is being found.
    var matched: ContiguousArray<UInt32> = []
    var reached: ContiguousArray<UInt32> = []
    var found: ContiguousArray<UInt32> = []

    private var strategies: GroupStrategies
    var slowPolicies: SlowConsumerPolicies
    /// The congested member that `select` chose last and that the message's producer must wait for; `none` after it was taken.
    public var blocker = ConnectionID.none

    public init(
        strategies: GroupStrategies = .init(), slowPolicies: SlowConsumerPolicies = .init(), routeCapacity: Int = routeCapacity
    ) {
        table = RouteTable(capacity: routeCapacity)
        self.strategies = strategies
        self.slowPolicies = slowPolicies
    }

    /// Subscriptions of all loops.
    public private(set) var count = 0
    /// Filters that name the worker's own topics, below `$SYS`.
    private var systemFilters = 0

    /// Whether anybody wants to know what is published below `$SYS`.
    public var hasSystemFilters: Bool { systemFilters > 0 }

    private static func isSystem(_ filter: Bytes) -> Bool { filter.starts(with: "$SYS/".utf8) }

    // MARK: Changes

    /// Enters a subscription.
    /// - Returns: false if the connection already has one with the same filter, group and key.
    public mutating func insert(_ subscription: Subscription) -> Bool {
        guard find(subscription) == nil else { return false }
        let (filter, isNewFilter) = filters.enter(subscription.filter)
        let (group, isNewGroup) = groups.retain(subscription.group)
        let key = subscription.key.map { keys.retain($0).number } ?? Self.anyKey
        if isNewFilter {
            filters[filter] = MemberLists.empty
            filters.withBytes(filter) {
                if TopicFilter.isPattern($0) { wildcards.insert($0, filter: filter) }
                if Self.isSystem($0) { systemFilters += 1 }
            }
        }
        if isNewGroup {
            let strategy = strategies.strategy(for: subscription.group)
            let slowPolicy = slowPolicies.policy(for: subscription.group)
            if Int(group) == strategyOfGroup.count {
                strategyOfGroup.append(strategy)
                slowPolicyOfGroup.append(slowPolicy)
                turnOfGroup.append(0)
            } else {
                strategyOfGroup[Int(group)] = strategy
                slowPolicyOfGroup[Int(group)] = slowPolicy
            }
        }
        let next = firstOfConnection[subscription.connection]
        let level = isNewGroup ? (0, isNew: false) : leastDelivered(filter: filter, group: group)
        var entry = Entry(subscription, delivered: level?.0 ?? 0, filter: filter, group: group, key: key, next: next)
        if next != Self.noEntry { entry.pressure = entries[Int(next)].pressure }
        entry.isNew = level?.isNew ?? true
        let index = place(entry)
        firstOfConnection[subscription.connection] = index
        noteCrowd(index, of: subscription.connection)
        members.insert(index, into: &filters[filter]) { [entries] in entries[Int($0)].id < entries[Int($1)].id }
        count += 1
        holdingGained(index)
        routesGained(index, isNewGroup: isNewGroup, isLevel: level != nil)
        return true
    }

    /// Takes out the connection's subscription with this filter, group and key.
    /// - Returns: its id, or nil if there is none.
    public mutating func remove(
        connection: ConnectionID, filter: String, group: String, key: String?
    ) -> SubscriptionID? {
        let wanted = Subscription(
            id: SubscriptionID(raw: 0), connection: connection, filter: filter, group: group, key: key)
        guard let index = find(wanted) else { return nil }
        let id = entries[Int(index)].id
        let group = entries[Int(index)].group
        unlink(index, from: connection)
        // Its group may go with it.
        let policy = slowPolicyOfGroup[Int(group)]
        take(index)
        if policy == .hold { holdingLost(connection) }
        return id
    }

    /// Whether the connection has a subscription with this filter, group and key.
    public func has(connection: ConnectionID, filter: String, group: String, key: String?) -> Bool {
        find(Subscription(id: SubscriptionID(raw: 0), connection: connection, filter: filter, group: group, key: key)) != nil
    }

    /// Takes out all subscriptions of a connection that has gone.
    public mutating func removeAll(of connection: ConnectionID) {
        var index = firstOfConnection[connection]
        firstOfConnection[connection] = Self.noEntry
        if !crowded.isEmpty { crowded[connection] = nil }
        while index != Self.noEntry {
            let next = entries[Int(index)].next
            take(index)
            index = next
        }
    }

    /// Changes the strategies, also for groups that exist already.
    public mutating func setStrategies(_ new: GroupStrategies) {
        strategies = new
        for index in strategyOfGroup.indices where groups.isUsed(UInt32(index)) {
            strategyOfGroup[index] = new.strategy(for: groups.text(UInt32(index)))
        }
    }

    /// The rules have changed: each route is found anew with the next message of its topic, which goes on to be counted.
    public mutating func forgetRoutes() {
        ruleChanges &+= 1
        hasStanding = false
        versions.changedAll()
    }

    /// Forgets the routes that were made for one message, and some more if there are too many. Call it between two events: references are
    /// not valid afterwards.
    @inline(__always)
    public mutating func trimRoutes() {
        if table.hasToTrim { table.trim { versions.count($0, isKept: false) } }
    }

    // MARK: Questions

    /// The groups that a connection is in, each once.
    public func groups(of connection: ConnectionID) -> [String] {
        var found: [String] = []
        var seen: Set<UInt32> = []
        forEachEntry(of: connection) { index in
            let group = entries[Int(index)].group
            if seen.insert(group).inserted { found.append(groups.text(group)) }
        }
        return found
    }

    /// The subscriptions of one connection, newest first.
    public func subscriptions(of connection: ConnectionID) -> [Subscription] {
        var found: [Subscription] = []
        forEachEntry(of: connection) { index in
            let entry = entries[Int(index)]
            found.append(
                Subscription(
                    id: entry.id, connection: connection, filter: filters.text(entry.filter),
                    group: groups.text(entry.group), key: entry.key == Self.anyKey ? nil : keys.text(entry.key), terms: entry.terms))
        }
        return found
    }

    /// The terms of a client's subscription that takes a topic of its own messages too: the one with the highest QoS.
    public func localTerms(of connection: ConnectionID, for topic: Bytes) -> DeliveryTerms? {
        var best: DeliveryTerms?
        forEachEntry(of: connection) { index in
            let entry = entries[Int(index)]
            let terms = entry.terms
            guard !terms.isNoLocal, !terms.isShared, terms.qos > best?.qos ?? .atMostOnce || best == nil else { return }
            filters.withBytes(entry.filter) { if TopicFilter.takes(topic, filter: $0) { best = terms } }
        }
        return best
    }

    // MARK: Entries

    func forEachEntry(of connection: ConnectionID, _ body: (UInt32) -> Void) {
        var index = firstOfConnection[connection]
        while index != Self.noEntry {
            let next = entries[Int(index)].next
            body(index)
            index = next
        }
    }

    private func find(_ wanted: Subscription) -> UInt32? {
        guard let filter = filters.find(wanted.filter), let group = groups.find(wanted.group) else { return nil }
        var key = Self.anyKey
        if let text = wanted.key {
            guard let known = keys.find(text) else { return nil }
            key = known
        }
        if !crowded.isEmpty, let crowd = crowded[wanted.connection] { return crowd.entry(filter: filter, group: group, key: key) }
        var index = firstOfConnection[wanted.connection]
        while index != Self.noEntry {
            let entry = entries[Int(index)]
            if entry.filter == filter, entry.group == group, entry.key == key { return index }
            index = entry.next
        }
        return nil
    }

    private mutating func place(_ entry: Entry) -> UInt32 {
        if let reused = freeEntries.popLast() {
            entries[Int(reused)] = entry
            return reused
        }
        entries.append(entry)
        return UInt32(entries.count - 1)
    }

    private mutating func unlink(_ index: UInt32, from connection: ConnectionID) {
        let next = entries[Int(index)].next
        if !crowded.isEmpty, crowded[connection] != nil {
            let entry = entries[Int(index)]
            let before = crowded[connection]?.remove(index, filter: entry.filter, group: entry.group, key: entry.key, next: next)
            if let before { entries[Int(before)].next = next } else { firstOfConnection[connection] = next }
            return
        }
        if firstOfConnection[connection] == index {
            firstOfConnection[connection] = next
            return
        }
        var before = firstOfConnection[connection]
        while before != Self.noEntry {
            if entries[Int(before)].next == index {
                entries[Int(before)].next = next
                return
            }
            before = entries[Int(before)].next
        }
    }

    /// Notes a new entry, the first of its connection, where that has many.
    private mutating func noteCrowd(_ index: UInt32, of connection: ConnectionID) {
        let entry = entries[Int(index)]
        if !crowded.isEmpty, crowded[connection] != nil {
            crowded[connection]?.insert(index, filter: entry.filter, group: entry.group, key: entry.key, next: entry.next)
            return
        }
        var (at, seen) = (index, 0)
        while at != Self.noEntry, seen <= CrowdedConnection.least { (at, seen) = (entries[Int(at)].next, seen + 1) }
        guard seen > CrowdedConnection.least else { return }
        var crowd = CrowdedConnection()
        forEachEntry(of: connection) { index in
            let entry = entries[Int(index)]
            crowd.insert(index, filter: entry.filter, group: entry.group, key: entry.key, next: entry.next)
        }
        crowded[connection] = crowd
    }

    /// Takes an entry, already unlinked from its connection, out of everything else.
    private mutating func take(_ index: UInt32) {
        let entry = entries[Int(index)]
        routesLost(index)
        members.remove(from: &filters[entry.filter]) { [entries] in entries[Int($0)].id >= entry.id }
        if filters[entry.filter] == MemberLists.empty {
            filters.withBytes(entry.filter) {
                if TopicFilter.isPattern($0) { wildcards.remove($0) }
                if Self.isSystem($0) { systemFilters -= 1 }
            }
            filters.remove(entry.filter)
        }
        groups.release(entry.group)
        if entry.key != Self.anyKey { keys.release(entry.key) }
        entries[Int(index)].group = Self.noEntry
        freeEntries.append(index)
        count -= 1
    }

    /// The count that a new member starts with: the count of the least served member with the same filter. It looks at some of these
    /// members only: in a storm of new ones, to look at all for each would take ever longer.
    /// - Returns: nil if no other member has this filter: then `level` finds the count with the first route. `isNew` if all of them are
    ///   new.
    private func leastDelivered(filter: UInt32, group: UInt32) -> (UInt64, isNew: Bool)? {
        var least: (UInt64, isNew: Bool)?
        var seen = 0
        members.forEachUntil(filters[filter], limit: 4096) { index in
            let entry = entries[Int(index)]
            if entry.group == group {
                let isBetter = least.map { entry.isNew == $0.isNew ? entry.delivered < $0.0 : $0.isNew } ?? true
                if isBetter { least = (entry.delivered, entry.isNew) }
                seen += 1
            }
            return seen == 64
        }
        return least
    }
}
