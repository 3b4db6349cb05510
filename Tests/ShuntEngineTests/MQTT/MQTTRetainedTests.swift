import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("MQTT: retained messages and wills")
struct MQTTRetainedTests {
    // MARK: Retained messages

    @Test("A new subscription gets the newest retained message of each topic, wherever that is at home (MQTT-3.3.1-5, 9)", arguments: [1, 3])
    func retained(loops: Int) {
        let worker = SimulatedWorker(loops: loops)
        let producer = SimulatedMQTTClient(worker, "producer")
        for number in 0..<20 {
            producer.publish("a/\(number)", "old", qos: .atLeastOnce, isRetained: true)
            producer.publish("a/\(number)", "new", qos: .atLeastOnce, isRetained: true)
        }
        for name in ["one", "two"] {
            let consumer = SimulatedMQTTClient(worker, name)
            #expect(consumer.subscribe("a/+", qos: .atLeastOnce) == [.grantedQoS1])
            #expect(Set(consumer.messages()) == Set((0..<20).map { "a/\($0): new (retained)" }))
        }
        #expect(worker.engines.reduce(0) { $0 + $1.router.retained.count } == 20)
    }

    @Test("An empty payload clears what is retained, and is passed on like any message (MQTT-3.3.1-6, 7)")
    func cleared() {
        let worker = SimulatedWorker(loops: 2)
        let producer = SimulatedMQTTClient(worker, "producer"), watcher = SimulatedMQTTClient(worker, "watcher")
        _ = watcher.subscribe("a")
        producer.publish("a", "x", isRetained: true)
        producer.publish("a", "", isRetained: true)
        #expect(watcher.messages() == ["a: x", "a: "])
        let consumer = SimulatedMQTTClient(worker, "consumer")
        _ = consumer.subscribe("a")
        #expect(consumer.messages() == [])
    }

    @Test("Retain handling: always, to a new subscription, never (MQTT-3.3.1-9 to 11)")
    func handling() {
        let worker = SimulatedWorker()
        SimulatedMQTTClient(worker, "producer").publish("a", "x", isRetained: true)
        let consumer = SimulatedMQTTClient.v5(worker, "consumer")
        func subscribe(_ handling: Subscribe.RetainHandling) -> Int {
            var filter = Subscribe.Filter("a")
            filter.retainHandling = handling
            _ = consumer.subscribe([filter])
            return consumer.messages().count
        }
        #expect(subscribe(.doNotSend) == 0)
        #expect(subscribe(.sendIfNew) == 0)
        #expect(subscribe(.send) == 1)
        consumer.send(Unsubscribe(8, ["a"]).encoded(.v5))
        _ = consumer.received()
        #expect(subscribe(.sendIfNew) == 1)
        // Shared subscriptions get none.
        #expect(consumer.subscribe("$share/g/a") == [.success])
        #expect(consumer.messages() == [])
    }

    @Test("Retained messages keep QoS and properties, and are told the seconds that are left; then they are forgotten (MQTT-3.3.2-6)")
    func properties() {
        let worker = SimulatedWorker()
        var properties = Properties.none
        properties.messageExpiry = 60
        properties.userProperties = [.init("unit", "C")]
        SimulatedMQTTClient.v5(worker, "producer").publish("a", "x", qos: .exactlyOnce, isRetained: true, properties)
        worker.now += 20
        let consumer = SimulatedMQTTClient.v5(worker, "consumer")
        _ = consumer.subscribe("a", qos: .exactlyOnce)
        let delivery = consumer.deliveries().first
        #expect(delivery?.qos == .exactlyOnce)
        #expect(delivery?.properties.messageExpiry == 40)
        #expect(delivery?.properties.userProperties == [.init("unit", "C")])
        worker.now += 41
        let late = SimulatedMQTTClient.v5(worker, "late")
        _ = late.subscribe("#")
        #expect(late.messages() == [])
        for _ in 0..<3 { worker.tick() }
        #expect(worker.engines[0].router.retained.count == 0)
    }

    @Test("Filters that begin with a wildcard get no retained messages below $SYS (MQTT-4.7.2-1)")
    func system() {
        let worker = SimulatedWorker()
        let watcher = SimulatedMQTTClient(worker, "watcher")
        _ = watcher.subscribe("#", "+/broker/version")
        worker.engines[0].publishSystem("broker/version", "shunt 1", now: worker.now)
        worker.turnEnded(worker.loops[0])
        #expect(watcher.messages() == [])
        let other = SimulatedMQTTClient(worker, "other")
        _ = other.subscribe("#")
        #expect(other.messages() == [])
        _ = other.subscribe("$SYS/#")
        #expect(other.messages() == ["$SYS/broker/version: shunt 1 (retained)"])
    }

    @Test("More retained messages than a turn sends all arrive")
    func many() {
        let worker = SimulatedWorker(loops: 2)
        let producer = SimulatedMQTTClient(worker, "producer")
        for number in 0..<2000 { producer.publish("a/\(number)", "x", isRetained: true) }
        let consumer = SimulatedMQTTClient(worker, "consumer")
        _ = consumer.subscribe("#")
        #expect(consumer.messages().count == 2000)
    }

    // MARK: Wills

    private func mortal(_ name: String, _ will: Connect.Will, version: MQTTVersion = .v5, expiry: UInt32? = nil) -> Connect {
        var greeting = Connect(version: version, clientID: name, isClean: false, keepAlive: 10)
        greeting.will = will
        greeting.properties.sessionExpiry = expiry
        if version < .v5 { greeting.isClean = expiry == nil }
        return greeting
    }

    enum Ending: CaseIterable {
        case vanishes, breaksProtocol, silent, replaced, saysWithWill, saysGoodbye
    }

    @Test("A will is published however the client goes, unless it says goodbye (MQTT-3.1.2-8, 10, MQTT-3.14.4-3)", arguments: Ending.allCases)
    func wills(ending: Ending) {
        let worker = SimulatedWorker(loops: 2)
        let watcher = SimulatedMQTTClient(worker, "watcher")
        _ = watcher.subscribe("wills/#", qos: .atLeastOnce)
        let will = Connect.Will(topic: "wills/c", payload: Array("gone".utf8), qos: .atLeastOnce, isRetained: true)
        let client = SimulatedMQTTClient(worker, greeting: mortal("c", will))
        switch ending {
        case .vanishes: client.vanish()
        case .breaksProtocol: client.send([0x36, 0])
        case .silent:
            for _ in 0..<40 {
                worker.now += 0.5
                for _ in 0..<4 { worker.tick() }
            }
            #expect(client.closed == .keepAlive)
        case .replaced: _ = SimulatedMQTTClient.v5(worker, "c")
        case .saysWithWill: client.send(Disconnect(.disconnectWithWill).encoded(.v5))
        case .saysGoodbye: client.send(Disconnect().encoded(.v5))
        }
        #expect(watcher.messages() == (ending == .saysGoodbye ? [] : ["wills/c: gone"]))
        let late = SimulatedMQTTClient(worker, "late")
        _ = late.subscribe("wills/c", qos: .atLeastOnce)
        #expect(late.messages() == (ending == .saysGoodbye ? [] : ["wills/c: gone (retained)"]))
    }

    @Test("A will waits for its delay, is published when the session ends before, and is dropped if the client returns (MQTT-3.1.3-9)")
    func delayed() {
        let worker = SimulatedWorker()
        let watcher = SimulatedMQTTClient(worker, "watcher")
        _ = watcher.subscribe("w")
        var will = Connect.Will(topic: "w", payload: Array("gone".utf8))
        will.properties.willDelay = 10
        will.properties.contentType = "text/plain"
        func wait(_ seconds: Double) {
            worker.now += seconds
            worker.tick()
        }
        SimulatedMQTTClient(worker, greeting: mortal("c", will, expiry: 100)).vanish()
        wait(9)
        #expect(watcher.messages() == [])
        let back = SimulatedMQTTClient(worker, greeting: mortal("c", will, expiry: 100))
        wait(5)
        #expect(watcher.messages() == [])
        back.vanish()
        wait(11)
        #expect(watcher.messages() == ["w: gone"])
        // The session ends first.
        SimulatedMQTTClient(worker, greeting: mortal("d", will, expiry: 3)).vanish()
        wait(4)
        #expect(watcher.messages() == ["w: gone"])
        // So it does with a clean start.
        SimulatedMQTTClient(worker, greeting: mortal("e", will, expiry: 100)).vanish()
        _ = SimulatedMQTTClient.v5(worker, "e")
        #expect(watcher.messages() == ["w: gone"])
        // Without a session nothing is waited for.
        SimulatedMQTTClient(worker, greeting: mortal("f", will)).vanish()
        #expect(watcher.messages() == ["w: gone"])
    }

    @Test("No local keeps back a client's own will alone, whoever was read from last (MQTT-3.8.3-3)", arguments: [0, 10] as [UInt32])
    func willsAndNoLocal(delay: UInt32) {
        let worker = SimulatedWorker()
        let watcher = SimulatedMQTTClient.v5(worker, "watcher")
        var filter = Subscribe.Filter("w", .atLeastOnce)
        filter.isNoLocal = true
        var will = Connect.Will(topic: "w", payload: Array("gone".utf8))
        will.properties.willDelay = delay
        let client = SimulatedMQTTClient(worker, greeting: mortal("c", will, expiry: 100))
        for each in [client, watcher] { _ = each.subscribe([filter]) }
        client.vanish()
        let atOnce = watcher.messages()
        watcher.publish("elsewhere", "x")
        worker.now += 11
        worker.tick()
        #expect(atOnce + watcher.messages() == ["w: gone"])
        #expect(worker.engines[0].output.figures.waiting == 0)
    }

    @Test("The same wide filter again and again is one question, which ends with its client, and costs each turn little")
    func repeatedFilters() {
        let worker = SimulatedWorker(limits: RoutingLimits(subscriptions: 5000, mqtt: MQTTLimits()))
        let producer = SimulatedMQTTClient(worker, "producer")
        for number in 0..<20_000 { producer.publish("r/\(number)", "x", isRetained: true) }
        let engine = worker.engines[0]
        let id = worker.open(0, .mqtt)
        let loop = worker.loops[0]
        // A turn that is not ended: what waits is what one event leaves.
        let packets = Connect(version: .v5, clientID: "greedy").encoded() + Subscribe(7, Array(repeating: .init("r/#"), count: 1000)).encoded(.v5)
        _ = packets.withUnsafeBytes { loop.driver.received($0, on: id, loop) }
        #expect(engine.router.retainedAnswers.count == 1)
        _ = engine.turnEnded()
        #expect(engine.output.actions.count < 4 * TopicRouter.retainedLooks)
        loop.driver.carryOut(loop)
        engine.closed(id, why: "gone", now: worker.now)
        #expect(engine.router.retainedAnswers.isEmpty)
    }

    @Test("Answers for clients that do not keep up keep no loop awake: the next tick looks at them again")
    func congestedAnswers() {
        let worker = SimulatedWorker()
        let slow = SimulatedMQTTClient(worker, "slow")
        _ = slow.subscribe("r/#")
        SimulatedMQTTClient(worker, "producer").publish("r/1", "x", isRetained: true)
        let engine = worker.engines[0]
        engine.pressure(.congested, on: slow.id)
        let question = RetainedQuestion(filter: "r/#", subscriber: slow.id, terms: DeliveryTerms(.mqtt3))
        engine.router.retainedAnswers = Array(repeating: RetainedAnswer(question: question), count: 1000)
        #expect((0..<10).map { _ in engine.turnEnded() } == [true, true, true] + Array(repeating: false, count: 7))
        engine.pressure(.none, on: slow.id)
        engine.tick(now: worker.now)
        while engine.turnEnded() { engine.clear() }
        #expect(engine.router.retainedAnswers.isEmpty)
    }
}
