import SeededRandom
import ShuntCore
import Testing

@Suite struct RouteInspectionTests {
    private static func name(_ number: UInt32) -> ConnectionID { ConnectionID(loop: 0, slot: number, generation: 1) }

    /// Inspected first, then chosen: whatever subscriptions, strategies and keys there are.
    @Test(arguments: 0..<40) func whatIsToldIsWhatIsChosen(seed: Int) {
        var random = SplitMix(seed: UInt64(seed))
        let strategies: [GroupStrategy] = [.leastDelivered, .roundRobin, .keyHash, .sticky]
        var index = SubscriptionIndex(
            strategies: GroupStrategies(standard: strategies.randomElement(using: &random) ?? .sticky, overrides: ["b": .roundRobin]),
            routeCapacity: seed % 3 == 0 ? 2 : 1000)
        let filters = ["orders/1", "orders/2", "orders/+", "orders/#", "+/1", "#", "other"]
        for number in 0..<UInt32.random(in: 1...30, using: &random) {
            let group = Bool.random(using: &random) ? "\0\(number)" : ["a", "b"].randomElement(using: &random) ?? ""
            let key = Int.random(in: 0..<4, using: &random) == 0 ? "k" : nil
            _ = index.insert(
                Subscription(
                    id: SubscriptionID(raw: UInt64(number) + 1), connection: Self.name(number % 12),
                    filter: filters.randomElement(using: &random) ?? "", group: group, key: key))
        }
        for _ in 0..<60 {
            let topic = Array(["orders/1", "orders/2", "orders/3", "other", "none"].randomElement(using: &random)!.utf8)
            let key = Bool.random(using: &random) ? Array("k".utf8) : nil
            let told = Self.withBytes(topic, key) { topic, key in
                index.inspect(topic, key: key, group: nil, limit: 100) { _ in .none }
            }
            let again = Self.withBytes(topic, key) { topic, key in
                index.inspect(topic, key: key, group: nil, limit: 100) { _ in .none }
            }
            var chosen: ContiguousArray<Recipient> = []
            Self.withBytes(topic, key) { topic, key in
                let route = index.route(of: topic, last: .none) { _ in .none }
                index.select(route, key: key, into: &chosen)
            }
            let expected = chosen.map(\.connection.raw).sorted()
            #expect((told.plain + told.groups.compactMap(\.chosen)).map(\.raw).sorted() == expected)
            #expect((again.plain + again.groups.compactMap(\.chosen)).map(\.raw).sorted() == expected)
            #expect(told.recipients == chosen.count && told.isExact)
        }
    }

    @Test func manySubscribersOfAnUnusedTopicAreCountedAndNotWalked() {
        var index = SubscriptionIndex()
        for number in 0..<UInt32(20_000) {
            _ = index.insert(
                Subscription(id: SubscriptionID(raw: UInt64(number) + 1), connection: Self.name(number), filter: "news", group: "\0\(number)"))
        }
        let told = Self.withBytes(Array("news".utf8), nil) { topic, key in index.inspect(topic, key: key, group: nil, limit: 3) { _ in .none } }
        #expect(told.recipients == 20_000)
        #expect(told.plain == [0, 1, 2].map(Self.name))
        #expect(told.filters.map(\.subscriptions) == [20_000])
    }

    private static func withBytes<Result>(_ topic: [UInt8], _ key: [UInt8]?, _ body: (Bytes, Bytes?) -> Result) -> Result {
        topic.withUnsafeBytes { topic in
            guard let key else { return body(topic, nil) }
            return key.withUnsafeBytes { body(topic, $0) }
        }
    }
}
