/// Every subscription of a worker, as one loop knows them, and the routes that follow from them.
///
/// Each loop holds all subscriptions, its own and the other loops', so that it can choose a group's member by itself.
/// What is counted (deliveries, turns) is the loop's own. A worker with plain topics finds a route by comparing bytes,
/// and chooses a member without making an object.
public struct SubscriptionIndex {
    struct Entry {
        var id: SubscriptionID
        var connection: ConnectionID
        /// Messages that this loop has given to the member since it joined.
        var delivered: UInt64
        var filter: UInt32
        var group: UInt32
        /// The number of its key in `keys`; `anyKey` takes all.
        var key: UInt32
        /// The next entry of the same connection, and in the upper bits what the properties below say.
        private var nextAndState: UInt32

        init(id: SubscriptionID, connection: ConnectionID, delivered: UInt64, filter: UInt32, group: UInt32, key: UInt32, next: UInt32) {
            self.id = id
            self.connection = connection
            self.delivered = delivered
            self.filter = filter
            self.group = group
            self.key = key
            nextAndState = next & Self.nextMask
        }

        private static let nextMask: UInt32 = 0x0FFF_FFFF
        private static let pressureShift: UInt32 = 28
        private static let holdsBit: UInt32 = 1 << 30
        private static let isNewBit: UInt32 = 1 << 31

        /// `noEntry` ends.
        var next: UInt32 {
            get { nextAndState & Self.nextMask == Self.nextMask ? SubscriptionIndex.noEntry : nextAndState & Self.nextMask }
            set { nextAndState = nextAndState & ~Self.nextMask | newValue & Self.nextMask }
        }

        /// How far its connection's out-buffer has filled up.
        var pressure: ConsumerPressure {
            get { ConsumerPressure(rawValue: UInt8(nextAndState >> Self.pressureShift & 3)) ?? .none }
            set { nextAndState = nextAndState & ~(3 << Self.pressureShift) | UInt32(newValue.rawValue) << Self.pressureShift }
        }

        /// Producers wait for its connection while that is congested.
        var holds: Bool {
            get { nextAndState & Self.holdsBit != 0 }
            set { nextAndState = newValue ? nextAndState | Self.holdsBit : nextAndState & ~Self.holdsBit }
        }

        /// It has joined, and `delivered` is not yet brought to the level of the members that it shares messages with.
        var isNew: Bool {
            get { nextAndState & Self.isNewBit != 0 }
            set { nextAndState = newValue ? nextAndState | Self.isNewBit : nextAndState & ~Self.isNewBit }
        }

        var isCongested: Bool { nextAndState & (3 << Self.pressureShift) != 0 }

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

    /// The filters, each with the list of its entries.
    var filters = BytePool()
    /// The entries of the filters, longest-standing first.
    var members = MemberLists()
    private var wildcards = WildcardTree()
    var groups = BytePool()
    private(set) var strategyOfGroup: ContiguousArray<GroupStrategy> = []
    var slowPolicyOfGroup: ContiguousArray<SlowConsumerPolicy> = []
    /// Where the next route that is made begins with each group's turns.
    private var turnOfGroup: ContiguousArray<UInt32> = []
    var keys = BytePool()

    var routes: RouteTable
    private var versions = TopicVersions()
    /// Scratch: the filters that take a topic, and the members of the route that is being found.
    private var matched: ContiguousArray<UInt32> = []
    private var reached: ContiguousArray<UInt32> = []
    private var found: ContiguousArray<UInt32> = []

    private var strategies: GroupStrategies
    var slowPolicies: SlowConsumerPolicies
    /// The congested member that `select` chose last and that the message's producer must wait for; `none` after it was taken.
    public var blocker = ConnectionID.none

    public init(
        strategies: GroupStrategies = .init(), slowPolicies: SlowConsumerPolicies = .init(), routeCapacity: Int = routeCapacity
    ) {
        routes = RouteTable(capacity: routeCapacity)
        self.strategies = strategies
        self.slowPolicies = slowPolicies
    }

    /// Subscriptions of all loops.
    public private(set) var count = 0

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
            filters.withBytes(filter) { if TopicFilter.isPattern($0) { wildcards.insert($0, filter: filter) } }
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
        var entry = Entry(
            id: subscription.id, connection: subscription.connection, delivered: level?.0 ?? 0, filter: filter, group: group, key: key,
            next: next)
        if next != Self.noEntry { entry.pressure = entries[Int(next)].pressure }
        entry.isNew = level?.isNew ?? true
        let index = place(entry)
        firstOfConnection[subscription.connection] = index
        members.insert(index, into: &filters[filter]) { [entries] in entries[Int($0)].id < entries[Int($1)].id }
        count += 1
        updateHolding(of: subscription.connection)
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
        unlink(index, from: connection)
        take(index)
        updateHolding(of: connection)
        return id
    }

    /// Takes out all subscriptions of a connection that has gone.
    public mutating func removeAll(of connection: ConnectionID) {
        var index = firstOfConnection[connection]
        firstOfConnection[connection] = Self.noEntry
        while index != Self.noEntry {
            let next = entries[Int(index)].next
            take(index)
            index = next
        }
    }

    /// Changes the strategies, for the groups that are there too.
    public mutating func setStrategies(_ new: GroupStrategies) {
        strategies = new
        for index in strategyOfGroup.indices where groups.isUsed(UInt32(index)) {
            strategyOfGroup[index] = new.strategy(for: groups.text(UInt32(index)))
        }
    }

    /// Forgets what was found, for instance because the rules have changed.
    public mutating func forgetRoutes() {
        routes = RouteTable(capacity: routes.capacity)
        versions = TopicVersions()
    }

    /// Forgets the routes that have served their message, and some when there are too many. Between two events: references are not valid
    /// afterwards.
    @inline(__always)
    public mutating func trimRoutes() {
        if routes.hasToTrim { routes.trim { versions.count($0, isKept: false) } }
    }

    // MARK: Questions

    /// Subscriptions of one connection.
    public func count(of connection: ConnectionID) -> Int {
        var count = 0
        forEachEntry(of: connection) { _ in count += 1 }
        return count
    }

    /// The groups that a connection is in, each once.
    public func groups(of connection: ConnectionID) -> [String] {
        var found: [String] = []
        forEachEntry(of: connection) { index in
            let name = groups.text(entries[Int(index)].group)
            if !found.contains(name) { found.append(name) }
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
                    group: groups.text(entry.group), key: entry.key == Self.anyKey ? nil : keys.text(entry.key)))
        }
        return found
    }

    // MARK: Routes

    /// The route of a topic. `last` is tried first: a producer mostly repeats its topic.
    /// - Parameter rules: asked for the rules of a topic that is new.
    @inline(__always)
    public mutating func route(
        of topic: Bytes, last: RouteReference, rules: (Bytes) -> RuleSelection
    ) -> RouteReference {
        let at = Int(last.index)
        if routes.holds(topic, at: at), routes[at].changes == versions.changes {
            routes[at].isUsed = true
            return last
        }
        return findRoute(of: topic, rules: rules)
    }

    public func rules(of route: RouteReference) -> RuleSelection { routes[Int(route.index)].rules }

    public func standing(of route: RouteReference) -> StandingVerdict? { routes[Int(route.index)].standing }

    /// Keeps what rules have decided for all messages of a route's topic, until the routes are forgotten: those that pass them all
    /// are not asked again, and what the first of the others decided stands for all after it.
    public mutating func keep(_ outcome: MessageOutcome, for route: RouteReference) {
        let at = Int(route.index)
        routes[at].rules = routes[at].rules.subtracting(outcome.passing)
        guard outcome.isStanding, let rule = outcome.rule, routes[at].rules.first == Int(rule) else { return }
        if case .pass = outcome.verdict {
            routes[at].rules = .none
        } else {
            routes[at].standing = StandingVerdict(outcome)
        }
    }

    @inline(never)
    private mutating func findRoute(of topic: Bytes, rules: (Bytes) -> RuleSelection) -> RouteReference {
        let hash = ByteHash.of(topic)
        if let known = routes.find(topic, hash) {
            refresh(Int(known), topic, hash)
            return RouteReference(index: known)
        }
        guard TopicFilter.isTopic(topic) else { return .none }
        findMembers(of: topic, hash)
        let selection = rules(topic)
        // What is searched for long is kept at once.
        guard found.count > Self.fewMembers || routes.deserves(hash) else {
            let passing = routes.pass()
            fill(Int(passing), rules: selection, version: 0)
            return RouteReference(index: passing)
        }
        versions.count(topic, isKept: true)
        let kept = routes.keep(topic, hash)
        fill(Int(kept), rules: selection, version: versions.version(of: topic))
        return RouteReference(index: kept)
    }

    /// A route with more members than that is kept, even if the table of routes is full and the topic new.
    private static let fewMembers = 16

    /// Finds a route anew if the patterns that have come or gone since may have changed it.
    private mutating func refresh(_ at: Int, _ topic: Bytes, _ hash: UInt32) {
        routes[at].isUsed = true
        guard routes[at].changes != versions.changes else { return }
        let version = versions.version(of: topic)
        guard routes[at].version != version else {
            routes[at].changes = versions.changes
            return
        }
        findMembers(of: topic, hash)
        let (rules, standing) = (routes[at].rules, routes[at].standing)
        routes[at].removeAll()
        fill(at, rules: rules, version: version)
        routes[at].standing = standing
    }

    /// Puts into `found` the entries that take the topic, by group and time of joining.
    private mutating func findMembers(of topic: Bytes, _ hash: UInt32) {
        found.removeAll(keepingCapacity: true)
        matched.removeAll(keepingCapacity: true)
        if let literal = filters.find(topic, hash) { matched.append(literal) }
        wildcards.match(topic, reached: &reached, into: &matched)
        for filter in matched { members.append(filters[filter], to: &found) }
        guard found.count > 1 else { return }
        found.sort { [entries] left, right in
            let (a, b) = (Int(left), Int(right))
            return (entries[a].group, entries[a].id) < (entries[b].group, entries[b].id)
        }
    }

    /// Makes an empty route the one of the members found.
    private mutating func fill(_ at: Int, rules: RuleSelection, version: UInt32) {
        routes[at].changes = versions.changes
        routes[at].version = version
        routes[at].rules = rules
        if found.count == 1 { return append(found[0], to: at, isNewGroup: true) }
        var kept = Set<Share>()
        for place in found.indices where !repeats(found[place], &kept) { append(found[place], to: at, isNewGroup: false) }
        for place in 0..<routes[at].groups where !routes[at][place].members.isEmpty {
            level(routes[at][place].members)
            // Each topic begins with another member, so that topics of few messages are shared out too.
            let group = Int(routes[at][place].group)
            routes[at][place].singleOrTurn = turnOfGroup[group] % UInt32(routes[at][place].members.count)
            turnOfGroup[group] &+= 1
        }
    }

    @inline(__always)
    private mutating func append(_ index: UInt32, to at: Int, isNewGroup: Bool) {
        let (group, hasKey) = (entries[Int(index)].group, entries[Int(index)].key != Self.anyKey)
        routes[at].append(index, group: group, hasKey: hasKey, isNewGroup: isNewGroup)
    }

    /// Whether a route has the member already, by another filter of the same connection that takes the topic too: a member has one share.
    private func repeats(_ index: UInt32, _ kept: inout Set<Share>) -> Bool {
        let entry = entries[Int(index)]
        // Most connections have one subscription.
        guard entry.next != Self.noEntry || firstOfConnection[entry.connection] != index else { return false }
        return !kept.insert(Share(connection: entry.connection, group: entry.group, key: entry.key)).inserted
    }

    /// What a connection gets of a topic by one group and key, by however many filters.
    private struct Share: Hashable {
        var connection: ConnectionID
        var group: UInt32
        var key: UInt32
    }

    /// Brings new members to the level of the others, so that they are not flooded until they have caught up: to the least served of those
    /// that have been brought there before; where all are new, to the one that has stood longest, until they meet such.
    private mutating func level(_ members: ContiguousArray<UInt32>) {
        var least = UInt64.max
        var areNew = 0
        for member in members {
            if entries[Int(member)].isNew { areNew += 1 } else { least = min(least, entries[Int(member)].delivered) }
        }
        guard areNew > 0 else { return }
        let areAllNew = areNew == members.count
        if areAllNew { least = entries[Int(members[0])].delivered }
        for member in members where entries[Int(member)].isNew {
            entries[Int(member)].delivered = max(entries[Int(member)].delivered, least)
            entries[Int(member)].isNew = areAllNew
        }
    }

    /// Whether the connection is in the group by another subscription.
    private func hasAnother(in group: UInt32, _ connection: ConnectionID, than own: UInt32) -> Bool {
        var index = firstOfConnection[connection]
        while index != Self.noEntry {
            if index != own, entries[Int(index)].group == group { return true }
            index = entries[Int(index)].next
        }
        return false
    }

    /// A literal filter's new entry is put into its topic's route, so that a storm of subscribers costs no search each.
    private mutating func routesGained(_ index: UInt32, isNewGroup: Bool, isLevel: Bool) {
        let entry = entries[Int(index)]
        guard let known = literalRoute(of: entry.filter) else { return }
        // Every loop lists a group's members in the same order, whatever order it has heard of them in.
        let isInOrder = routes[known].lastMember(of: entry.group).map { entries[Int($0)].id < entry.id }
        guard isNewGroup || isInOrder == true, isLevel, !hasAnother(in: entry.group, entry.connection, than: index) else {
            return makeStale(known)
        }
        append(index, to: known, isNewGroup: isNewGroup)
    }

    private mutating func routesLost(_ index: UInt32) {
        let entry = entries[Int(index)]
        guard let known = literalRoute(of: entry.filter) else { return }
        guard !hasAnother(in: entry.group, entry.connection, than: index) else { return makeStale(known) }
        routes[known].remove(index, group: entry.group) { [entries] in entries[Int($0)].id < entry.id }
    }

    private mutating func makeStale(_ at: Int) {
        routes[at].version &-= 1
        routes[at].changes = versions.changes &- 1
    }

    /// The current route of a literal filter's topic; a pattern's change makes stale those that it may take instead.
    private mutating func literalRoute(of filter: UInt32) -> Int? {
        filters.withBytes(filter) { bytes in
            if TopicFilter.isPattern(bytes) {
                versions.changed(bytes)
                return nil
            }
            guard let known = routes.find(bytes, ByteHash.of(bytes)).map(Int.init) else { return nil }
            if routes[known].changes == versions.changes { return known }
            guard routes[known].version == versions.version(of: bytes) else { return nil }
            routes[known].changes = versions.changes
            return known
        }
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

    /// Takes an entry, already unlinked from its connection, out of everything else.
    private mutating func take(_ index: UInt32) {
        let entry = entries[Int(index)]
        routesLost(index)
        members.remove(from: &filters[entry.filter]) { [entries] in entries[Int($0)].id >= entry.id }
        if filters[entry.filter] == MemberLists.empty {
            filters.withBytes(entry.filter) { if TopicFilter.isPattern($0) { wildcards.remove($0) } }
            filters.remove(entry.filter)
        }
        groups.release(entry.group)
        if entry.key != Self.anyKey { keys.release(entry.key) }
        freeEntries.append(index)
        count -= 1
    }

    /// Where a new member starts: level with the least served of those with the same filter. Some of them tell that: in a storm of new ones,
    /// looking at all for each would take ever longer.
    /// - Returns: nil if there is none with this filter; then `level` finds it with the first route. `isNew` where all of them are.
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
