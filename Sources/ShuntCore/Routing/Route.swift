/// The groups and rules that get the messages of one topic: found once, kept until the subscriptions change.
struct Route {
    /// Where its topic is in the routes' arena; `RouteTable.noTopic` where the route is for one message.
    var topic = RouteTable.noTopic
    /// The number of pattern changes (`changes`) up to which it is known to be right.
    var changes: UInt32 = 0
    /// Its topic's version among `TopicVersions` when it was found.
    var version: UInt32 = 0
    /// The number of changes of rules (`ruleChanges`) when they were asked for theirs.
    var ruleChanges: UInt32 = 0
    /// Whether any member takes only one key, so that members have to be looked at message by message.
    var hasKeys = false
    /// A message has taken it since it was made, or since the search for routes to give up last came by.
    var isUsed = false
    /// The rules that want messages of this topic.
    var rules = RuleSelection.none
    /// The standing decision of the first of them, for all messages of this topic.
    var standing: StandingVerdict?
    /// The first group: most topics have one, which takes no array.
    var first = RouteGroup.none
    /// The other groups, by their number.
    var others: ContiguousArray<RouteGroup> = []

    /// The groups that get the topic's messages.
    var groups: Int { first.isNone ? 0 : 1 + others.count }

    subscript(group: Int) -> RouteGroup {
        @inline(__always) _read {
            if group == 0 { yield first } else { yield others[group - 1] }
        }
        @inline(__always) _modify {
            if group == 0 { yield &first } else { yield &others[group - 1] }
        }
    }
}

/// One consumer group of a route. Most groups have one member, which is kept in place.
struct RouteGroup {
    var group: UInt32
    /// The entry of the only member; with several, the place of the turn in `members`.
    var singleOrTurn: UInt32
    /// A number of deliveries that every member has surely had, so that the search for the least can stop early.
    var floor: UInt64 = 0
    /// The entries of several members, longest-standing first; empty with one member.
    var members: ContiguousArray<UInt32> = []

    static let none = RouteGroup(group: .max, singleOrTurn: 0)
    var isNone: Bool { group == .max }
}

/// A route's place in the index; stays valid until the index trims its routes, and is checked later.
public struct RouteReference: Equatable, Sendable {
    @usableFromInline var index: UInt32
    public static let none = RouteReference(index: .max)
    /// No route: the text that was looked up is not a topic that a message can have.
    @inlinable public var isNone: Bool { index == .max }
}

extension Route {
    /// Forgets its groups and the decisions of rules, but not its topic.
    mutating func removeAll() {
        hasKeys = false
        isUsed = false
        first = .none
        if !others.isEmpty { others = [] }
        rules = .none
        if standing != nil { standing = nil }
    }

    /// Adds a member whose group is the last one of the route, or comes after it.
    mutating func append(_ entry: UInt32, group: UInt32, hasKey: Bool, isNewGroup: Bool) {
        if hasKey { hasKeys = true }
        let last = groups - 1
        guard !isNewGroup, last >= 0, self[last].group == group else {
            let added = RouteGroup(group: group, singleOrTurn: entry)
            if first.isNone { first = added } else { others.append(added) }
            return
        }
        if self[last].members.isEmpty {
            self[last].members = [self[last].singleOrTurn]
            self[last].singleOrTurn = 0
        }
        self[last].members.append(entry)
    }

    /// The newest member of a group, if that is the last one.
    func lastMember(of group: UInt32) -> UInt32? {
        let last = groups - 1
        guard last >= 0, self[last].group == group else { return nil }
        return self[last].members.last ?? self[last].singleOrTurn
    }

    /// - Parameter precedes: whether a member stands before the one that is removed.
    mutating func remove(_ entry: UInt32, group: UInt32, precedes: (UInt32) -> Bool) {
        guard let at = (0..<groups).first(where: { self[$0].group == group }) else { return }
        if self[at].members.isEmpty {
            guard self[at].singleOrTurn == entry else { return }
            if at > 0 {
                others.remove(at: at - 1)
            } else {
                first = others.isEmpty ? .none : others.removeFirst()
            }
            return
        }
        var (low, high) = (0, self[at].members.count)
        while low < high {
            let middle = (low + high) / 2
            if precedes(self[at].members[middle]) { low = middle + 1 } else { high = middle }
        }
        if low < self[at].members.count, self[at].members[low] == entry { self[at].members.remove(at: low) }
        self[at].singleOrTurn = 0
        if self[at].members.count == 1 {
            self[at].singleOrTurn = self[at].members[0]
            self[at].members = []
        }
    }
}
