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
        /// The next entry of the same connection; `noEntry` ends.
        var next: UInt32
        /// How far its connection's out-buffer has filled up.
        var pressure = ConsumerPressure.none
        /// Producers wait for its connection while that is congested.
        var holds = false
        /// It has joined, and `delivered` is not yet brought to the level of the members that it shares messages with.
        var isNew = false

        var isCongested: Bool { pressure != .none }
        var mustHold: Bool { holds && pressure == .congested }
    }

    static let noEntry = UInt32.max
    static let anyKey = UInt32.max
    /// Routes kept from one event to the next; beyond it they are found anew.
    public static let routeCapacity = 65_536

    var entries: ContiguousArray<Entry> = []
    private var freeEntries: ContiguousArray<UInt32> = []
    /// The first entry of each connection, by its loop and slot.
    private(set) var firstOfConnection = ConnectionTable()

    var filters = BytePool()
    /// The entries of each filter, longest-standing first.
    var membersOfFilter: ContiguousArray<FilterMembers> = []
    private var wildcards = WildcardTree()
    var groups = BytePool()
    private(set) var strategyOfGroup: ContiguousArray<GroupStrategy> = []
    var slowPolicyOfGroup: ContiguousArray<SlowConsumerPolicy> = []
    /// Where the next route that is made begins with each group's turns.
    private var turnOfGroup: ContiguousArray<UInt32> = []
    var keys = BytePool()

    var routes: ContiguousArray<Route> = []
    private var routeTable = ByteTable()
    /// Counts the changes that may touch any topic.
    private var patternVersion: UInt32 = 0

    private var strategies: GroupStrategies
    var slowPolicies: SlowConsumerPolicies
    /// The congested member that `select` chose last and that the message's producer must wait for; `none` after it was taken.
    public var blocker = ConnectionID.none

    public init(strategies: GroupStrategies = .init(), slowPolicies: SlowConsumerPolicies = .init()) {
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
        let (group, isNewGroup) = groups.enter(subscription.group)
        let key = subscription.key.map { keys.enter($0).index } ?? Self.anyKey
        if isNewFilter {
            if Int(filter) == membersOfFilter.count { membersOfFilter.append(FilterMembers()) }
            if TopicFilter.isPattern(subscription.filter) {
                filters.withBytes(filter) { wildcards.insert($0, filter: filter) }
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
        let entry = Entry(
            id: subscription.id, connection: subscription.connection, delivered: level?.0 ?? 0, filter: filter, group: group,
            key: key, next: next, pressure: next == Self.noEntry ? .none : entries[Int(next)].pressure,
            isNew: level?.isNew ?? true)
        let index = place(entry)
        firstOfConnection[subscription.connection] = index
        membersOfFilter[Int(filter)].insert(index) { entries[Int($0)].id < entries[Int($1)].id }
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
        for index in strategyOfGroup.indices where groups.uses(of: UInt32(index)) > 0 {
            strategyOfGroup[index] = new.strategy(for: groups.text(UInt32(index)))
        }
    }

    /// Forgets what was found, for instance because the rules have changed.
    public mutating func forgetRoutes() {
        routes.removeAll()
        routeTable.removeAll()
    }

    /// Forgets the routes when there are too many. Between two events: references are not valid afterwards.
    public mutating func trimRoutes() {
        if routes.count > Self.routeCapacity { forgetRoutes() }
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
        if at < routes.count, equal(routes[at].topic, topic), routes[at].version == patternVersion { return last }
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
        let hash = ByteTable.hash(topic)
        if let known = routeTable.find(hash, matches: { equal(routes[$0].topic, topic) }) {
            if routes[known].version != patternVersion {
                let (selection, standing) = (routes[known].rules, routes[known].standing)
                routes[known] = makeRoute(topic, rules: selection)
                routes[known].standing = standing
            }
            return RouteReference(index: UInt32(known))
        }
        guard TopicFilter.isTopic(topic) else { return .none }
        routes.append(makeRoute(topic, rules: rules(topic)))
        routeTable.insert(hash, routes.count - 1)
        return RouteReference(index: UInt32(routes.count - 1))
    }

    private mutating func makeRoute(_ topic: Bytes, rules: RuleSelection) -> Route {
        var route = Route(topic: ContiguousArray(topic), version: patternVersion, rules: rules)
        var found: ContiguousArray<UInt32> = []
        if let literal = filters.find(topic) {
            membersOfFilter[Int(literal)].forEach { found.append($0) }
        }
        wildcards.match(topic) { filter in membersOfFilter[Int(filter)].forEach { found.append($0) } }
        found.sort { left, right in
            let (a, b) = (entries[Int(left)], entries[Int(right)])
            return (a.group, a.id) < (b.group, b.id)
        }
        var kept = Set<Share>()
        for index in found where !repeats(index, &kept) { route.append(index, entries[Int(index)], isNewGroup: false) }
        for place in route.groups.indices where !route.groups[place].members.isEmpty {
            level(route.groups[place].members)
            // Each topic begins with another member, so that topics of few messages are shared out too.
            let group = Int(route.groups[place].group)
            route.groups[place].singleOrTurn = turnOfGroup[group] % UInt32(route.groups[place].members.count)
            turnOfGroup[group] &+= 1
        }
        return route
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
            routes[known].version = patternVersion &- 1
            return
        }
        routes[known].append(index, entry, isNewGroup: isNewGroup)
    }

    private mutating func routesLost(_ index: UInt32) {
        let entry = entries[Int(index)]
        guard let known = literalRoute(of: entry.filter) else { return }
        guard !hasAnother(in: entry.group, entry.connection, than: index) else {
            routes[known].version = patternVersion &- 1
            return
        }
        routes[known].remove(index, group: entry.group) { entries[Int($0)].id < entry.id }
    }

    /// The current route of a literal filter's topic; a pattern's change makes all routes stale instead.
    private mutating func literalRoute(of filter: UInt32) -> Int? {
        filters.withBytes(filter) { bytes in
            if TopicFilter.isPattern(bytes) {
                patternVersion &+= 1
                return nil
            }
            let known = routeTable.find(ByteTable.hash(bytes)) { equal(routes[$0].topic, bytes) }
            return known.flatMap { routes[$0].version == patternVersion ? $0 : nil }
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
        membersOfFilter[Int(entry.filter)].remove { entries[Int($0)].id >= entry.id }
        if filters.uses(of: entry.filter) == 1 {
            filters.withBytes(entry.filter) { if TopicFilter.isPattern($0) { wildcards.remove($0) } }
        }
        _ = filters.leave(entry.filter)
        _ = groups.leave(entry.group)
        if entry.key != Self.anyKey { _ = keys.leave(entry.key) }
        freeEntries.append(index)
        count -= 1
    }

    /// Where a new member starts: level with the least served of those with the same filter. Some of them tell that: in a storm of new ones,
    /// looking at all for each would take ever longer.
    /// - Returns: nil if there is none with this filter; then `level` finds it with the first route. `isNew` where all of them are.
    private func leastDelivered(filter: UInt32, group: UInt32) -> (UInt64, isNew: Bool)? {
        var least: (UInt64, isNew: Bool)?
        var seen = 0
        membersOfFilter[Int(filter)].forEachUntil(limit: 4096) { index in
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

extension Route {
    mutating func append(_ index: UInt32, _ entry: SubscriptionIndex.Entry, isNewGroup: Bool) {
        if entry.key != SubscriptionIndex.anyKey { hasKeys = true }
        if !isNewGroup, isLast(entry.group) {
            let last = groups.count - 1
            if groups[last].members.isEmpty {
                groups[last].members = [groups[last].singleOrTurn]
                groups[last].singleOrTurn = 0
            }
            groups[last].members.append(index)
        } else {
            groups.append(RouteGroup(group: entry.group, singleOrTurn: index))
        }
    }

    func isLast(_ group: UInt32) -> Bool { groups.last?.group == group }

    /// The newest member of a group, if that is the last one.
    func lastMember(of group: UInt32) -> UInt32? {
        guard let last = groups.last, last.group == group else { return nil }
        return last.members.last ?? last.singleOrTurn
    }

    /// - Parameter precedes: whether a member stands before the one that is removed.
    mutating func remove(_ index: UInt32, group: UInt32, precedes: (UInt32) -> Bool) {
        guard let at = groups.firstIndex(where: { $0.group == group }) else { return }
        if groups[at].members.isEmpty {
            guard groups[at].singleOrTurn == index else { return }
            groups.remove(at: at)
            return
        }
        var (low, high) = (0, groups[at].members.count)
        while low < high {
            let middle = (low + high) / 2
            if precedes(groups[at].members[middle]) { low = middle + 1 } else { high = middle }
        }
        if low < groups[at].members.count, groups[at].members[low] == index { groups[at].members.remove(at: low) }
        groups[at].singleOrTurn = 0
        if groups[at].members.count == 1 {
            groups[at].singleOrTurn = groups[at].members[0]
            groups[at].members = []
        }
    }
}

extension BytePool {
    func find(_ text: String) -> UInt32? {
        var text = text
        return text.withUTF8 { find(Bytes($0)) }
    }

    mutating func enter(_ text: String) -> (index: UInt32, isNew: Bool) {
        var text = text
        return text.withUTF8 { enter(Bytes($0)) }
    }
}
