import Testing

@testable import ShuntCore

@Suite struct IndexCensusTests {
    private func index(_ subscriptions: [(filter: String, group: String)]) -> SubscriptionIndex {
        var index = SubscriptionIndex()
        for (number, one) in subscriptions.enumerated() {
            let connection = ConnectionID(loop: 0, slot: UInt32(number), generation: 1)
            let subscription = Subscription(
                id: SubscriptionID(raw: UInt64(number)), connection: connection, filter: one.filter, group: one.group, key: nil)
            let isNew = index.insert(subscription)
            #expect(isNew)
        }
        return index
    }

    /// - Returns: the census, and in how many turns it was taken.
    private func take(_ census: IndexCensus, of index: SubscriptionIndex) -> (census: IndexCensus, turns: Int) {
        var (census, turns) = (census, 0)
        while !census.isOver {
            index.look(&census)
            turns += 1
        }
        return (census, turns)
    }

    private static let some: [(filter: String, group: String)] = [
        ("a/#", "g"), ("a/#", "h"), ("a/1", "\u{0}own"), ("b", "\u{0}own"), ("b", "g"), ("b", "g"), ("$SYS/#", "\u{0}other"),
    ]

    struct Row: Sendable {
        var filter: String?
        var limit = 10
        var found: [String]
        var total: Int
        var subscriptions: Int
    }

    @Test(
        "Filters that are asked for come with their subscriptions, the most first",
        arguments: [
            Row(found: ["b 3", "a/# 2", "$SYS/# 1", "a/1 1"], total: 4, subscriptions: 7),
            Row(limit: 1, found: ["b 3"], total: 4, subscriptions: 7),
            Row(filter: "a/#", found: ["a/# 2", "a/1 1"], total: 2, subscriptions: 3),
            Row(filter: "#", found: ["b 3", "a/# 2", "a/1 1"], total: 3, subscriptions: 6),
            Row(filter: "x", found: [], total: 0, subscriptions: 0),
        ])
    func filters(_ row: Row) {
        let record = take(IndexCensus(.filters, .init(filter: row.filter, limit: row.limit)), of: index(Self.some)).census.filters
        #expect(record.filters.map { "\($0.filter) \($0.subscriptions)" } == row.found)
        #expect(record.total == row.total && record.subscriptions == row.subscriptions)
    }

    @Test("Groups that were given a name come with their subscriptions and strategy; a client's own group is none")
    func groups() {
        let record = take(IndexCensus(.groups, .init()), of: index(Self.some)).census.groups
        #expect(record.groups.map { "\($0.group) \($0.subscriptions) \($0.strategy)" } == ["g 3 least_delivered", "h 1 least_delivered"])
        #expect(record.total == 2 && record.subscriptions == 4)
    }

    @Test("Of the groups that are found it is told how many members are stuck or away, and of which filter one has been given far more")
    func members() throws {
        var index = index([("a", "g"), ("a", "g"), ("b", "g"), ("b", "g"), ("b", "g"), ("c", "h"), ("d", "\u{0}own")])
        func connection(_ slot: UInt32) -> ConnectionID { ConnectionID(loop: 0, slot: slot, generation: 1) }
        index.setPressure(.stuck, of: connection(1))
        index.setPressure(.absent, of: connection(3))
        func publish(_ topic: String, _ count: Int) {
            for _ in 0..<count {
                var chosen: ContiguousArray<Recipient> = []
                let topic = Array(topic.utf8)
                topic.withUnsafeBytes { bytes in
                    let route = index.route(of: bytes, last: .none) { _ in .none }
                    index.select(route, key: nil, into: &chosen)
                }
            }
        }
        publish("a", 7)
        publish("b", 10)
        index.removeAll(of: connection(5))
        let record = take(IndexCensus(.groups, .init()), of: index).census.groups
        let group = try #require(record.groups.first)
        #expect(record.groups.count == 1 && group.group == "g" && group.subscriptions == 5)
        #expect(group.stuck == 1 && group.absent == 1)
        #expect(group.uneven == .init(filter: "a", members: 2, delivered: 7, most: 7))
        #expect(group.uneven?.others == 0)
    }

    @Test("What members were given is added over the loops: what is uneven on one may be even on all")
    func loops() {
        let subscriptions: [(filter: String, group: String)] = [("a", "g"), ("a", "g"), ("b", "g"), ("b", "g"), ("c", "h")]
        // Another loop knows the same subscriptions, and may number their names in another way.
        var loops = [index(subscriptions), index([("z", "z")]), index(subscriptions)]
        func publish(_ topic: String, _ count: Int, on loop: Int) {
            for _ in 0..<count {
                var chosen: ContiguousArray<Recipient> = []
                topic.asBytes { bytes in
                    let route = loops[loop].route(of: bytes, last: .none) { _ in .none }
                    loops[loop].select(route, key: nil, into: &chosen)
                }
            }
        }
        func setAbsent(_ slot: UInt32, on loop: Int) {
            loops[loop].setPressure(.absent, of: ConnectionID(loop: 0, slot: slot, generation: 1))
        }
        // On the first loop all of `a` goes to one member, on the third to the other; `b` is uneven on the third.
        setAbsent(1, on: 0)
        publish("a", 100, on: 0)
        setAbsent(0, on: 2)
        publish("a", 90, on: 2)
        setAbsent(3, on: 2)
        publish("b", 30, on: 2)
        var census = IndexCensus(.groups, .init())
        var visited = 0
        repeat {
            while !census.isOver { loops[visited].look(&census) }
            visited += 1
        } while visited < loops.count && census.goOn()
        #expect(visited == 3)
        #expect(census.groups.groups.first { $0.group == "g" }?.uneven == .init(filter: "b", members: 2, delivered: 30, most: 30))
        var filters = IndexCensus(.filters, .init())
        while !filters.isOver { loops[0].look(&filters) }
        let goesOn = filters.goOn()
        #expect(!goesOn, "one loop knows all filters")
    }

    @Test("Very many filters take many turns, and those with the most are found wherever they stand; the answer stays small")
    func many() {
        var subscriptions = (0..<20_000).map { (filter: "filter/\($0)", group: "g") }
        for (place, more) in [(3, 2), (9_999, 5), (19_999, 1)] {
            subscriptions += Array(repeating: (filter: "filter/\(place)", group: "g"), count: more)
        }
        let (census, turns) = take(IndexCensus(.filters, .init(limit: 3)), of: index(subscriptions))
        #expect(turns == 5)
        #expect(census.filters.filters.map { "\($0.filter) \($0.subscriptions)" } == ["filter/9999 6", "filter/3 3", "filter/19999 2"])
        #expect(census.filters.total == 20_000 && census.filters.subscriptions == 20_008)
        let long = (0..<30).map { (filter: String(repeating: "x", count: 10_000) + "\($0)", group: "g") }
        let cut = take(IndexCensus(.filters, .init()), of: index(long)).census.filters
        #expect(cut.filters.count == 13 && cut.total == 30)
    }
}
