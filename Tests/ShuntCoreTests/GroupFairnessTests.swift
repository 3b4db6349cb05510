import ShuntCore
import Testing

@Suite("A group shares fairly")
struct GroupFairnessTests {
    @Test("A newcomer with another filter starts level with the others", arguments: ["t/+", "t/1", "#", "t/#"])
    func newcomer(filter: String) {
        let index = Index()
        for member in 1...3 { index.add(member, "t/#", "g") }
        _ = index.tally("t/1", 1500)
        index.add(4, filter, "g")
        #expect(index.tally("t/1", 400) == [1: 100, 2: 100, 3: 100, 4: 100])
    }

    @Test("The same for a member that adds a filter, or changes it")
    func moreFilters() {
        let index = Index()
        for member in 1...3 { index.add(member, "t/#", "g") }
        _ = index.tally("t/1", 1500)
        index.add(3, "t/1", "g")
        #expect(index.tally("t/1", 300) == [1: 100, 2: 100, 3: 100])
        _ = index.remove(connection: client(3), filter: "t/#", group: "g", key: nil)
        #expect(index.tally("t/1", 300) == [1: 100, 2: 100, 3: 100])
        index.add(3, "t/+", "g")
        _ = index.remove(connection: client(3), filter: "t/1", group: "g", key: nil)
        #expect(index.tally("t/1", 300) == [1: 100, 2: 100, 3: 100])
        index.removeAll(of: client(3))
        #expect(index.tally("t/1", 300) == [1: 150, 2: 150])
    }

    @Test("A newcomer to a part of the group that the other members take no topic of starts level with that part")
    func newcomerToAPart() {
        let index = Index()
        index.add(1, "a/#", "g")
        index.add(2, "b/#", "g")
        _ = index.tally("b/1", 500)
        index.add(3, "b/#", "g")
        index.add(4, "b/+", "g")
        #expect(index.tally("b/1", 300) == [2: 100, 3: 100, 4: 100])
        _ = index.tally("a/1", 2000)
        index.add(5, "#", "g")
        #expect(index.tally("a/1", 200) == [1: 100, 5: 100])
        #expect(index.tally("b/1", 400).values.allSatisfy { $0 <= 200 }, "nobody is flooded")
    }

    @Test("Topics of one message each are shared out too", arguments: [GroupStrategy.leastDelivered, .roundRobin, .keyHash])
    func manyTopics(strategy: GroupStrategy) {
        let index = Index(strategies: GroupStrategies(standard: strategy))
        for member in 1...3 { index.add(member, "orders/+", "g") }
        var tally: [Int: Int] = [:]
        for topic in 0..<300 { for member in index.send("orders/\(topic)") { tally[member, default: 0] += 1 } }
        #expect(tally == [1: 100, 2: 100, 3: 100])
    }

    @Test("A member that is stuck gets messages only when all others are too")
    func stuck() {
        let index = Index(strategies: GroupStrategies(standard: .roundRobin))
        for member in 1...3 { index.add(member, "t", "g") }
        index.setPressure(.stuck, of: client(1))
        index.setPressure(.congested, of: client(2))
        #expect(index.tally("t", 10) == [3: 10])
        index.setPressure(.congested, of: client(3))
        #expect(index.tally("t", 10)[1] == nil)
        index.setPressure(.stuck, of: client(3))
        #expect(index.tally("t", 10) == [2: 10])
    }

    @Test(
        "A congested member without a substitute blocks its producers where its group holds",
        arguments: [
            (SlowConsumerPolicies(), true), (SlowConsumerPolicies(standard: .dropNewest), false),
            (SlowConsumerPolicies(overrides: ["g": .dropOldest]), false),
            (SlowConsumerPolicies(standard: .disconnect, overrides: ["g": .hold]), true),
        ])
    func blocker(policies: SlowConsumerPolicies, blocks: Bool) {
        let index = Index(slowPolicies: policies)
        index.add(1, "t", "g")
        index.setPressure(.congested, of: client(1))
        _ = index.send("t")
        #expect((index.blocker == client(1)) == blocks)
        index.setPressure(.stuck, of: client(1))
        index.clearBlocker()
        _ = index.send("t")
        #expect(index.blocker == .none)
    }
}
