import ExchangeCodec
import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("Messages are counted at their topics")
struct TopicCountTests {
    private let rules = ScriptedRules()

    /// Topics with messages and recipients, by name.
    private func counted(_ worker: SimulatedWorker, on loop: Int = 0) -> [String] {
        var census = TopicCensus(TopicQuestion())
        while !census.isOver { worker.engines[loop].look(&census) }
        var ranking = TopicRanking(TopicQuestion())
        ranking.add(census)
        return ranking.record.topics.map { "\($0.topic) \($0.messages) \($0.recipients)" }.sorted()
    }

    /// A worker whose two consumers, of different groups, take everything, after a message to `t`.
    private func publish() -> SimulatedWorker {
        let worker = SimulatedWorker(hooks: rules)
        let (one, other, producer) = (worker.connect(), worker.connect(), worker.connect())
        _ = one.subscribe("#", group: "g")
        _ = other.subscribe("#", group: "h")
        _ = producer.ask(Frame(.message, id: 9, text: "text", name: "t", key: "k"))
        return worker
    }

    @Test("Once at the topic that it came to, and with those that it goes to; without rules, and where they pass or replace it")
    func passed() {
        #expect(counted(publish()) == ["t 1 2"])
        rules.script["t"] = .pass()
        #expect(counted(publish()) == ["t 1 2"])
        rules.script["t"] = .send([.init(text: "other")])
        #expect(counted(publish()) == ["t 1 2"])
    }

    @Test("What a rule sends to another topic is counted there too, and what it drops or rejects at its own")
    func sentOn() {
        rules.script["t"] = .send([.init(topic: "u", rule: 0)])
        #expect(counted(publish()) == ["t 1 0", "u 1 2"])
        rules.script["u"] = .send([.init(topic: "v", rule: 1)])
        rules.rulesOfTopic = ["t": [0], "u": [0, 1]]
        #expect(counted(publish()) == ["t 1 0", "u 1 0", "v 1 2"])
        rules.rulesOfTopic = [:]
        rules.script = ["t": .send([.init(), .init(topic: "u"), .init(topic: "v", text: "w")])]
        #expect(counted(publish()) == ["t 1 2", "u 1 2", "v 1 2"])
        rules.script["t"] = .always(.send([.init(), .init(topic: "u")]), rule: 0)
        #expect(counted(publish()) == ["t 1 2", "u 1 2"])
        for end: ScriptedRules.Decision in [.drop, .reject("no")] {
            rules.script["t"] = end
            #expect(counted(publish()) == ["t 1 0"])
        }
    }

    @Test("Messages of MQTT of each QoS, retained ones and those that nobody wants are counted; on the loop that they come in on")
    func mqtt() {
        let worker = SimulatedWorker(loops: 2)
        let consumer = SimulatedMQTTClient.v5(worker, "consumer")
        _ = consumer.subscribe("a/#", qos: .exactlyOnce)
        let producer = worker.connect(loop: 1)
        producer.publish("a/1", "x")
        producer.publish("b", "x")
        let other = SimulatedMQTTClient.v5(worker, "other")
        for (number, qos) in [QoS.atMostOnce, .atLeastOnce, .exactlyOnce].enumerated() {
            other.publish("a/2", "x", qos: qos, identifier: UInt16(number + 1))
        }
        let all = (0..<2).flatMap { counted(worker, on: $0) }.sorted()
        #expect(all == ["a/1 1 1", "a/2 3 3", "b 1 0"])
    }
}
