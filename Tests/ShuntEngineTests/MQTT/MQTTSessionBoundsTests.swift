import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("MQTT: what is kept for sessions is bounded, and given up in time")
struct MQTTSessionBoundsTests {
    private func lasting(_ name: String) -> Connect { Connect(version: .v3_1_1, clientID: name, isClean: false) }

    @Test("What waits for a session is bounded: the oldest, or the new one, is dropped and counted", arguments: QueueFullPolicy.allCases)
    func fullQueue(policy: QueueFullPolicy) {
        let worker = SimulatedWorker(limits: RoutingLimits(mqtt: MQTTLimits(queueMessages: 3, queueFull: policy)))
        let producer = SimulatedMQTTClient(worker, "producer")
        let first = SimulatedMQTTClient(worker, greeting: lasting("consumer"))
        _ = first.subscribe("a", qos: .atLeastOnce)
        first.vanish()
        for number in 1...5 { producer.publish("a", "\(number)", qos: .atLeastOnce) }
        let figures = worker.engines[0].output.figures
        #expect((figures.waiting, figures.lostInSessions) == (3, 2))
        let second = SimulatedMQTTClient(worker, greeting: lasting("consumer"))
        #expect(second.deliveries().map(\.payload) == (policy == .dropOldest ? ["3", "4", "5"] : ["1", "2", "3"]))
    }

    @Test("A message that waits for many sessions is kept once")
    func heldOnce() {
        let worker = SimulatedWorker()
        for number in 0..<100 {
            let client = SimulatedMQTTClient(worker, greeting: lasting("c\(number)"))
            _ = client.subscribe("a", qos: .atLeastOnce)
            client.vanish()
        }
        SimulatedMQTTClient(worker, "producer").publish("a", String(repeating: "x", count: 10_000), qos: .atLeastOnce)
        #expect(worker.engines[0].held.count == 1)
        #expect(worker.engines[0].held.bytes < 11_000)
        #expect(SimulatedMQTTClient(worker, greeting: lasting("c7")).deliveries().map(\.payload.count) == [10_000])
    }

    @Test("At the bound of sessions the one that would end first makes room; where all are connected, a new one is refused")
    func manySessions() {
        let worker = SimulatedWorker(limits: RoutingLimits(mqtt: MQTTLimits(sessions: 2)))
        func connect(_ name: String, _ expiry: UInt32) -> SimulatedMQTTClient {
            SimulatedMQTTClient.v5(worker, name, isClean: false) { $0.properties.sessionExpiry = expiry }
        }
        for (name, expiry) in [("short", 10), ("long", 1000)] as [(String, UInt32)] { connect(name, expiry).vanish() }
        let third = connect("third", 500)
        #expect(third.closed == nil)
        #expect(worker.engines[0].output.figures.sessionsEvicted == 1)
        let long = connect("long", 1000)
        let fourth = SimulatedMQTTClient(worker, nil)
        var greeting = Connect(version: .v5, clientID: "fourth", isClean: false)
        greeting.properties.sessionExpiry = 5
        fourth.send(greeting.encoded())
        #expect(fourth.closed == .memoryLimit)
        #expect(long.closed == nil)
    }

    @Test("A client that never acknowledges holds its producers for so long, and nobody after that")
    func neverAcknowledges() {
        let worker = SimulatedWorker(limits: RoutingLimits(mqtt: MQTTLimits(queueMessages: 8, inflight: 2, patience: 5)))
        let consumer = SimulatedMQTTClient(worker, "consumer"), producer = SimulatedMQTTClient(worker, "producer")
        _ = consumer.subscribe("a", qos: .atLeastOnce)
        for number in 1...7 { producer.publish("a", "\(number)", qos: .atLeastOnce) }
        #expect(worker.held.contains(producer.id))
        for _ in 0..<70 {
            worker.now += 0.1
            worker.tick()
        }
        #expect(!worker.held.contains(producer.id))
        for number in 8...40 { producer.publish("a", "\(number)", qos: .atLeastOnce) }
        #expect(!worker.held.contains(producer.id))
        #expect(worker.engines[0].output.figures.waiting == 8)
        #expect(producer.answered(.publishAcknowledgement).count == 40)
    }

    @Test("All that is kept for sessions is bounded: where others have the memory, a new message is dropped and what waits stays")
    func memory() {
        let worker = SimulatedWorker(limits: RoutingLimits(mqtt: MQTTLimits(memory: 3000)))
        let producer = SimulatedMQTTClient(worker, "producer")
        for name in ["one", "two"] {
            let client = SimulatedMQTTClient(worker, greeting: lasting(name))
            _ = client.subscribe(name, qos: .atLeastOnce)
            client.vanish()
        }
        let large = String(repeating: "x", count: 1000)
        for number in 1...2 as ClosedRange<UInt16> { producer.publish("one", large, qos: .atLeastOnce, identifier: number) }
        producer.publish("two", "small", qos: .atLeastOnce, identifier: 3)
        for number in 4...6 as ClosedRange<UInt16> { producer.publish("two", large, qos: .atLeastOnce, identifier: number) }
        #expect(worker.engines[0].held.bytes <= 3000)
        #expect(SimulatedMQTTClient(worker, greeting: lasting("two")).messages() == ["two: small"])
        #expect(SimulatedMQTTClient(worker, greeting: lasting("one")).deliveries().count == 2)
    }

    @Test("A session that has ended with its connection takes nothing that other loops had under way")
    func endedSession() {
        let worker = SimulatedWorker(limits: RoutingLimits(mqtt: MQTTLimits(queueMessages: 4, inflight: 1)))
        let consumer = SimulatedMQTTClient(worker, "consumer")
        _ = consumer.subscribe("$share/g/a", qos: .atLeastOnce)
        let engine = worker.engines[0]
        let producer = SimulatedMQTTClient(worker, "producer")
        for number in 1...4 as ClosedRange<UInt16> { producer.publish("a", "x", qos: .atLeastOnce, identifier: number) }
        // Its connection is still being written to.
        engine.leave(consumer.id, why: "test")
        let outcome = Array("0".utf8).withUnsafeBytes {
            engine.hand(
                $0, .mqtt3Numbered, to: consumer.id, HandOver(qos: .atLeastOnce, isRetained: false, isShared: true), isAnother: true, now: worker.now)
        }
        if case .gone = outcome {} else { Issue.record("it was taken") }
        #expect((engine.held.count, engine.output.figures.waiting, engine.output.figures.inflight) == (0, 0, 0))
        // The next client in its place is not taken for it.
        for _ in 0..<3 { worker.tick() }
        #expect(engine.listedSessions.isEmpty)
    }
}
