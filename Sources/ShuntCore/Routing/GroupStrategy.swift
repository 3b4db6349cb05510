/// How a consumer group chooses the member that gets a message.
public enum GroupStrategy: String, Sendable, CaseIterable {
    /// The member that has been given the fewest messages since it joined; ties in turn. Message-channel has this strategy alone.
    case leastDelivered = "least_delivered"
    /// Each in turn.
    case roundRobin = "round_robin"
    /// The same key goes to the same member while the members stay; messages without a key go in turn.
    case keyHash = "key_hash"
    /// The member that joined first gets all messages; the next one takes over when it leaves.
    case sticky
}

/// The strategies of a worker: one for all groups, and others for some by name.
public struct GroupStrategies: Equatable, Sendable {
    public var standard: GroupStrategy
    public var overrides: [String: GroupStrategy]

    public init(standard: GroupStrategy = .leastDelivered, overrides: [String: GroupStrategy] = [:]) {
        self.standard = standard
        self.overrides = overrides
    }

    public func strategy(for group: String) -> GroupStrategy { overrides[group] ?? standard }
}
