/// Where messages of one topic go: found once, kept until the subscriptions change.
public struct Route {
    var topic: ContiguousArray<UInt8>
    /// The index's `patternVersion` that this was found under.
    var version: UInt32
    /// Whether any member takes only one key, so that members have to be looked at message by message.
    var hasKeys = false
    var groups: ContiguousArray<RouteGroup> = []
    /// The rules that want messages of this topic.
    public var rules: RuleSelection
    /// What the first of them has decided for all messages of this topic.
    var standing: StandingVerdict?
}

/// One consumer group of a route. Most groups have one member, which is kept in place.
struct RouteGroup {
    var group: UInt32
    /// The entry of the only member; with several, the place of the turn in `members`.
    var singleOrTurn: UInt32
    /// What has surely been delivered to every member, so that the search for the least can stop early.
    var floor: UInt64 = 0
    /// The entries of several members, longest-standing first; empty with one member.
    var members: ContiguousArray<UInt32> = []
}

/// A route's place in the index; stays valid, and is checked, across changes.
public struct RouteReference: Equatable, Sendable {
    @usableFromInline var index: UInt32
    public static let none = RouteReference(index: .max)
    /// No route: what was looked up is no topic that a message can have.
    @inlinable public var isNone: Bool { index == .max }
}
