import ExchangeCodec
import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("What comes of one message counts together")
struct MessageOriginTests {
    private let rules = OwnRules()

    /// A worker that tells what reaches nobody, and a client that gets the dead letters.
    private func start(loops: Int = 1, _ set: (inout RoutingLimits) -> Void = { _ in }) -> (worker: SimulatedWorker, dead: SimulatedMQTTClient) {
        var limits = RoutingLimits()
        limits.deadLetterTopic = Array("dead".utf8)
        set(&limits)
        rules.wanted.insert(.undelivered)
        let worker = SimulatedWorker(loops: loops, limits: limits, hooks: rules)
        let dead = SimulatedMQTTClient.v5(worker, "dead")
        _ = dead.subscribe("dead")
        _ = rules.takeTold()
        return (worker, dead)
    }

    /// Each as `kind topic payload: reason`.
    private func letters(_ client: SimulatedMQTTClient) -> [String] {
        client.deliveries().map { letter in
            func value(_ name: String) -> String {
                letter.properties.userProperties.first { $0.name == "dead-letter-" + name }?.value ?? ""
            }
            return "\(value("kind")) \(value("topic")) \(letter.payload): \(value("reason"))"
        }
    }

    private func wait(_ worker: SimulatedWorker, _ seconds: Double = 2) {
        worker.now += seconds
        worker.tick()
    }

    private func texts(_ client: SimulatedClient) -> [String] {
        client.received().filter { $0.type == .message }.map { "\($0.name ?? "-") \($0.text)" }
    }

    private func notify(_ id: Int64) -> Frame {
        Frame(.notify, id: id, format: .json, value: NotifyBody(message: "text \(id)", uid: "nobody").encoded())
    }

    // MARK: rights

    @Test("What rules make of a delayed message when it is due may go where its sender might send when it was delayed", arguments: [true, false])
    func rights(isThere: Bool) {
        let (worker, dead) = start()
        let consumer = worker.connect()
        _ = consumer.subscribe("#", group: "g")
        let denials = AccessTests.Denials([.publish: ["forbidden"]])
        worker.engines[0].setAccess([ListenerAccess(asks: true, permissions: { _, _, _ in denials })], now: worker.now)
        let sender = SimulatedMQTTClient(worker, greeting: nil, version: .v5)
        sender.send(Connect(version: .v5, clientID: "sender").encoded())
        worker.decide(.admitted(Admitted(uid: "ada")))
        rules.script["in"] = [.init(topic: "step", delay: 1, rule: 0)]
        rules.script["step"] = [.init(topic: "out", rule: 1), .init(topic: "forbidden", rule: 1)]
        sender.publish("in", "x")
        if !isThere { sender.vanish() }
        wait(worker)
        #expect(texts(consumer).filter { !$0.hasPrefix("dead") } == ["out made"])
        #expect(rules.denied == ["1 publish forbiddenthe test"])
        #expect(letters(dead) == [] && rules.undelivered == [])
    }

    // MARK: limits.fanout

    @Test("limits.fanout holds for all that rules make of one message, delayed or not, and of a will", arguments: [true, false])
    func fanout(isWill: Bool) {
        rules.wanted = .will
        let (worker, dead) = start { $0.fanout = 4 }
        let consumer = worker.connect()
        _ = consumer.subscribe("c", group: "g")
        let four = { (topic: String, rule: UInt8) in
            (0..<4).map { _ in OwnRules.Made(topic: topic, delay: isWill ? nil : 1, rule: rule) }
        }
        rules.script["a"] = four("b", 0)
        rules.script["b"] = four("c", 1)
        if isWill {
            var greeting = Connect(version: .v5, clientID: "mortal")
            greeting.will = Connect.Will(topic: "w", payload: Array("gone".utf8))
            let mortal = SimulatedMQTTClient(worker, greeting: greeting)
            rules.will = .send
            rules.onTold = { [rules] in if $0.hasPrefix("will") { rules.sends = four("b", 0) } }
            mortal.vanish()
        } else {
            worker.connect().publish("a", "x")
        }
        for _ in 0..<4 { wait(worker) }
        #expect((1...4).contains(texts(consumer).count))
        #expect(letters(dead).count == 1)
    }

    @Test("Where rules take long for what is due, other clients have their turn before the rest goes out")
    func turns() {
        rules.wanted = .will
        let (worker, _) = start()
        let (consumer, producer) = (worker.connect(), worker.connect())
        for topic in ["b", "w"] { _ = consumer.subscribe(topic, group: "g") }
        rules.script["a"] = [.init(topic: "b", delay: 1)]
        rules.script["b"] = [.init(topic: "b", text: "late", rule: 1)]
        for _ in 0..<10 { producer.publish("a", "x") }
        for number in 0..<10 {
            let mortal = SimulatedMQTTClient.v5(worker, "mortal-\(number)", isClean: false) {
                $0.will = Connect.Will(topic: "w", payload: Array("gone".utf8))
                $0.will?.properties.willDelay = 1
                $0.properties.sessionExpiry = 100
            }
            mortal.vanish()
        }
        rules.mostInTurn = 3
        worker.now += 2
        let (engine, loop) = (worker.engines[0], worker.loops[0])
        engine.tick(now: worker.now)
        for left in [7, 4, 1, 0] {
            #expect(engine.turnEnded())
            #expect(engine.output.figures.delayed == left)
        }
        worker.turnEnded(loop)
        #expect(!engine.turnEnded())
        #expect(texts(consumer).count == 20)
    }

    // MARK: dead letters

    @Test("Messages are told apart whatever their ids are and wherever their bytes lie")
    func apart() {
        rules.wanted = .broadcast
        let (worker, dead) = start {
            $0.mqtt.queueMessages = 1
            $0.mqtt.queueFull = .dropOldest
        }
        let absent = SimulatedMQTTClient.v5(worker, "absent", isClean: false) { $0.properties.sessionExpiry = 100 }
        _ = absent.subscribe("t", qos: .atLeastOnce)
        absent.vanish()
        let producer = SimulatedMQTTClient.v5(worker, "producer")
        let packets = (0..<6).map { number in
            "t".utf8CString.withUnsafeBytes { topic in
                Array("m\(number)".utf8).withUnsafeBytes { payload in
                    PublishFields(
                        .v5, topic: Bytes(rebasing: topic[..<1]), payload: payload, qos: .atLeastOnce, isRetained: false,
                        identifier: UInt16(number + 1),
                        encodedProperties: Bytes(start: nil, count: 0)
                    ).encoded()
                }
            }
        }
        producer.send(packets.flatMap { $0 })
        #expect(letters(dead) == (0..<5).map { "topic t m\($0): queue full" })
        let client = worker.connect()
        for isFailing in [false, true] {
            rules.failing = isFailing ? { worker.engines[0].failed("redact", .ruleTime, on: $0) } : nil
            worker.send((0..<3).flatMap { _ in notify(0).encoded() }, from: client.id)
            #expect(letters(dead) == (0..<3).map { _ in "broadcast  text 0: \(isFailing ? "rule.time" : "no device")" })
        }
    }

    @Test("Of several reasons the first one counts, also where a part of the message goes out later")
    func firstReason() {
        let (worker, dead) = start { $0.fanout = 2 }
        let producer = worker.connect()
        rules.script["t"] = [.init(topic: "u", text: "changed")]
        rules.failing = { worker.engines[0].failed("redact", .ruleTime, on: $0) }
        for topic in ["t", "t"] { producer.publish(topic, "x") }
        #expect(letters(dead) == ["topic t x: rule.time", "topic t x: rule.time"])
        rules.failing = nil
        rules.script["t"] = [
            .init(topic: "u", delay: 1), .init(topic: "v", text: "other", delay: 1.5), .init(topic: "p", delay: 1, kind: .broadcast),
        ]
        producer.publish("t", "x")
        wait(worker)
        #expect(letters(dead) == ["topic t made: no subscriber"])
        #expect(Set(rules.takeUndelivered().suffix(3)) == ["topic t made: no subscriber", "topic t other: no subscriber", "topic t made: no device"])
    }

    @Test(
        "A message that a rule has failed on, and that a full queue drops, is one dead letter; the next, which no rule sees, is its own",
        arguments: [1, 2])
    func failedAndDropped(loops: Int) {
        let (worker, dead) = start(loops: loops) { ($0.mqtt.queueMessages, $0.mqtt.queueFull) = (1, .dropOldest) }
        // At home on each loop.
        for name in ["a", "b", "c", "d"] {
            let absent = SimulatedMQTTClient.v5(worker, name, isClean: false) { $0.properties.sessionExpiry = 100 }
            for filter in name == "a" ? ["u", "plain"] : ["u"] { _ = absent.subscribe(filter, qos: .atLeastOnce) }
            absent.vanish()
        }
        let producer = SimulatedMQTTClient(worker, "producer")
        rules.script["t"] = [.init(topic: "u")]
        rules.failing = { worker.engines[Int(producer.id.loop)].failed("redact", .ruleTime, on: $0) }
        for _ in 0..<3 { producer.publish("t", "x", qos: .atLeastOnce) }
        #expect(letters(dead) == (0..<3).map { _ in "topic t x: rule.time" })
        for number in 0..<3 { producer.publish("plain", "\(number)", qos: .atLeastOnce) }
        #expect(letters(dead) == (0..<2).map { "topic plain \($0): queue full" })
    }

    @Test("What has been told of one message is not told of the next, which no rule has seen")
    func forgotten() {
        let (worker, dead) = start()
        let producer = worker.connect()
        rules.script["t"] = [.init(topic: "u")]
        for topic in ["t", "plain"] { producer.publish(topic, "x") }
        #expect(letters(dead) == ["topic t made: no subscriber", "topic plain x: no subscriber"])
    }

    @Test("A message is told with what rules have made of it under the topic that it came with: delayed, a will, a broadcast, beyond limits.hops")
    func asItCame() throws {
        rules.wanted = [.will, .broadcast]
        let (worker, dead) = start { $0.hops = 0 }
        let producer = worker.connect()
        rules.script["in"] = [.init(topic: "nobody", delay: 1)]
        producer.publish("in", "x")
        wait(worker)
        #expect(letters(dead) == ["topic in made: no subscriber"])
        for (kind, delay) in [(MessageKind.topic, nil), (.topic, 1), (.broadcast, nil)] as [(MessageKind, Double?)] {
            let mortal = SimulatedMQTTClient.v5(worker, "mortal") { $0.will = Connect.Will(topic: "w", payload: Array("gone".utf8)) }
            rules.will = .send
            rules.onTold = { [rules] in if $0.hasPrefix("will") { rules.sends = [.init(topic: "nobody", delay: delay, kind: kind)] } }
            mortal.vanish()
            wait(worker)
            #expect(letters(dead) == ["topic w made: \(kind == .topic ? "no subscriber" : "no device")"])
            rules.broadcast = [.init(topic: "nobody", delay: delay, kind: kind, filter: #"{"uid":"nobody"}"#)]
            _ = producer.ask(notify(1))
            wait(worker)
            #expect(letters(dead) == ["broadcast  made: \(kind == .topic ? "no subscriber" : "no device")"])
        }
        rules.script["a"] = [.init(topic: "b", text: "once", rule: 0)]
        rules.script["b"] = [.init(topic: "c", text: "twice", rule: 1)]
        _ = rules.takeUndelivered()
        producer.publish("a", "x")
        #expect(letters(dead) == ["topic a once: limit.hops"])
        #expect(rules.takeUndelivered() == ["topic a once: too many hops"])
    }

    @Test("A broadcast whose sender leaves at once is told as one that no device took", arguments: [1, 2])
    func senderLeaves(loops: Int) {
        let (worker, dead) = start(loops: loops)
        let sender = worker.connect(loop: loops - 1)
        worker.deliversAtOnce = false
        worker.send(notify(1).encoded(), from: sender.id)
        worker.disconnect(sender.id)
        worker.deliverAll()
        worker.deliversAtOnce = true
        worker.tick()
        #expect(letters(dead) == ["broadcast  text 1: no device"])
        #expect(rules.undelivered == ["broadcast  text 1: no device"])
    }

    @Test("Nobody is told of a broadcast of which rules have made several, where one of them reaches somebody", arguments: [1, 2])
    func oneOfSeveral(loops: Int) {
        rules.wanted = .broadcast
        let (worker, dead) = start(loops: loops)
        let (device, sender) = (worker.connect(), worker.connect(loop: loops - 1))
        #expect(device.register("dev") == 200)
        let nobody = OwnRules.Made(topic: "x", kind: .broadcast, filter: #"{"uid":"nobody"}"#)
        rules.broadcast = [nobody, .init(topic: "nobody"), .init(topic: "x", kind: .broadcast, filter: #"{"uid":"dev"}"#)]
        _ = sender.ask(notify(1))
        worker.tick()
        #expect(letters(dead) == [] && rules.takeUndelivered() == [])
        #expect(device.received().contains { $0.type == .notify })
        rules.broadcast = [nobody, .init(topic: "nobody"), nobody]
        _ = sender.ask(notify(2))
        worker.tick()
        #expect(letters(dead) == ["broadcast  made: no device"] && rules.undelivered == ["broadcast  made: no device"])
    }
}
