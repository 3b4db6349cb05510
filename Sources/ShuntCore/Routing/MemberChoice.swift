extension SubscriptionIndex {
    /// Chooses one member of each group of the route and counts the delivery.
    /// - Parameter chosen: its contents are replaced by one recipient for each group.
    public mutating func select(
        _ reference: RouteReference, key: Bytes?, into chosen: inout ContiguousArray<Recipient>
    ) {
        let at = Int(reference.index)
        if table.routes[at].hasKeys {
            chosen.removeAll(keepingCapacity: true)
            return selectByKey(at, key: key, into: &chosen)
        }
        // There are mostly as many as last time: to write over them costs less than to empty and fill.
        let groups = table.routes[at].groups
        if chosen.count != groups {
            chosen.removeAll(keepingCapacity: true)
            chosen.append(contentsOf: repeatElement(Recipient(.none), count: groups))
        }
        guard groups > 0 else { return }
        chosen[0] =
            table.routes[at].first.members.isEmpty
            ? count(Int(table.routes[at].first.singleOrTurn)) : choose(route: at, group: 0, key: key)
        for group in 1..<groups {
            chosen[group] =
                table.routes[at].others[group - 1].members.isEmpty
                ? count(Int(table.routes[at].others[group - 1].singleOrTurn)) : choose(route: at, group: group, key: key)
        }
    }

    /// The same for some groups of the route alone.
    public mutating func select(
        _ reference: RouteReference, key: Bytes?, groups names: Set<String>, into chosen: inout ContiguousArray<Recipient>
    ) {
        chosen.removeAll(keepingCapacity: true)
        let at = Int(reference.index)
        for place in 0..<table.routes[at].groups where names.contains(groups.text(table.routes[at][place].group)) {
            let isSingle = table.routes[at][place].members.isEmpty
            chosen.append(isSingle ? count(Int(table.routes[at][place].singleOrTurn)) : choose(route: at, group: place, key: key))
        }
    }

    /// Counts a delivery to the member of an entry.
    @inline(__always)
    mutating func count(_ entry: Int) -> Recipient {
        entries[entry].countDelivery()
        if entries[entry].mustHold { blocker = entries[entry].connection }
        return entries[entry].recipient
    }

    /// The choice where members take one key only: of each group, the members that take this key.
    @inline(never)
    private mutating func selectByKey(_ at: Int, key: Bytes?, into chosen: inout ContiguousArray<Recipient>) {
        let wanted = key.flatMap { keys.find($0) }
        for place in 0..<table.routes[at].groups {
            if let recipient = chooseByKey(at, place, key: key, wanted) { chosen.append(recipient) }
        }
    }

    /// The choice of one group; nil where no member takes the key.
    mutating func chooseByKey(_ at: Int, _ place: Int, key: Bytes?, _ wanted: UInt32?) -> Recipient? {
        let all = table.routes[at][place]
        let isSingle = all.members.isEmpty
        var takers = RouteGroup(group: all.group, singleOrTurn: 0, floor: all.floor)
        if isSingle {
            if takes(all.singleOrTurn, wanted) { takers.members.append(all.singleOrTurn) }
        } else {
            for member in all.members where takes(member, wanted) { takers.members.append(member) }
        }
        guard !takers.members.isEmpty else { return nil }
        // The whole group's turn, as a place among the takers.
        takers.singleOrTurn = isSingle ? 0 : all.singleOrTurn % UInt32(takers.members.count)
        let recipient = choose(&takers, key: key)
        if !isSingle { table.routes[at][place].singleOrTurn = takers.singleOrTurn }
        return recipient
    }

    /// The member that gets a message in the place of the chosen one of its group, whose protocol has no form for it: of those that speak
    /// another, by the group's strategy.
    /// - Parameters:
    ///   - place: where the chosen one stands among those of all groups.
    ///   - names: the groups that were chosen of; nil: all.
    public mutating func standIn(
        for chosen: Recipient, at place: Int, _ reference: RouteReference, key: Bytes?, groups names: Set<String>?
    ) -> Recipient? {
        let at = Int(reference.index)
        let wanted = key.flatMap { keys.find($0) }
        var before = place
        for number in 0..<table.routes[at].groups {
            let group = table.routes[at][number]
            if let names, !names.contains(groups.text(group.group)) { continue }
            let all: ContiguousArray<UInt32> = group.members.isEmpty ? [group.singleOrTurn] : group.members
            let takers = table.routes[at].hasKeys ? all.filter { takes($0, wanted) } : all
            if takers.isEmpty { continue }
            guard before == 0 else {
                before -= 1
                continue
            }
            if let entry = takers.first(where: { entries[Int($0)].recipient == chosen }), entries[Int(entry)].delivered > 0 {
                entries[Int(entry)].delivered -= 1
            }
            var others = RouteGroup(group: group.group, singleOrTurn: 0, floor: group.floor)
            others.members = takers.filter { (entries[Int($0)].recipient.terms.form == .exchange) != (chosen.terms.form == .exchange) }
            guard !others.members.isEmpty else { return nil }
            others.singleOrTurn = group.singleOrTurn % UInt32(others.members.count)
            return choose(&others, key: key)
        }
        return nil
    }

    func takes(_ member: UInt32, _ key: UInt32?) -> Bool {
        let own = entries[Int(member)].key
        return own == Self.anyKey || own == key
    }

    mutating func choose(route: Int, group: Int, key: Bytes?) -> Recipient {
        // Taken out and put back, so that the members aren't copied when the turn changes.
        var chosen = RouteGroup(group: 0, singleOrTurn: 0)
        swap(&chosen, &table.routes[route][group])
        defer { swap(&chosen, &table.routes[route][group]) }
        return choose(&chosen, key: key)
    }

    private mutating func choose(_ group: inout RouteGroup, key: Bytes?) -> Recipient { count(Int(group.members[place(in: &group, key: key)])) }

    @inline(__always)
    private func place(in group: inout RouteGroup, key: Bytes?) -> Int {
        switch strategyOfGroup[Int(group.group)] {
        case .leastDelivered: return leastDelivered(&group)
        case .roundRobin: return nextInTurn(&group)
        case .keyHash:
            if let key { return byHash(of: key, group.members) } else { return nextInTurn(&group) }
        case .sticky: return group.members.firstIndex { !entries[Int($0)].isAbsent } ?? 0
        }
    }

    /// The member that would be chosen; nothing is counted, and the turn stays.
    /// - Parameter number: the key's among `keys`.
    func peek(_ group: RouteGroup, key: Bytes?, number: UInt32?, hasKeys: Bool) -> ConnectionID? {
        var group = group
        if hasKeys {
            let all: ContiguousArray<UInt32> = group.members.isEmpty ? [group.singleOrTurn] : group.members
            let takers = ContiguousArray(all.filter { takes($0, number) })
            guard !takers.isEmpty else { return nil }
            group.singleOrTurn = group.members.isEmpty ? 0 : group.singleOrTurn % UInt32(takers.count)
            group.members = takers
        }
        guard !group.members.isEmpty else { return entries[Int(group.singleOrTurn)].connection }
        return entries[Int(group.members[place(in: &group, key: key)])].connection
    }

    private func nextInTurn(_ group: inout RouteGroup) -> Int {
        let count = group.members.count
        let start = Int(group.singleOrTurn) % count
        var place = start
        var inNeed = -1
        while entries[Int(group.members[place])].isCongested {
            if inNeed < 0 || entries[Int(group.members[place])].pressure < entries[Int(group.members[inNeed])].pressure { inNeed = place }
            place = (place + 1) % count
            if place == start {
                // All are congested: a member that still reads is preferred, then one that is there.
                place = inNeed
                break
            }
        }
        group.singleOrTurn = UInt32((place + 1) % count)
        return place
    }

    /// Starts at the turn, and takes the first member that has no more than the floor; a whole round without such a member raises the
    /// floor.
    private func leastDelivered(_ group: inout RouteGroup) -> Int {
        let count = group.members.count
        var place = Int(group.singleOrTurn) % count
        var best = -1
        var least = UInt64.max
        for _ in 0..<count {
            let entry = entries[Int(group.members[place])]
            if !entry.isCongested, entry.delivered < least {
                best = place
                least = entry.delivered
                if least <= group.floor { break }
            }
            place = place + 1 == count ? 0 : place + 1
        }
        if best < 0 { return nextInTurn(&group) }
        if least > group.floor { group.floor = least }
        group.singleOrTurn = UInt32(best + 1 == count ? 0 : best + 1)
        return best
    }

    /// Rendezvous hashing: when a member comes or goes, only the keys that it gains or loses move.
    private func byHash(of key: Bytes, _ members: ContiguousArray<UInt32>) -> Int {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in key { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        var best = 0
        var most: UInt64 = 0
        let isAnyThere = members.contains { !entries[Int($0)].isAbsent }
        for (place, member) in members.enumerated() where !isAnyThere || !entries[Int(member)].isAbsent {
            let score = Self.mix(hash ^ Self.mix(entries[Int(member)].id.raw))
            if score >= most {
                most = score
                best = place
            }
        }
        return best
    }

    /// The finaliser of splitmix64: every bit of the input moves half of the output.
    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9e37_79b9_7f4a_7c15
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
