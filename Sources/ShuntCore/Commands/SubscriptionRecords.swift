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
        /// Subscriptions whose client reads too slowly for anybody to wait for it, and those whose client is away; nil where a worker does not
        /// tell.
        public var stuck: Int?
        public var absent: Int?
        /// The filter whose messages go most unevenly to its members; nil where no filter has several members.
        public var uneven: Share?

        public init(group: String, strategy: String, subscriptions: Int, stuck: Int? = nil, absent: Int? = nil, uneven: Share? = nil) {
            (self.group, self.strategy, self.subscriptions) = (group, strategy, subscriptions)
            (self.stuck, self.absent, self.uneven) = (stuck, absent, uneven)
        }
    }

    /// How the messages of one filter were divided among a group's members, on all loops of the worker. A member that has joined later began with
    /// as many as the one that had the fewest.
    public struct Share: Codable, Equatable, Sendable {
        public var filter: String
        public var members: Int
        /// Messages of all members, and of the one that has the most.
        public var delivered: Int
        public var most: Int

        public init(filter: String, members: Int, delivered: Int, most: Int) {
            (self.filter, self.members, self.delivered, self.most) = (filter, members, delivered, most)
        }

        /// The mean of what the other members were given.
        public var others: Int { members > 1 ? (delivered - most) / (members - 1) : 0 }
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
