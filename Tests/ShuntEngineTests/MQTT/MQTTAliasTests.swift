import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("MQTT 5.0: topic aliases towards a client mean to it what they mean here (5.0 §3.3.2.3.4)")
struct MQTTAliasTests {
    private let worker = SimulatedWorker()

    private func client(_ name: String, _ aliases: UInt16, receiveMaximum: UInt16? = nil) -> SimulatedMQTTClient {
        .v5(worker, name) { ($0.properties.topicAliasMaximum, $0.properties.receiveMaximum) = (aliases, receiveMaximum) }
    }

    /// Each as `ALIAS TOPIC: PAYLOAD`.
    private func told(_ client: SimulatedMQTTClient) -> [String] {
        client.deliveries().map { "\($0.properties.topicAlias ?? 0) \($0.topic): \($0.payload)" }
    }

    @Test("The packet that is written first tells the number, though another one was made before it")
    func order() {
        let (consumer, producer) = (client("consumer", 5, receiveMaximum: 1), client("producer", 0))
        _ = consumer.subscribe("#", qos: .atLeastOnce)
        producer.publish("b", "1", qos: .atLeastOnce)
        producer.publish("a", "2", qos: .atLeastOnce)
        let first = consumer.deliveries()
        #expect(first.map(\.payload) == ["1"])
        // In one read: a message that is handed to the client itself, and what lets the next one out.
        let own = [UInt8]([0x30, 6, 0, 1, 0x61, 0, 0x6F, 0x6E])
        consumer.send(own + PublishAnswer(.publishAcknowledgement, first[0].identifier).encoded(.v5))
        #expect(told(consumer) == ["2 a: on", "2 : 2"])
    }

    @Test("A message that has waited, and that the connection did not take, keeps its topic")
    func putBack() {
        let (consumer, producer) = (client("consumer", 5, receiveMaximum: 1), client("producer", 0))
        _ = consumer.subscribe("a", qos: .atLeastOnce)
        for number in 1...2 { producer.publish("a", "\(number)", qos: .atLeastOnce) }
        let first = consumer.deliveries()
        #expect(first.map(\.topic) == ["a"])
        worker.slow.insert(consumer.id)
        consumer.acknowledge(.publishAcknowledgement, first[0].identifier)
        #expect(consumer.deliveries() == [])
        worker.slow.remove(consumer.id)
        worker.tick()
        #expect(told(consumer) == ["1 a: 2"])
    }

    @Test("What tells a number is not dropped from a client's buffer, with a subscription identifier or without", arguments: [nil, 7] as [UInt32?])
    func kept(identifier: UInt32?) {
        let (consumer, producer, other) = (client("consumer", 2), client("producer", 0), client("other", 0))
        for client in [consumer, other] { _ = client.subscribe([.init("#")], identifier: identifier) }
        for topic in ["a", "a", "b", "c"] { producer.publish(topic, "x") }
        func mayDrop(_ client: SimulatedMQTTClient) -> [Bool] {
            client.received().map { packet in packet.withUnsafeBytes { worker.engines[0].mayDrop($0, for: client.id) } }
        }
        #expect(mayDrop(consumer) == [false, true, false, true])
        #expect(mayDrop(other) == [true, true, true, true])
    }

    @Test("A client whose buffer fills up is told no new number, and keeps those that it knows")
    func congested() {
        let (consumer, producer) = (client("consumer", 1), client("producer", 0))
        _ = consumer.subscribe("#")
        producer.publish("a", "x")
        worker.engines[0].pressure(.congested, on: consumer.id)
        for topic in ["b", "b", "b", "a"] { producer.publish(topic, "x") }
        worker.engines[0].pressure(.none, on: consumer.id)
        for topic in ["b", "b"] { producer.publish(topic, "x") }
        #expect(told(consumer) == ["1 a: x", "0 b: x", "0 b: x", "0 b: x", "1 : x", "1 b: x", "1 : x"])
    }

    @Test("A message that is dropped from a client's buffer is told with its topic and its properties, whatever its packet says to the client")
    func dropped() {
        var limits = RoutingLimits()
        limits.deadLetterTopic = Array("dead".utf8)
        let worker = SimulatedWorker(limits: limits)
        func client(_ name: String, _ aliases: UInt16) -> SimulatedMQTTClient { .v5(worker, name) { $0.properties.topicAliasMaximum = aliases } }
        let (consumer, other, producer, watcher) = (client("consumer", 1), client("other", 0), client("producer", 0), client("watcher", 0))
        _ = consumer.subscribe([.init("t/#")])
        _ = other.subscribe([.init("u")], identifier: 7)
        _ = watcher.subscribe([.init("dead")])
        for (number, topic) in ["a", "a", "b", "b", "b", "a", "a"].enumerated() { producer.publish("t/\(topic)", "\(number)") }
        var properties = Properties.none
        properties.userProperties = [.init("from", "p")]
        producer.publish("u", "x", properties)
        _ = watcher.deliveries()
        func drop(_ client: SimulatedMQTTClient) {
            let packets = client.received(), all = packets.flatMap { $0 }
            var at = 0
            for packet in packets {
                at += packet.count
                packet.withUnsafeBytes { packet in
                    all[at...].withUnsafeBytes { worker.engines[0].dropped(packet, before: $0, for: client.id, now: worker.now) }
                }
            }
            worker.tick()
        }
        drop(consumer)
        let told = watcher.deliveries()
        #expect(told.map(\.payload) == ["0", "1", "2", "3", "4", "5", "6"])
        func topics(_ told: [SimulatedMQTTClient.Message]) -> [String?] {
            told.map { $0.properties.userProperties.first { $0.name == "dead-letter-topic" }?.value }
        }
        #expect(topics(told) == ["t/a", "t/a", "t/b", "t/b", "t/b", "t/a", "t/a"])
        drop(other)
        let last = watcher.deliveries()
        #expect(topics(last) == ["u"])
        #expect(last.first?.properties.userProperties.contains(.init("from", "p")) == true)
    }
}
