/// Which filters, or groups, of a worker are meant.
public struct SubscriptionQuestion: Codable, Equatable, Sendable {
    /// How many filters or groups an answer has where the question gives no limit, and how many it has at most.
    public static let (usualLimit, maximumLimit) = (100, 1_000)

    /// Only filters that this filter takes, as if they were topics; nil: all, also those that begin with `$`.
    public var filter: String?
    public var limit: Int?

    public init(filter: String? = nil, limit: Int? = nil) { (self.filter, self.limit) = (filter, limit) }
}

/// The topic filters of a worker that have the most subscriptions.
public struct SubscriptionsRecord: Codable, Equatable, Sendable {
    public struct Filter: Codable, Equatable, Sendable {
        public var filter: String
        public var subscriptions: Int

        public init(filter: String, subscriptions: Int) { (self.filter, self.subscriptions) = (filter, subscriptions) }
    }

    /// The most subscribed first.
    public var filters: [Filter]
    /// How many filters there are that were asked for, and how many subscriptions these have.
    public var total: Int
    public var subscriptions: Int

    public init(filters: [Filter], total: Int, subscriptions: Int) {
        (self.filters, self.total, self.subscriptions) = (filters, total, subscriptions)
    }
}

/// The consumer groups of a worker that have the most subscriptions.
public struct GroupsRecord: Codable, Equatable, Sendable {
    public struct Group: Codable, Equatable, Sendable {
        public var group: String
        /// ``GroupStrategy``'s raw value.
        public var strategy: String
        public var subscriptions: Int

        public init(group: String, strategy: String, subscriptions: Int) {
            (self.group, self.strategy, self.subscriptions) = (group, strategy, subscriptions)
        }
    }

    /// The largest first.
    public var groups: [Group]
    /// How many groups there are, and how many subscriptions they have.
    public var total: Int
    public var subscriptions: Int

    public init(groups: [Group], total: Int, subscriptions: Int) {
        (self.groups, self.total, self.subscriptions) = (groups, total, subscriptions)
    }
}
