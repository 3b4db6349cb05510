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
}
