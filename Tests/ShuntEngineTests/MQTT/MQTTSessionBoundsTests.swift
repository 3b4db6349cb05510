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

    @Test("The session that would end first is the one by what its client has said last")
    func firstToEnd() {
        let worker = SimulatedWorker(limits: RoutingLimits(mqtt: MQTTLimits(sessions: 2)))
        func connect(_ name: String, _ expiry: UInt32) -> SimulatedMQTTClient {
            SimulatedMQTTClient.v5(worker, name, isClean: false) { $0.properties.sessionExpiry = expiry }
        }
        for (name, expiry) in [("a", 20), ("a", 10_000), ("b", 60)] as [(String, UInt32)] { connect(name, expiry).vanish() }
        _ = connect("c", 100)
        var kept: [String] = []
        worker.engines[0].sessions.forEach { kept.append($0.clientID) }
        #expect(Set(kept) == ["a", "c"])
    }

    // MARK: Delayed wills

    private func mortal(_ worker: SimulatedWorker, delay: UInt32) -> SimulatedMQTTClient {
        .v5(worker, "mortal", isClean: false) {
            var will = Connect.Will(topic: "w", payload: Array("gone".utf8))
            will.properties.willDelay = delay
            $0.will = will
            $0.properties.sessionExpiry = 100
        }
    }

    @Test("A will's delay begins when its client goes for the last time (MQTT-3.1.3-9)")
    func delayAnew() {
        let worker = SimulatedWorker()
        let watcher = SimulatedMQTTClient(worker, "watcher")
        _ = watcher.subscribe("w")
        func wait(_ seconds: Double) {
            worker.now += seconds
            worker.tick()
        }
        mortal(worker, delay: 4).vanish()
        wait(2)
        let back = mortal(worker, delay: 4)
        wait(1.2)
        back.vanish()
        for _ in 0..<3 { wait(1.2) }
        #expect(watcher.messages() == [])
        wait(0.6)
        #expect(watcher.messages() == ["w: gone"])
        wait(100)
        #expect(watcher.messages() == [])
    }

    @Test("A client that comes and goes leaves no delays behind without bound")
    func flapping() {
        let worker = SimulatedWorker()
        for _ in 0..<1000 {
            mortal(worker, delay: 50).vanish()
            worker.now += 0.01
        }
        #expect(worker.engines[0].sessions.wills.count < 100)
    }

    @Test("Where the memory is full, those that hold most of it give way: a client that keeps up gets all")
    func hoarders() {
        let worker = SimulatedWorker(limits: RoutingLimits(mqtt: MQTTLimits(queueMessages: 1000, queueBytes: 1 << 20, memory: 40_000)))
        for name in ["h1", "h2"] {
            let hoarder = SimulatedMQTTClient(worker, greeting: lasting(name))
            _ = hoarder.subscribe("h", qos: .atLeastOnce)
            hoarder.vanish()
        }
        // Never acknowledges what is under way.
        let mute = SimulatedMQTTClient(worker, greeting: lasting("mute"))
        _ = mute.subscribe("m", qos: .atLeastOnce)
        let producer = SimulatedMQTTClient(worker, "producer")
        for number in 0..<40 {
            producer.publish("h", "\(number)" + String(repeating: "x", count: 500), qos: .atLeastOnce)
            producer.publish("m", String(repeating: "y", count: 500), qos: .atLeastOnce)
        }
        let reader = SimulatedMQTTClient(worker, greeting: lasting("reader"))
        _ = reader.subscribe("t", qos: .atLeastOnce)
        let absent = SimulatedMQTTClient(worker, greeting: lasting("absent"))
        _ = absent.subscribe("t", qos: .atLeastOnce)
        absent.vanish()
        var got = 0
        for number in 0..<20 {
            worker.now += 0.2
            producer.publish("t", "\(number)" + String(repeating: "z", count: 500), qos: .atLeastOnce)
            for message in reader.deliveries() {
                got += 1
                reader.acknowledge(.publishAcknowledgement, message.identifier)
            }
        }
        #expect(got == 20)
        let engine = worker.engines[0]
        #expect(engine.memoryInUse <= 40_000)
        #expect(engine.output.figures.hoarded > 0)
        #expect(engine.largestHoarder.contains("mute") || engine.largestHoarder.contains("h"))
        #expect(SimulatedMQTTClient(worker, greeting: lasting("absent")).deliveries().count == 20)
    }

    @Test("Sessions that hold the same messages lose none of them for another one: that would make no room")
    func sharedMessages() {
        let worker = SimulatedWorker(limits: RoutingLimits(mqtt: MQTTLimits(queueMessages: 1000, queueBytes: 1 << 20, memory: 20_000)))
        for number in 0..<50 {
            let client = SimulatedMQTTClient(worker, greeting: lasting("s\(number)"))
            _ = client.subscribe("all", qos: .atLeastOnce)
            client.vanish()
        }
        let producer = SimulatedMQTTClient(worker, "producer")
        for _ in 0..<18 { producer.publish("all", String(repeating: "x", count: 1000), qos: .atLeastOnce) }
        let one = SimulatedMQTTClient(worker, greeting: lasting("one"))
        _ = one.subscribe("one", qos: .atLeastOnce)
        one.vanish()
        for _ in 0..<3 { producer.publish("one", String(repeating: "y", count: 1000), qos: .atLeastOnce) }
        let figures = worker.engines[0].output.figures
        #expect(figures.hoarded == 0)
        #expect(figures.waiting == 50 * 18)
    }

    @Test("User properties and wills count as memory, and are refused where there is none; what is counted is given back")
    func ownBytes() {
        let worker = SimulatedWorker(limits: RoutingLimits(mqtt: MQTTLimits(memory: 50_000)))
        func connect(_ name: String, expiry: UInt32) -> SimulatedMQTTClient {
            let client = SimulatedMQTTClient(worker, nil)
            var greeting = Connect(version: .v5, clientID: name)
            greeting.properties.sessionExpiry = expiry
            greeting.properties.userProperties = [.init("k", String(repeating: "v", count: 10_000))]
            greeting.will = .init(topic: "w", payload: Array(repeating: 7, count: 10_000))
            client.send(greeting.encoded())
            return client
        }
        let engine = worker.engines[0]
        let first = connect("a", expiry: 100)
        let second = connect("b", expiry: 0)
        #expect(engine.memoryInUse > 40_000)
        #expect(connect("c", expiry: 100).closed == .memoryLimit)
        second.vanish()
        #expect((20_000..<25_000).contains(engine.memoryInUse))
        first.vanish()
        // It comes back with another will: the one of before is not counted any longer.
        let again = connect("a", expiry: 100)
        #expect((20_000..<25_000).contains(engine.memoryInUse))
        again.vanish()
        worker.now += 101
        worker.tick()
        #expect(engine.memoryInUse == 0)
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

    @Test("All that is kept for sessions is bounded: of two sessions neither takes what is fair for the other")
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
        #expect(SimulatedMQTTClient(worker, greeting: lasting("two")).deliveries().map(\.payload) == [large])
        #expect(SimulatedMQTTClient(worker, greeting: lasting("one")).deliveries().map(\.payload) == [large])
        #expect(worker.engines[0].output.figures.hoarded == 1)
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
