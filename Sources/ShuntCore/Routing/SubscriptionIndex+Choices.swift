/// A consumer group of a route that has to choose, and who may be chosen.
public struct GroupChoice {
    public let group: String
    /// At most `SubscriptionIndex.mostCandidates`, from the one on whose turn it is.
    public let members: [GroupMember]
    /// The group's place in the route, and the members' entries.
    fileprivate let place: Int
    fileprivate let entries: ArraySlice<UInt32>
    /// The chosen one, by its place among the members; nil: by the group's strategy.
    public var chosen: Int?
}

/// The choice where rules have a say.
extension SubscriptionIndex {
    public static let mostCandidates = 1000

    /// The groups of a route with several members who may get a message of this key.
    /// - Parameter names: nil: all groups.
    public func choices(_ reference: RouteReference, key: Bytes?, groups names: Set<String>?) -> [GroupChoice] {
        let route = table.routes[Int(reference.index)]
        let wanted = key.flatMap { keys.find($0) }
        return (0..<route.groups).compactMap { place in
            let members = takers(of: route, place, wanted)
            guard members.count > 1 else { return nil }
            let name = groups.text(route[place].group)
            // A client's own group: whichever of its filters it is.
            guard name.utf8.first != 0, names?.contains(name) ?? true else { return nil }
            let turn = Int(route[place].singleOrTurn) % members.count
            let inTurn = (members[turn...] + members[..<turn]).prefix(Self.mostCandidates)
            let candidates = inTurn.map { entry in
                let entry = entries[Int(entry)]
                return GroupMember(id: entry.connection, delivered: entry.delivered, isCongested: entry.isCongested, isAbsent: entry.isAbsent)
            }
            return GroupChoice(group: name, members: candidates, place: place, entries: inTurn)
        }
    }

    private func takers(of route: Route, _ place: Int, _ wanted: UInt32?) -> ContiguousArray<UInt32> {
        let members = route[place].members
        guard route.hasKeys else { return members }
        return members.filter { takes($0, wanted) }
    }

    /// As `select`, with what rules have chosen.
    public mutating func select(
        _ reference: RouteReference, key: Bytes?, groups names: Set<String>?, _ choices: [GroupChoice], into chosen: inout ContiguousArray<Recipient>
    ) {
        chosen.removeAll(keepingCapacity: true)
        let at = Int(reference.index)
        let wanted = key.flatMap { keys.find($0) }
        for place in 0..<table.routes[at].groups {
            if let names, !names.contains(groups.text(table.routes[at][place].group)) { continue }
            if let choice = choices.first(where: { $0.place == place }), let member = choice.chosen, choice.members.indices.contains(member) {
                chosen.append(count(Int(choice.entries[choice.entries.startIndex + member])))
            } else if let recipient = choose(at, place, key: key, wanted) {
                chosen.append(recipient)
            }
        }
    }

    private mutating func choose(_ at: Int, _ place: Int, key: Bytes?, _ wanted: UInt32?) -> Recipient? {
        guard table.routes[at].hasKeys else {
            let isSingle = table.routes[at][place].members.isEmpty
            return isSingle ? count(Int(table.routes[at][place].singleOrTurn)) : choose(route: at, group: place, key: key)
        }
        return chooseByKey(at, place, key: key, wanted)
    }
}
