/// What an operator is told of a topic's route.
public struct RouteInspection: Sendable {
    public struct Filter: Sendable {
        public var filter: String
        public var subscriptions: Int
    }

    public struct Group: Sendable {
        public var name: String
        public var strategy: GroupStrategy
        public var members: Int
        /// Whom this loop would choose next; nil where no member takes the key.
        public var chosen: ConnectionID?
    }

    public var filters: [Filter] = []
    /// Subscribers without a group that take the key: the first of them.
    public var plain: [ConnectionID] = []
    public var groups: [Group] = []
    public var recipients = 0
    /// Whether all of them have been looked at.
    public var isExact = true
}

extension SubscriptionIndex {
    /// Subscriptions that are looked at one by one for an operator. Beyond that their numbers are told, and the first.
    static let inspected = 10_000

    /// What there is for a topic, without a turn of any group and without a count. Takes no time in proportion to the clients.
    /// - Parameters:
    ///   - limit: clients and groups that are named.
    ///   - rules: as for `route`.
    public mutating func inspect(
        _ topic: Bytes, key: Bytes?, group only: String?, limit: Int, rules: (Bytes) -> RuleSelection
    ) -> RouteInspection {
        var inspection = RouteInspection()
        let hash = ByteHash.of(topic)
        matched.removeAll(keepingCapacity: true)
        if let literal = filters.find(topic, hash) { matched.append(literal) }
        wildcards.match(topic, reached: &reached, into: &matched)
        var total = 0
        for filter in matched {
            let count = members.count(filters[filter])
            guard count > 0 else { continue }
            total += count
            if inspection.filters.count < limit { inspection.filters.append(.init(filter: filters.text(filter), subscriptions: count)) }
        }
        let isKnown = table.find(topic, hash).map { table.routes[Int($0)].changes == versions.changes } ?? false
        guard isKnown || total <= Self.inspected else {
            countBeyond(matched, total, limit, &inspection)
            return inspection
        }
        let route = route(of: topic, last: .none, rules: rules)
        guard !route.isNone else { return inspection }
        look(at: Int(route.index), key, only, limit, &inspection)
        return inspection
    }

    private mutating func look(at: Int, _ key: Bytes?, _ only: String?, _ limit: Int, _ inspection: inout RouteInspection) {
        let wanted = key.flatMap { keys.find($0) }
        let count = table.routes[at].groups
        for place in 0..<min(count, Self.inspected) {
            let group = table.routes[at][place]
            let chosen = peek(group, key: key, number: wanted, hasKeys: table.routes[at].hasKeys)
            // A route for one message alone has taken a turn when it was made, and gives it back.
            if table.routes[at].topic == RouteTable.noTopic, !group.members.isEmpty { turnOfGroup[Int(group.group)] &-= 1 }
            if chosen != nil { inspection.recipients += 1 }
            let isOwn = groups.withBytes(group.group) { $0.first == 0 }
            if isOwn {
                if let chosen, only == nil, inspection.plain.count < limit { inspection.plain.append(chosen) }
                continue
            }
            let name = groups.text(group.group)
            guard inspection.groups.count < limit, only == nil || only == name else { continue }
            inspection.groups.append(
                .init(
                    name: name, strategy: strategyOfGroup[Int(group.group)], members: max(1, group.members.count),
                    chosen: chosen))
        }
        guard count > Self.inspected else { return }
        inspection.recipients += count - Self.inspected
        inspection.isExact = !table.routes[at].hasKeys
    }

    /// A topic that nobody has published of late, with more subscriptions than are looked at.
    private func countBeyond(_ matched: ContiguousArray<UInt32>, _ total: Int, _ limit: Int, _ inspection: inout RouteInspection) {
        inspection.recipients = total
        inspection.isExact = false
        for filter in matched {
            members.forEachUntil(filters[filter], limit: limit) { entry in
                if inspection.plain.count < limit { inspection.plain.append(entries[Int(entry)].connection) }
                return inspection.plain.count >= limit
            }
        }
    }

    /// The newest subscriptions of one connection.
    public func newestSubscriptions(of connection: ConnectionID, limit: Int) -> [Subscription] {
        var found: [Subscription] = []
        forEachEntry(of: connection) { index in
            guard found.count < limit else { return }
            let entry = entries[Int(index)]
            found.append(
                Subscription(
                    id: entry.id, connection: connection, filter: filters.text(entry.filter),
                    group: groups.text(entry.group), key: entry.key == Self.anyKey ? nil : keys.text(entry.key), terms: entry.terms))
        }
        return found
    }

    /// Filters that an operator may have meant: some of them, where there are very many.
    public func someFilters(_ limit: Int) -> [String] {
        var found: [String] = []
        for number in 0..<filters.end where filters.isUsed(number) {
            found.append(filters.text(number))
            if found.count >= limit { break }
        }
        return found
    }
}
