import SeededRandom
import Testing

@testable import ShuntCore

@Suite("What topics carry")
struct TopicTrafficTests {
    /// A loop's index, with a group that takes all topics below `a`.
    private struct Loop {
        var index: SubscriptionIndex

        init(capacity: Int = SubscriptionIndex.routeCapacity, now: Double = 1_000) {
            index = SubscriptionIndex(routeCapacity: capacity)
            let taken = index.insert(
                Subscription(id: SubscriptionID(raw: 1), connection: client(1), filter: "a/#", group: "g"))
            #expect(taken)
            index.tickTraffic(now: now)
        }

        mutating func publish(_ topic: String, _ count: Int = 1, bytes: Int = 10) {
            topic.asBytes { topic in
                for _ in 0..<count {
                    let route = index.route(of: topic, last: .none) { _ in .none }
                    var chosen: ContiguousArray<Recipient> = []
                    index.select(route, key: nil, into: &chosen)
                    index.counters.count(route, bytes: bytes, recipients: chosen.count)
                }
            }
            index.trimRoutes()
        }

        func census(_ question: TopicQuestion) -> TopicCensus {
            var (census, index) = (TopicCensus(question), index)
            while !census.isOver { index.look(&census) }
            return census
        }
    }

    private func record(_ loops: [Loop], _ question: TopicQuestion) -> TopicsRecord {
        var ranking = TopicRanking(question)
        for loop in loops { ranking.add(loop.census(question)) }
        let candidates = ranking.candidates
        ranking.set(loops.reduce(into: [:]) { all, loop in all.merge(loop.index.loads(of: candidates)) { $0 + $1 } })
        return ranking.record
    }

    @Test(
        "Topics come with the most messages, bytes or recipients first, those without subscribers too",
        arguments: [
            (TopicQuestion.Measure.messages, ["b 5", "a/1 3", "a/2 2"]), (.bytes, ["a/2 2", "b 5", "a/1 3"]),
            (.recipients, ["a/1 3", "a/2 2", "b 5"]),
        ])
    func measures(_ by: TopicQuestion.Measure, _ expected: [String]) {
        var loop = Loop()
        loop.publish("a/1", 3)
        loop.publish("a/2", 2, bytes: 500)
        loop.publish("b", 5)
        for time in TopicQuestion.Time.allCases {
            let record = record([loop], TopicQuestion(by: by, over: time))
            #expect(record.topics.map { "\($0.topic) \($0.messages)" } == expected)
            #expect(record.counted == 3 && record.messages == 10 && record.bytes == 1_080 && record.recipients == 5)
        }
    }

    @Test("A rate is of the last ten to twenty seconds, a total of all; a topic that has fallen silent goes down")
    func rates() throws {
        var loop = Loop(now: 1_000)
        loop.publish("a/old", 1_000)
        loop.index.tickTraffic(now: 1_010)
        loop.publish("a/new", 100)
        loop.index.tickTraffic(now: 1_015)
        var topics = record([loop], TopicQuestion()).topics
        #expect(topics.map(\.topic) == ["a/old", "a/new"])
        #expect(abs(topics[0].messagesPerSecond - 1_000.0 / 15) < 1e-9 && abs(topics[1].messagesPerSecond - 100.0 / 15) < 1e-9)
        loop.index.tickTraffic(now: 1_020)
        loop.publish("a/new", 50)
        topics = record([loop], TopicQuestion()).topics
        #expect(topics.map { "\($0.topic) \($0.messages) \($0.messagesPerSecond)" } == ["a/new 150 15.0", "a/old 1000 0.0"])
        #expect(record([loop], TopicQuestion(over: .total)).topics.map(\.topic) == ["a/old", "a/new"])
        // Long after: nothing is busy, and no total is lost.
        for second in 1...5 { loop.index.tickTraffic(now: 1_020 + Double(second) * 10) }
        topics = record([loop], TopicQuestion()).topics
        #expect(topics.allSatisfy { $0.messagesPerSecond == 0 && $0.bytesPerSecond == 0 && $0.recipientsPerSecond == 0 })
        #expect(topics.reduce(0) { $0 + $1.messages } == 1_150)
    }

    @Test("A clock that is set makes no rate of what came before, and loses no total", arguments: [-500.0, 5_000])
    func clock(step: Double) {
        var loop = Loop()
        loop.publish("a/1", 7)
        loop.index.tickTraffic(now: 1_000 + step)
        loop.publish("a/2", 3)
        loop.index.tickTraffic(now: 1_001 + step)
        let topics = record([loop], TopicQuestion()).topics
        #expect(topics.map { "\($0.topic) \($0.messages) \($0.messagesPerSecond)" } == ["a/2 3 3.0", "a/1 7 0.0"])
    }

    @Test("What a topic carries outlives a change of the rules and of subscriptions; its rules are asked for anew")
    func outlives() {
        var loop = Loop()
        loop.publish("a/1", 4)
        loop.index.forgetRoutes()
        #expect(record([loop], TopicQuestion()).topics.map(\.messages) == [4])
        var asked = 0
        "a/1".asBytes { topic in
            for _ in 0..<3 {
                _ = loop.index.route(of: topic, last: .none) { _ in
                    asked += 1
                    return .none
                }
            }
        }
        #expect(asked == 1)
        loop.publish("a/1")
        loop.index.removeAll(of: client(1))
        loop.publish("a/1")
        #expect(record([loop], TopicQuestion()).topics.map { [$0.messages, $0.recipients] } == [[6, 5]])
    }

    @Test("A table that is full gives up topics that carry nothing; the sums of all stay whole")
    func full() {
        var loop = Loop(capacity: 4)
        for round in 0..<200 {
            loop.publish("a/busy", 2)
            loop.publish("once/\(round)")
            if round % 3 == 0 { loop.publish("twice/\(round)", 2) }
        }
        let record = record([loop], TopicQuestion())
        #expect(record.topics.first?.topic == "a/busy" && record.topics.first?.messages == 400)
        #expect(record.counted <= 4 && record.messages == 200 * 3 + 67 * 2 && record.recipients == 400)
        // The place of a topic that was given up begins at nothing.
        #expect(record.topics.dropFirst().allSatisfy { $0.messages <= 2 })
    }

    @Test("The loops of a worker are added: a topic counts that is first on none of them; as a naive count says", arguments: 1...5)
    func loops(seed: UInt64) {
        var random = SplitMix(seed: seed)
        var loops = (0..<3).map { _ in Loop() }
        var naive: [String: Int] = [:]
        for _ in 0..<3_000 {
            let topic = "a/\(random.next() % 40 * (random.next() % 3))"
            let count = Int(random.next() % 3)
            loops[Int(random.next() % 3)].publish(topic, count)
            naive[topic, default: 0] += count
        }
        let record = record(loops, TopicQuestion(over: .total, limit: 10))
        let expected = naive.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.prefix(10)
        #expect(record.topics.map(\.topic) == expected.map(\.key) && record.topics.map(\.messages) == expected.map(\.value))
    }

    @Test("Very many topics take many turns; the answer is as long as was asked for, and its names are bounded")
    func many() {
        var loop = Loop()
        for number in 0..<10_000 { loop.publish("topic/\(number)", number == 7_777 ? 3 : 1) }
        var (census, turns) = (TopicCensus(TopicQuestion(limit: 2)), 0)
        while !census.isOver {
            loop.index.look(&census)
            turns += 1
        }
        #expect(turns == 3)
        let few = record([loop], TopicQuestion(limit: 2))
        #expect(few.topics.count == 2 && few.topics[0].topic == "topic/7777" && few.counted == 10_000)
        for number in 0..<30 { loop.publish(String(repeating: "x", count: 10_000) + "\(number)", 9) }
        #expect(record([loop], TopicQuestion()).topics.count == 13)
    }
}
