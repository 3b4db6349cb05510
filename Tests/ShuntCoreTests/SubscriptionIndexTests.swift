import SeededRandom
import Testing

@testable import ShuntCore

@Suite("The subscription index")
struct SubscriptionIndexTests {
    @Test("Each group whose filter takes the topic gets the message once")
    func oneMemberAGroup() {
        let index = Index()
        index.add(1, "orders/1", "a")
        index.add(2, "orders/+", "b")
        index.add(3, "#", "c")
        index.add(4, "orders/2", "d")
        #expect(index.send("orders/1").sorted() == [1, 2, 3])
        #expect(index.send("orders/2").sorted() == [2, 3, 4])
        #expect(index.send("other") == [3])
    }

    @Test("A group is one group, whatever filters its members used (§10.2)")
    func groupAcrossFilters() {
        let index = Index()
        index.add(1, "orders/1", "g")
        index.add(2, "orders/+", "g")
        #expect((0..<10).map { _ in index.send("orders/1")[0] } == [1, 2, 1, 2, 1, 2, 1, 2, 1, 2])
    }

    @Test("A subscription with a key takes messages with that key; one without takes all")
    func keys() {
        let index = Index()
        index.add(1, "t", "a", key: "k")
        index.add(2, "t", "b")
        #expect(index.send("t", key: "k") == [1, 2])
        #expect(index.send("t", key: "other") == [2])
        #expect(index.send("t") == [2])
        #expect(index.send("t", key: "") == [2])
    }

    @Test("Within a group, only members that take the key are chosen, in turn")
    func keysWithinGroup() {
        let index = Index(strategies: GroupStrategies(standard: .roundRobin))
        index.add(1, "t", "g", key: "k")
        index.add(2, "t", "g", key: "k")
        index.add(3, "t", "g", key: "x")
        #expect(Set((0..<4).map { _ in index.send("t", key: "k")[0] }) == [1, 2])
        #expect(index.send("t", key: "x") == [3])
        #expect(index.send("t") == [])
    }

    @Test("The same filter, group and key twice on a connection is refused; other tuples are not")
    func duplicates() {
        let index = Index()
        #expect(index.add(1, "t", "g"))
        #expect(!index.add(1, "t", "g"))
        #expect(index.add(1, "t", "g", key: "k"))
        #expect(index.add(1, "t", "h"))
        #expect(index.add(2, "t", "g"))
        #expect(index.count == 4)
    }

    @Test("Filters that only look the same are two, each with its own subscribers")
    func exactLevels() {
        let index = Index()
        index.add(1, "caf\u{e9}/+", "a")
        index.add(2, "cafe\u{301}/+", "b")
        #expect(index.send("caf\u{e9}/1") == [1])
        #expect(index.send("cafe\u{301}/1") == [2])
        index.removeAll(of: client(2))
        #expect(index.send("caf\u{e9}/1") == [1])
    }

    @Test("Every loop names the same member of a sticky group, in whatever order it has heard of them")
    func sameOwner() {
        let loops = [[1, 2], [2, 1]].map { order in
            let index = Index(strategies: GroupStrategies(standard: .sticky))
            _ = index.send("t")
            for number in order { index.add(number, "t", "g", order: number) }
            return index
        }
        #expect(loops.map { $0.send("t") } == [[1], [1]])
        for loop in loops { loop.removeAll(of: client(1)) }
        #expect(loops.map { $0.send("t") } == [[2], [2]])
    }

    @Test("A large group that its members join and leave one by one serves those who are there")
    func largeGroup() {
        let index = Index()
        for number in 1...5000 { index.add(number, "t", "g", order: number) }
        _ = index.send("t")
        for number in 1...5000 where number % 5 != 0 { index.removeAll(of: client(number)) }
        #expect(Set(index.tally("t", 1000).keys) == Set((1...5000).filter { $0 % 5 == 0 }))
        #expect(index.count == 1000)
    }

    @Test("What was taken out gets nothing any more, also on routes that were found before")
    func removal() {
        let index = Index()
        index.add(1, "t", "a")
        index.add(2, "t", "b")
        index.add(3, "+", "c")
        #expect(index.send("t").sorted() == [1, 2, 3])
        #expect(index.remove(connection: client(1), filter: "t", group: "a", key: nil) != nil)
        #expect(index.remove(connection: client(1), filter: "t", group: "a", key: nil) == nil)
        #expect(index.send("t").sorted() == [2, 3])
        index.removeAll(of: client(3))
        #expect(index.send("t") == [2])
        index.removeAll(of: client(2))
        #expect(index.send("t") == [])
        #expect(index.count == 0)
    }

    @Test("A new subscription is in routes that were found before")
    func additionToKnownRoute() {
        let index = Index()
        #expect(index.send("t") == [])
        index.add(1, "t", "a")
        #expect(index.send("t") == [1])
        index.add(2, "#", "b")
        #expect(index.send("t").sorted() == [1, 2])
        index.add(3, "t", "a")
        #expect(Set((0..<4).flatMap { _ in index.send("t") }) == [1, 2, 3])
    }

    @Test(
        "A random history of changes leaves the routes that a scan finds, in a table with room and in one that is too small",
        arguments: 1...20, [SubscriptionIndex.routeCapacity, 3])
    func agreesWithScan(seed: UInt64, routeCapacity: Int) {
        var random = SplitMix(seed: seed)
        let filters = ["a", "b", "a/b", "a/+", "+/b", "#", "a/#", "+", "a/b/c", "+/+/c"]
        let topics = ["a", "b", "a/b", "a/c", "a/b/c", "x/b", "x"]
        let index = Index(routeCapacity: routeCapacity)
        var held: [(client: Int, filter: String, group: String)] = []
        for step in 0..<400 {
            let pick = (Int(random.next() % 12), filters[Int(random.next() % 10)], "g\(random.next() % 4)")
            if random.next() % 3 != 0 {
                if index.add(pick.0, pick.1, pick.2, order: step) { held.append((pick.0, pick.1, pick.2)) }
            } else if random.next() % 4 == 0 {
                index.removeAll(of: client(pick.0))
                held.removeAll { $0.client == pick.0 }
            } else if let at = held.indices.randomElement(using: &random) {
                let gone = held.remove(at: at)
                #expect(index.remove(connection: client(gone.client), filter: gone.filter, group: gone.group, key: nil) != nil)
            }
            let topic = topics[Int(random.next() % 7)]
            let takers = held.filter { takes($0.filter, topic) }
            let byGroup = Dictionary(grouping: takers, by: \.group)
            let got = index.send(topic)
            #expect(got.count == byGroup.count)
            for taker in got { #expect(takers.contains { $0.client == taker }) }
            #expect(index.count == held.count)
            if step % 3 == 0 { index.trimRoutes() }
        }
    }
}

@Suite("Group strategies")
struct GroupStrategyTests {
    @Test("least_delivered serves members alike, and a new one is not flooded (Q8)")
    func leastDelivered() {
        let index = Index()
        index.add(1, "t", "g")
        index.add(2, "t", "g")
        #expect(index.tally("t", 30) == [1: 15, 2: 15])
        index.add(3, "t", "g")
        #expect(index.tally("t", 30) == [1: 10, 2: 10, 3: 10])
    }

    @Test("least_delivered evens out what a congested member missed")
    func congestion() {
        let index = Index()
        index.add(1, "t", "g")
        index.add(2, "t", "g")
        index.setCongested(client(1), true)
        #expect(index.tally("t", 10) == [2: 10])
        index.setCongested(client(1), false)
        #expect(index.tally("t", 10) == [1: 10])
        #expect(index.tally("t", 10) == [1: 5, 2: 5])
    }

    @Test("A group whose members are all congested is still served, for the slow-consumer policy to decide")
    func allCongested() {
        let index = Index()
        index.add(1, "t", "g")
        index.add(2, "t", "g")
        index.setCongested(client(1), true)
        index.setCongested(client(2), true)
        #expect(index.tally("t", 4) == [1: 2, 2: 2])
    }

    @Test("round_robin takes each in turn, and passes over congested members")
    func roundRobin() {
        let index = Index(strategies: GroupStrategies(standard: .roundRobin))
        for member in 1...3 { index.add(member, "t", "g") }
        #expect((0..<6).map { _ in index.send("t")[0] } == [1, 2, 3, 1, 2, 3])
        index.setCongested(client(2), true)
        #expect((0..<4).map { _ in index.send("t")[0] } == [1, 3, 1, 3])
    }

    @Test("key_hash sends a key to the same member, and a leaving member moves only its own keys")
    func keyHash() {
        let index = Index(strategies: GroupStrategies(standard: .keyHash))
        for member in 1...4 { index.add(member, "t", "g") }
        let before = (0..<200).map { index.send("t", key: "key-\($0)")[0] }
        #expect((0..<200).map { index.send("t", key: "key-\($0)")[0] } == before)
        #expect(Set(before) == [1, 2, 3, 4])
        index.removeAll(of: client(3))
        let after = (0..<200).map { index.send("t", key: "key-\($0)")[0] }
        for (old, new) in zip(before, after) where old != 3 { #expect(old == new) }
    }

    @Test("key_hash chooses alike on every loop, whatever order they heard of the members in")
    func keyHashAcrossLoops() {
        let one = Index(strategies: GroupStrategies(standard: .keyHash))
        let two = Index(strategies: GroupStrategies(standard: .keyHash))
        for member in 1...5 { one.add(member, "t", "g", order: member) }
        for member in (1...5).reversed() { two.add(member, "t", "g", order: member) }
        for key in 0..<50 { #expect(one.send("t", key: "k\(key)") == two.send("t", key: "k\(key)")) }
    }

    @Test("sticky stays with the longest-standing member until it leaves")
    func sticky() {
        let index = Index(strategies: GroupStrategies(standard: .sticky))
        for member in 1...3 { index.add(member, "t", "g", order: member) }
        #expect(index.tally("t", 5) == [1: 5])
        index.removeAll(of: client(1))
        #expect(index.tally("t", 5) == [2: 5])
        index.add(1, "t", "g", order: 9)
        #expect(index.tally("t", 5) == [2: 5])
    }

    @Test("An override applies to its group alone, and strategies change while members stay")
    func overrides() {
        let index = Index(strategies: GroupStrategies(overrides: ["s": .sticky]))
        for member in 1...2 { index.add(member, "t", "s") }
        for member in 3...4 { index.add(member, "t", "l") }
        #expect(index.tally("t", 4) == [1: 4, 3: 2, 4: 2])
        index.setStrategies(GroupStrategies(standard: .sticky))
        #expect(index.tally("t", 4) == [1: 4, 3: 4])
    }
}

func client(_ number: Int) -> ConnectionID { ConnectionID(loop: 0, slot: UInt32(number), generation: 0) }

/// An index that a test can change within an expectation.
final class Index {
    private var index: SubscriptionIndex

    init(
        strategies: GroupStrategies = .init(), slowPolicies: SlowConsumerPolicies = .init(),
        routeCapacity: Int = SubscriptionIndex.routeCapacity
    ) {
        index = SubscriptionIndex(strategies: strategies, slowPolicies: slowPolicies, routeCapacity: routeCapacity)
    }

    func trimRoutes() { index.trimRoutes() }
    var routes: Int { index.table.count }

    /// Whether the topic's route was found anew.
    func searches(for topic: String) -> Bool {
        var isNew = false
        _ = topic.asBytes {
            index.route(of: $0, last: .none) { _ in
                isNew = true
                return .none
            }
        }
        return isNew
    }

    var count: Int { index.count }

    @discardableResult
    func add(_ number: Int, _ filter: String, _ group: String, key: String? = nil, order: Int? = nil) -> Bool {
        index.insert(
            Subscription(
                id: SubscriptionID(microseconds: UInt64(order ?? count), loop: UInt8(truncatingIfNeeded: number)), connection: client(number),
                filter: filter, group: group, key: key))
    }

    func remove(connection: ConnectionID, filter: String, group: String, key: String?) -> SubscriptionID? {
        index.remove(connection: connection, filter: filter, group: group, key: key)
    }

    func removeAll(of connection: ConnectionID) { index.removeAll(of: connection) }
    func setCongested(_ connection: ConnectionID, _ isCongested: Bool) { index.setPressure(isCongested ? .congested : .none, of: connection) }
    func setPressure(_ pressure: ConsumerPressure, of connection: ConnectionID) { index.setPressure(pressure, of: connection) }
    var blocker: ConnectionID { index.blocker }
    func clearBlocker() { index.blocker = .none }
    func subscriptions(of connection: ConnectionID) -> [Subscription] { index.subscriptions(of: connection) }
    func groups(of connection: ConnectionID) -> [String] { index.groups(of: connection) }
    func setStrategies(_ strategies: GroupStrategies) { index.setStrategies(strategies) }

    /// The numbers of the clients that get a message.
    func send(_ topic: String, key: String? = nil) -> [Int] {
        let found = topic.asBytes { index.route(of: $0, last: .none) { _ in .none } }
        var chosen: ContiguousArray<Recipient> = []
        if let key {
            key.asBytes { index.select(found, key: $0, into: &chosen) }
        } else {
            index.select(found, key: nil, into: &chosen)
        }
        return chosen.map(\.connection.slot)
    }

    func tally(_ topic: String, _ count: Int) -> [Int: Int] {
        var tally: [Int: Int] = [:]
        for _ in 0..<count { for member in send(topic) { tally[member, default: 0] += 1 } }
        return tally
    }
}
