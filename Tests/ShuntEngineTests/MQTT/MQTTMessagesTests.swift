import ExchangeCodec
import MQTTCodec
import SeededRandom
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("MQTT: messages of QoS 0, and rules")
struct MQTTMessagesTests {
    private let connect = Connect(version: .v3_1_1, clientID: "c")

    // MARK: PUBLISH

    @Test("A message reaches the subscribers of both protocols, from either of them, on every loop", arguments: [1, 2])
    func bridge(loops: Int) {
        let worker = SimulatedWorker(loops: loops)
        let mqtt = (0..<2).map { SimulatedMQTTClient(worker, "c\($0)", loop: $0 % loops) }
        for client in mqtt { #expect(client.subscribe("orders/+") == [.success]) }
        let exchange = worker.connect(loop: loops - 1)
        #expect(exchange.subscribe("orders/#", group: "billing") == 200)
        SimulatedMQTTClient(worker, "p").publish("orders/eu", "from MQTT")
        worker.connect().publish("orders/us", "from the exchange protocol", key: "k")
        for client in mqtt { #expect(client.messages() == ["orders/eu: from MQTT", "orders/us: from the exchange protocol"]) }
        let frames = exchange.received()
        #expect(frames.map(\.text) == ["from MQTT", "from the exchange protocol"])
        #expect(frames.map(\.name) == ["orders/eu", "orders/us"])
        #expect(frames.map(\.key) == [nil, "k"])
    }

    @Test("A shared subscription and a consumer group of the same name are one group")
    func shared() {
        let worker = SimulatedWorker()
        let mqtt = SimulatedMQTTClient(worker, "c")
        let exchange = worker.connect()
        #expect(mqtt.subscribe("$share/billing/orders/#") == [.success])
        #expect(exchange.subscribe("orders/#", group: "billing") == 200)
        let producer = SimulatedMQTTClient(worker, "p")
        for number in 0..<10 { producer.publish("orders/eu", "\(number)") }
        #expect(mqtt.messages().count == 5)
        #expect(exchange.texts().count == 5)
    }

    @Test("The retain flag is not passed on to those who have subscribed (MQTT-3.3.1-9)")
    func retained() {
        let worker = SimulatedWorker()
        let client = SimulatedMQTTClient(worker, "c")
        _ = client.subscribe("a")
        SimulatedMQTTClient(worker, "p").publish("a", "x", isRetained: true)
        #expect(client.messages() == ["a: x"])
    }

    @Test("A message is encoded once a form, however many get it; as it came where the form is its own")
    func encodedOnce() {
        let engine = LoopEngine(loop: 0)
        let ids = (0..<20).map { ConnectionID(loop: 0, slot: $0, generation: 0) }
        for id in ids {
            engine.opened(id, address: PeerAddress(), speaking: id.slot % 2 == 0 ? .mqtt : .exchange, now: 1)
            let packets =
                id.slot % 2 == 0
                ? Connect(version: .v3_1_1, clientID: "\(id)").encoded() + Subscribe(1, [.init("a")]).encoded(.v3_1_1)
                : Frame(.subscribe, id: 1, format: .json, value: SubscribeBody(group: "\(id)", topic: "a", key: nil).encoded()).encoded()
            packets.withUnsafeBytes { #expect(engine.received($0, on: id, now: 1) == packets.count) }
            engine.clear()
        }
        var deliveries: [WireForm: [Stretch]] = [:]
        func publish(_ bytes: [UInt8], from id: ConnectionID) {
            deliveries = [:]
            _ = bytes.withUnsafeBytes { engine.received($0, on: id, now: 1) }
            for case .deliver(_, let stretch) in engine.output.actions { deliveries[stretch.form, default: []].append(stretch) }
            engine.clear()
        }
        publish([0x30, 4, 0, 1, 0x61, 0x78], from: ids[0])
        #expect(deliveries.mapValues(\.count) == [.mqtt3: 10, .exchange: 10])
        #expect(Set(deliveries.mapValues { "\($0[0])" }.values).count == 2)
        for (form, stretches) in deliveries {
            #expect(stretches.allSatisfy { $0 == stretches[0] })
            #expect(stretches[0].source == (form == .mqtt3 ? .input : .made))
        }
        publish(Frame(.message, id: 1, text: "x", name: "a").encoded(), from: ids[1])
        #expect(deliveries[.exchange]?.allSatisfy { $0.source == .input } == true)
        #expect(deliveries[.mqtt3]?.allSatisfy { $0.source == .made && $0 == deliveries[.mqtt3]?[0] } == true)
    }

    @Test(
        "What a protocol has no form for does not reach its clients, and is counted",
        arguments: [
            ("an empty payload is no frame", nil as Frame?, "", [] as [String], 1, 0),
            ("a topic that is no UTF-8 is none of MQTT's", Frame(.message, id: 1, text: "x", name: "a/\u{FFFD}"), "x", [], 0, 1),
        ])
    func inexpressible(what: String, frame: Frame?, payload: String, _ mqttGets: [String], _ lostByExchange: Int, _ lostByMQTT: Int) {
        let worker = SimulatedWorker()
        let mqtt = SimulatedMQTTClient(worker, "c")
        let exchange = worker.connect()
        _ = mqtt.subscribe("a/#")
        _ = exchange.subscribe("a/#", group: "g")
        if let frame {
            // The topic's last character in two bytes that are no UTF-8.
            var bytes = frame.encoded()
            let at = bytes.firstRange(of: Array("\u{FFFD}".utf8))!
            bytes.replaceSubrange(at, with: [0xFF, 0xFE, 0xFD])
            worker.connect().worker.send(bytes, from: worker.connect().id)
            #expect(mqtt.messages() == [])
            #expect(exchange.received().count == 1)
        } else {
            SimulatedMQTTClient(worker, "p").publish("a/b", payload)
            #expect(mqtt.messages() == ["a/b: "])
            #expect(exchange.received().isEmpty)
        }
        #expect(worker.engines[0].output.figures.inexpressible == lostByExchange + lostByMQTT)
    }

    @Test("A packed payload reaches MQTT unpacked, and the exchange protocol as it came")
    func packed() {
        let worker = SimulatedWorker()
        let mqtt = SimulatedMQTTClient(worker, "c")
        let exchange = worker.connect()
        _ = mqtt.subscribe("a")
        _ = exchange.subscribe("a", group: "g")
        // The simulated worker unpacks by turning bytes round.
        let frame = Frame(.message, id: 1, compression: .gzip, value: Array("dekcap".utf8), name: "a")
        worker.connect().send(frame)
        #expect(mqtt.messages() == ["a: packed"])
        #expect(exchange.received() == [frame])
    }

    // MARK: Rules

    @Test("Rules see messages of both protocols alike, and what they make of them goes to both")
    func rules() {
        let rules = ScriptedRules()
        rules.script = ["orders": .send([.init(topic: "eu/orders"), .init(topic: "audit", text: "seen")])]
        let worker = SimulatedWorker(hooks: rules)
        let mqtt = SimulatedMQTTClient(worker, "c")
        let exchange = worker.connect()
        _ = mqtt.subscribe("eu/#", "audit")
        _ = exchange.subscribe("#", group: "g")
        SimulatedMQTTClient(worker, "p").publish("orders", "1")
        worker.connect().publish("orders", "2")
        #expect(mqtt.messages() == ["eu/orders: 1", "audit: seen", "eu/orders: 2", "audit: seen"])
        #expect(exchange.received().map { "\($0.name ?? ""): \($0.text)" } == ["eu/orders: 1", "audit: seen", "eu/orders: 2", "audit: seen"])
        #expect(rules.seen == ["orders hops=0", "orders hops=0"])
    }

    @Test("on_connect turns a client away: CONNACK 5, or 3 where another worker is to serve it")
    func turnedAway() {
        let rules = ScriptedRules()
        for (outcome, code) in [(ConnectOutcome.reject(why: "no"), 5), (.redirect(to: "b:1"), 3)] as [(ConnectOutcome, UInt8)] {
            rules.connect = outcome
            let client = SimulatedMQTTClient(SimulatedWorker(hooks: rules), nil)
            client.send(connect.encoded())
            #expect(client.received() == [[0x20, 2, 0, code]])
            #expect(client.closed == (code == 5 ? .ruleRejected : .workerElsewhere))
        }
    }

    @Test("on_deliver changes what one client gets, in its own form")
    func deliver() {
        let rules = ScriptedRules()
        rules.wanted = [.deliver]
        let worker = SimulatedWorker(loops: 2, hooks: rules)
        let mqtt = SimulatedMQTTClient(worker, "c", loop: 1)
        _ = mqtt.subscribe("a")
        rules.deliveries = [mqtt.id: "changed"]
        worker.connect().publish("a", "x")
        #expect(mqtt.messages() == ["a: changed"])
    }

    @Test("What rules and the log know of a client: its identifier, its user name, no group of its own")
    func peer() {
        let worker = SimulatedWorker()
        let client = SimulatedMQTTClient(worker, nil)
        var connect = Connect(version: .v3_1_1, clientID: "sensor-1")
        connect.userName = "ann"
        client.send(connect.encoded())
        _ = client.subscribe("a", "$share/g/b")
        let peer = worker.engines[0].peer(client.id)
        #expect((peer?.uid, peer?.device, peer?.protocolName) == ("ann", "sensor-1", "mqtt"))
        #expect(peer?.groups == ["g"])
    }
}
