/// Finds and keeps the route of each topic.
extension SubscriptionIndex {
    /// The route of a topic. `last` is tried first: a producer mostly repeats its topic.
    /// - Parameter rules: asked for the rules of a topic that is new.
    @inline(__always)
    public mutating func route(
        of topic: Bytes, last: RouteReference, rules: (Bytes) -> RuleSelection
    ) -> RouteReference {
        let at = Int(last.index)
        if table.holds(topic, at: at), table.routes[at].changes == versions.changes {
            if !table.routes[at].isUsed { table.routes[at].isUsed = true }
            return last
        }
        return findRoute(of: topic, rules: rules)
    }

    // Mutating, so that the caller lends the index: otherwise Swift would copy it once a message, since it may change during the call.

    /// The rules that want the messages of a route.
    public mutating func rules(of route: RouteReference) -> RuleSelection { table.routes[Int(route.index)].rules }

    /// The standing decision of rules for all messages of a route's topic.
    public mutating func standing(of route: RouteReference) -> StandingVerdict? { table.routes[Int(route.index)].standing }

    /// Keeps the decisions of rules that hold for all messages of a route's topic, until the routes are forgotten. The router does not ask
    /// rules again that pass every message, and applies the standing decision of the first other rule without asking it.
    /// - Parameter rulesChoose: rules may choose members of groups: the topic stays one of rules, whatever these have decided.
    public mutating func keep(_ outcome: MessageOutcome, for route: RouteReference, rulesChoose: Bool) {
        let at = Int(route.index)
        table.routes[at].rules = table.routes[at].rules.subtracting(outcome.passing)
        guard outcome.isStanding, let rule = outcome.rule, table.routes[at].rules.first == Int(rule) else { return }
        if case .pass = outcome.verdict, !rulesChoose {
            table.routes[at].rules = .none
        } else {
            table.routes[at].standing = StandingVerdict(outcome)
            hasStanding = true
        }
    }

    @inline(never)
    private mutating func findRoute(of topic: Bytes, rules: (Bytes) -> RuleSelection) -> RouteReference {
        let hash = ByteHash.of(topic)
        if let known = table.find(topic, hash) {
            refresh(Int(known), topic, hash, rules)
            return RouteReference(index: known)
        }
        guard TopicFilter.isTopic(topic) else { return .none }
        findMembers(of: topic, hash)
        let selection = rules(topic)
        // A route that took a long search is kept at once.
        guard found.count > Self.fewMembers || table.deserves(hash) else {
            let passing = table.pass()
            fill(Int(passing), rules: selection, version: 0)
            return RouteReference(index: passing)
        }
        versions.count(topic, isKept: true)
        let kept = table.keep(topic, hash)
        fill(Int(kept), rules: selection, version: versions.version(of: topic))
        return RouteReference(index: kept)
    }

    /// A route with more members than this number is kept, even if the table of routes is full and the topic new.
    private static let fewMembers = 16

    /// Finds a route anew if the patterns that have come or gone since may have changed it.
    private mutating func refresh(_ at: Int, _ topic: Bytes, _ hash: UInt32, _ select: (Bytes) -> RuleSelection) {
        table.routes[at].isUsed = true
        guard table.routes[at].changes != versions.changes else { return }
        let version = versions.version(of: topic)
        guard table.routes[at].version != version else {
            table.routes[at].changes = versions.changes
            return
        }
        findMembers(of: topic, hash)
        let areRulesNew = table.routes[at].ruleChanges != ruleChanges
        let rules = areRulesNew ? select(topic) : table.routes[at].rules
        let standing = areRulesNew ? nil : table.routes[at].standing
        table.routes[at].removeAll()
        fill(at, rules: rules, version: version)
        table.routes[at].standing = standing
    }

    /// Puts the entries that take the topic into `found`, sorted by group and time of joining.
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

    /// Fills an empty route with the members in `found`.
    private mutating func fill(_ at: Int, rules: RuleSelection, version: UInt32) {
        table.routes[at].changes = versions.changes
        table.routes[at].version = version
        table.routes[at].ruleChanges = ruleChanges
        table.routes[at].rules = rules
        if found.count == 1 { return append(found[0], to: at, isNewGroup: true) }
        dropRepeats()
        for member in found { append(member, to: at, isNewGroup: false) }
        for place in 0..<table.routes[at].groups where !table.routes[at][place].members.isEmpty {
            level(table.routes[at][place].members)
            // Each topic begins with another member, so that topics of few messages are shared out too.
            let group = Int(table.routes[at][place].group)
            table.routes[at][place].singleOrTurn = turnOfGroup[group] % UInt32(table.routes[at][place].members.count)
            turnOfGroup[group] &+= 1
        }
    }

    @inline(__always)
    private mutating func append(_ index: UInt32, to at: Int, isNewGroup: Bool) {
        let (group, hasKey) = (entries[Int(index)].group, entries[Int(index)].key != Self.anyKey)
        table.routes[at].append(index, group: group, hasKey: hasKey, isNewGroup: isNewGroup)
    }

    /// Several filters of a connection may take the topic: a member has one share in a group, by the filter with the highest QoS.
    private mutating func dropRepeats() {
        var shares: [Share: UInt32] = [:]
        for member in found where hasSeveral(member) {
            let best = shares[share(of: member)]
            if best.map({ entries[Int(member)].terms.qos > entries[Int($0)].terms.qos }) ?? true { shares[share(of: member)] = member }
        }
        guard !shares.isEmpty else { return }
        var members: ContiguousArray<UInt32> = []
        swap(&members, &found)
        members.removeAll { hasSeveral($0) && shares[share(of: $0)] != $0 }
        swap(&members, &found)
    }

    /// Whether the connection of a member has other subscriptions; most have one.
    private func hasSeveral(_ member: UInt32) -> Bool {
        entries[Int(member)].next != Self.noEntry || firstOfConnection[entries[Int(member)].connection] != member
    }

    private func share(of member: UInt32) -> Share {
        let entry = entries[Int(member)]
        return Share(connection: entry.connection, group: entry.group, key: entry.key)
    }

    /// A connection's share of a topic in one group and with one key, however many of its filters take the topic.
    private struct Share: Hashable {
        var connection: ConnectionID
        var group: UInt32
        var key: UInt32
    }

    /// Raises the count of each new member to the count of the least served older member, so that `least_delivered` does not send it
    /// everything until it has caught up. If all members are new, they get the count of the first one, and stay new until they meet an
    /// older one.
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
        if !crowded.isEmpty, let crowd = crowded[connection] {
            // An entry that goes is not in it any more.
            let isIn = crowd.contains(own, filter: entries[Int(own)].filter, group: group, key: entries[Int(own)].key)
            return crowd.count(in: group) > (isIn ? 1 : 0)
        }
        var index = firstOfConnection[connection]
        while index != Self.noEntry {
            if index != own, entries[Int(index)].group == group { return true }
            index = entries[Int(index)].next
        }
        return false
    }

    /// Puts a literal filter's new entry into its topic's route, so that a storm of subscribers costs no search each.
    mutating func routesGained(_ index: UInt32, isNewGroup: Bool, isLevel: Bool) {
        let entry = entries[Int(index)]
        guard let known = literalRoute(of: entry.filter) else { return }
        // Every loop lists a group's members in the same order, in whatever order it has heard of them.
        let isInOrder = table.routes[known].lastMember(of: entry.group).map { entries[Int($0)].id < entry.id }
        guard isNewGroup || isInOrder == true, isLevel, !hasAnother(in: entry.group, entry.connection, than: index) else {
            return makeStale(known)
        }
        append(index, to: known, isNewGroup: isNewGroup)
    }

    mutating func routesLost(_ index: UInt32) {
        let entry = entries[Int(index)]
        guard let known = literalRoute(of: entry.filter) else { return }
        guard !hasAnother(in: entry.group, entry.connection, than: index) else { return makeStale(known) }
        table.routes[known].remove(index, group: entry.group) { [entries] in entries[Int($0)].id < entry.id }
    }

    private mutating func makeStale(_ at: Int) {
        table.routes[at].version &-= 1
        table.routes[at].changes = versions.changes &- 1
    }

    /// The current route of a literal filter's topic; a pattern's change makes stale those that it may take instead.
    private mutating func literalRoute(of filter: UInt32) -> Int? {
        filters.withBytes(filter) { bytes in
            if TopicFilter.isPattern(bytes) {
                versions.changed(bytes)
                return nil
            }
            guard let known = table.find(bytes, ByteHash.of(bytes)).map(Int.init) else { return nil }
            if table.routes[known].changes == versions.changes { return known }
            guard table.routes[known].version == versions.version(of: bytes) else { return nil }
            table.routes[known].changes = versions.changes
            return known
        }
    }
}
