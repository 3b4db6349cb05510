import ExchangeCodec
import MQTTCodec
import SeededRandom
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("MQTT 3.1.1 with QoS 0")
struct MQTTFrontTests {
    private let connect = Connect(version: .v3_1_1, clientID: "c")

    // MARK: CONNECT

    @Test("CONNECT is answered with CONNACK, without a session (MQTT-3.2.0-1, MQTT-3.2.2-1)", arguments: [MQTTVersion.v3_1, .v3_1_1])
    func connects(version: MQTTVersion) {
        let client = SimulatedMQTTClient(SimulatedWorker(), nil)
        client.send(Connect(version: version, clientID: "c").encoded())
        #expect(client.received() == [[0x20, 2, 0, 0]])
        client.send(Ping.request)
        #expect(client.received() == [Ping.response])
        #expect(client.closed == nil)
    }

    @Test(
        "What is refused by a return code, and closed (MQTT-3.1.2-2, MQTT-3.1.3-8)",
        arguments: [
            (Connect(version: .v5, clientID: "c").encoded(), [0x20, 3, 0, 0x84, 0], ErrorCode.requestUnsupported),
            ([0x10, 13, 0, 4, 0x4D, 0x51, 0x54, 0x54, 9, 2, 0, 0, 0, 1, 0x63], [0x20, 2, 0, 1], .requestUnsupported),
            (Connect(version: .v3_1_1, clientID: "", isClean: false).encoded(), [0x20, 2, 0, 2], .requestInvalid),
        ] as [([UInt8], [UInt8], ErrorCode)])
    func refused(packet: [UInt8], answer: [UInt8], code: ErrorCode) {
        let client = SimulatedMQTTClient(SimulatedWorker(), nil)
        client.send(packet)
        #expect(client.received() == [answer])
        #expect(client.closed == code)
    }

    @Test(
        "What closes the connection without a word",
        arguments: [
            ("the first packet is no CONNECT (MQTT-3.1.0-1)", Ping.request), ("not even its beginning", [0x47]),
            ("a reserved packet type", [0x00, 0]), ("reserved flags (MQTT-2.2.2-2)", [0x11, 0]),
            ("a reserved connect flag (MQTT-3.1.2-3)", [0x10, 13, 0, 4, 0x4D, 0x51, 0x54, 0x54, 4, 3, 0, 0, 0, 1, 0x63]),
        ] as [(String, [UInt8])])
    func closed(what: String, packet: [UInt8]) {
        let client = SimulatedMQTTClient(SimulatedWorker(), nil)
        client.send(packet)
        #expect(client.received() == [])
        #expect(client.closed == .frameMalformed, "\(what)")
    }

    @Test(
        "What closes a client that has greeted",
        arguments: [
            ("a second CONNECT (MQTT-3.1.0-2)", Connect(version: .v3_1_1, clientID: "c").encoded(), ErrorCode.frameMalformed),
            ("a CONNACK", [0x20, 2, 0, 0], .frameMalformed), ("a PUBACK for nothing", [0x40, 2, 0, 1], .frameMalformed),
            ("a SUBSCRIBE without filters (MQTT-3.8.3-3)", [0x82, 2, 0, 1], .frameMalformed),
            ("a SUBSCRIBE of QoS 3 (MQTT-3.8.3-4)", [0x82, 6, 0, 1, 0, 1, 0x61, 3], .frameMalformed),
            ("packet identifier 0 (MQTT-2.3.1-1)", [0x82, 6, 0, 0, 0, 1, 0x61, 0], .frameMalformed),
            ("a topic with a wildcard (MQTT-3.3.2-2)", [0x30, 4, 0, 1, 0x23, 0x78], .frameMalformed),
            ("an empty topic (MQTT-4.7.3-1)", [0x30, 3, 0, 0, 0x78], .frameMalformed),
            ("a topic with NUL (MQTT-4.7.3-2)", [0x30, 4, 0, 1, 0, 0x78], .frameMalformed),
            ("a topic that is no UTF-8 (MQTT-1.5.3-1)", [0x30, 4, 0, 1, 0xFF, 0x78], .frameMalformed),
            ("a packet that ends within its topic", [0x30, 2, 0, 9], .frameMalformed),
            ("a remaining length of five bytes", [0x30, 0x80, 0x80, 0x80, 0x80, 1], .frameMalformed),
            ("a PUBLISH of QoS 1, which this front does not serve", [0x32, 5, 0, 1, 0x61, 0, 1], .requestUnsupported),
            ("a packet beyond limits.frame", [0x30, 0xFF, 0xFF, 0xFF, 0x7F], .frameTooLarge),
        ] as [(String, [UInt8], ErrorCode)])
    func faults(what: String, packet: [UInt8], code: ErrorCode) {
        let client = SimulatedMQTTClient(SimulatedWorker(), "c")
        client.send(packet)
        #expect(client.closed == code, "\(what)")
    }

    @Test("A client that connects with another's identifier takes its place, on whatever loop (MQTT-3.1.4-2)", arguments: [0, 1])
    func takeover(loop: Int) {
        let worker = SimulatedWorker(loops: 2)
        let old = SimulatedMQTTClient(worker, "same"), other = SimulatedMQTTClient(worker, "other")
        worker.now += 1
        let new = SimulatedMQTTClient(worker, "same", loop: loop)
        #expect(old.closed == .sessionReplaced)
        #expect((other.closed, new.closed) == (nil, nil))
        // What the old one leaves behind does not hurt the new one.
        worker.now += 1
        #expect(SimulatedMQTTClient(worker, "same", loop: 1 - loop).closed == nil)
        #expect(new.closed == .sessionReplaced)
    }

    @Test("Identifiers are their bytes: one that only looks like another's takes nobody's place", arguments: [0, 1])
    func exactIdentifiers(loop: Int) {
        let worker = SimulatedWorker(loops: 2)
        let composed = SimulatedMQTTClient(worker, "\u{E9}")
        worker.now += 1
        let decomposed = SimulatedMQTTClient(worker, "e\u{301}", loop: loop)
        #expect((composed.closed, decomposed.closed) == (nil, nil))
    }

    @Test("Of two that connect at the same time on two loops one stays")
    func race() {
        let worker = SimulatedWorker(loops: 2)
        worker.deliversAtOnce = false
        let one = SimulatedMQTTClient(worker, "same", loop: 0), two = SimulatedMQTTClient(worker, "same", loop: 1)
        worker.deliverAll()
        #expect([one, two].count { $0.closed == nil } == 1)
    }

    @Test("A client that is silent for one and a half times its keep alive is closed (MQTT-3.1.2-24); one that pings, or wants none, is not")
    func keepAlive() {
        let worker = SimulatedWorker()
        let clients = ([10, 10, 0] as [UInt16]).map { seconds in
            let client = SimulatedMQTTClient(worker, nil)
            client.send(Connect(version: .v3_1_1, clientID: "\(client.id)", keepAlive: seconds).encoded())
            return client
        }
        let mute = SimulatedMQTTClient(worker, nil)
        for second in 1...14 {
            worker.now += 1
            for _ in 0..<10 { worker.tick() }
            clients[1].send(Ping.request)
            if second == 12 { #expect(mute.closed == .keepAlive, "no CONNECT for 10 seconds") }
        }
        #expect(clients.map(\.closed) == [nil, nil, nil])
        for _ in 0..<3 {
            worker.now += 1
            for _ in 0..<10 { worker.tick() }
            clients[1].send(Ping.request)
        }
        #expect(clients.map(\.closed) == [.keepAlive, nil, nil])
        // The clock is set: nobody has been silent for that long.
        worker.now += 3600
        for _ in 0..<10 { worker.tick() }
        #expect(clients[1].closed == nil)
    }

    @Test("A producer that is not read from has its whole keep alive again, once it is read from")
    func keepAliveWhileHeld() {
        let worker = SimulatedWorker()
        let (consumer, producer) = (SimulatedMQTTClient(worker, "consumer"), SimulatedMQTTClient(worker, nil))
        #expect(consumer.subscribe("t") == [.success])
        producer.send(Connect(version: .v3_1_1, clientID: "producer", keepAlive: 1).encoded())
        worker.engines[0].pressure(.congested, on: consumer.id)
        worker.tick()
        producer.send([0x30, 4, 0, 1, 0x74, 0x78])
        func wait(_ seconds: Int) {
            for _ in 0..<seconds {
                worker.now += 1
                for _ in 0..<10 { worker.tick() }
            }
        }
        #expect(worker.held == [producer.id])
        wait(5)
        #expect(producer.closed == nil)
        worker.engines[0].pressure(.none, on: consumer.id)
        worker.tick()
        #expect(worker.held.isEmpty && producer.closed == nil)
        wait(1)
        #expect(producer.closed == nil)
        wait(2)
        #expect(producer.closed == .keepAlive)
    }

    @Test("A will goes to the members of a group that are left, not to its own client")
    func willToOwnGroup() {
        let worker = SimulatedWorker()
        let client = SimulatedMQTTClient(worker, nil)
        var connect = Connect(version: .v3_1_1, clientID: "c")
        connect.will = Connect.Will(topic: "gone", payload: Array("lost".utf8))
        client.send(connect.encoded())
        // It is the group's first member, whose turn it is.
        #expect(client.subscribe("$share/g/gone") == [.success])
        let watcher = SimulatedMQTTClient(worker, "watcher")
        #expect(watcher.subscribe("$share/g/gone") == [.success])
        worker.disconnect(client.id)
        #expect(watcher.messages().count == 1)
    }

    @Test("A will is published when its client goes without DISCONNECT, and not after it (MQTT-3.1.2-8, MQTT-3.14.4-3)", arguments: [true, false])
    func will(saysGoodbye: Bool) {
        let worker = SimulatedWorker()
        let watcher = SimulatedMQTTClient(worker, "watcher")
        #expect(watcher.subscribe("gone/#") == [.success])
        let client = SimulatedMQTTClient(worker, nil)
        var connect = Connect(version: .v3_1_1, clientID: "c")
        connect.will = Connect.Will(topic: "gone/c", payload: Array("lost".utf8))
        client.send(connect.encoded())
        if saysGoodbye { client.send(Disconnect().encoded(.v3_1_1)) } else { worker.disconnect(client.id) }
        #expect(watcher.messages() == (saysGoodbye ? [] : ["gone/c: lost"]))
    }

    @Test("A stream that is cut anywhere is the same stream")
    func fragments() {
        let packets =
            Connect(version: .v3_1_1, clientID: "c").encoded() + Subscribe(1, [.init("a")]).encoded(.v3_1_1)
            + [0x30, 4, 0, 1, 0x61, 0x78] + Ping.request + [0x31, 0x83, 1, 0, 1, 0x61] + [UInt8](repeating: 0x79, count: 128)
        for size in 1...packets.count {
            let client = SimulatedMQTTClient(SimulatedWorker(), nil)
            for start in stride(from: 0, to: packets.count, by: size) { client.send(Array(packets[start..<min(start + size, packets.count)])) }
            #expect(client.closed == nil, "\(size) bytes at a time")
            #expect(client.received().map { $0[0] >> 4 } == [2, 9, 3, 13, 3], "\(size) bytes at a time")
        }
    }

    @Test("An identifier that the worker has chosen is nobody else's to take")
    func anonymous() {
        let worker = SimulatedWorker(loops: 2)
        let anonymous = SimulatedMQTTClient(worker, nil)
        anonymous.send(Connect(version: .v3_1_1, clientID: "").encoded())
        #expect(anonymous.received() == [[0x20, 2, 0, 0]])
        let name = worker.engines[0].peer(anonymous.id)?.device ?? ""
        #expect(!name.isEmpty)
        for loop in 0...1 { #expect(SimulatedMQTTClient(worker, name, loop: loop).closed == nil) }
        #expect(anonymous.closed == nil)
    }

    @Test("The silence of a client that the worker does not read does not count")
    func unread() {
        let worker = SimulatedWorker()
        let client = SimulatedMQTTClient(worker, nil)
        client.send(Connect(version: .v3_1_1, clientID: "c", keepAlive: 2).encoded())
        for isRead in [false, true] {
            for _ in 0..<4 {
                worker.now += 1
                if !isRead { worker.engines[0].isUnread(client.id, now: worker.now) }
                for _ in 0..<10 { worker.tick() }
            }
            #expect(client.closed == (isRead ? .keepAlive : nil))
        }
    }

    // MARK: SUBSCRIBE

    @Test("Each filter of a SUBSCRIBE has its code: QoS 0, whatever it asks for, or failure (MQTT-3.8.4-5, MQTT-3.9.3-1)")
    func subscribes() {
        let client = SimulatedMQTTClient(SimulatedWorker(), "c")
        #expect(client.subscribe("a/b", "a/+", "#", qos: .exactlyOnce) == [.success, .success, .success])
        #expect(
            client.subscribe("a#", "a/+b", "$share//f", "$share/g", "$share/g/", "$share/g+/f", "b") == Array(repeating: .unspecifiedError, count: 6)
                + [.success])
        // A mark that combines with the separator before it leaves it a separator.
        #expect(client.subscribe("$share/g/\u{301}", "$share/\u{301}/f", "$share/+\u{301}/f") == [.success, .success, .unspecifiedError])
    }

    @Test("Overlapping filters, and one that is subscribed again, give one message (MQTT-3.3.5-1, MQTT-3.8.4-3)")
    func overlapping() {
        let worker = SimulatedWorker()
        let client = SimulatedMQTTClient(worker, "c")
        #expect(client.subscribe("a/b", "a/+", "#", "a/b") == [.success, .success, .success, .success])
        SimulatedMQTTClient(worker, "p").publish("a/b", "x")
        #expect(client.messages() == ["a/b: x"])
    }

    @Test("UNSUBSCRIBE ends a subscription and is answered, whether there was one or not (MQTT-3.10.4-4, MQTT-3.10.4-5)")
    func unsubscribes() {
        let worker = SimulatedWorker()
        let client = SimulatedMQTTClient(worker, "c"), producer = SimulatedMQTTClient(worker, "p")
        _ = client.subscribe("a", "b")
        client.send(Unsubscribe(300, ["a", "never"]).encoded(.v3_1_1))
        #expect(client.received() == [[0xB0, 2, 1, 44]])
        for topic in ["a", "b"] { producer.publish(topic, "x") }
        #expect(client.messages() == ["b: x"])
        #expect(worker.engines[0].output.figures.subscriptions == 1)
    }

    @Test("Filters that begin with a wildcard take no topic that begins with $ (MQTT-4.7.2-1)")
    func dollar() {
        let worker = SimulatedWorker()
        let client = SimulatedMQTTClient(worker, "c"), producer = SimulatedMQTTClient(worker, "p")
        _ = client.subscribe("#", "+/x")
        producer.publish("$own/x", "1")
        #expect(client.messages() == [])
        _ = client.subscribe("$own/#")
        producer.publish("$own/x", "2")
        #expect(client.messages() == ["$own/x: 2"])
    }

    @Test("SUBACK comes when every loop knows the subscription, in whatever order their mail arrives", arguments: 0..<20 as Range<UInt64>)
    func confirmed(seed: UInt64) {
        var random = SplitMix(seed: seed)
        let worker = SimulatedWorker(loops: 3)
        let client = SimulatedMQTTClient(worker, "c", loop: 0)
        let producers = (1...2).map { SimulatedMQTTClient(worker, "p\($0)", loop: $0) }
        worker.deliversAtOnce = false
        #expect(client.subscribe("a") == nil)
        var isSubscribed = false
        while let way = worker.mail.keys.sorted().randomElement(using: &random) {
            worker.deliver(way)
            if client.subscribed() != nil { isSubscribed = true }
            guard isSubscribed else { continue }
            for producer in producers { producer.publish("a", "x") }
            break
        }
        #expect(isSubscribed)
        worker.deliverAll()
        #expect(client.messages() == ["a: x", "a: x"])
    }

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
