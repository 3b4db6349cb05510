import ExchangeCodec
import MQTTCodec
import SeededRandom
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("MQTT 3.1.1: clients, subscriptions, broken packets")
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
            ("a CONNACK", [0x20, 2, 0, 0], .frameMalformed), ("a PUBACK without an identifier", [0x40, 1, 0], .frameMalformed),
            ("a SUBSCRIBE without filters (MQTT-3.8.3-3)", [0x82, 2, 0, 1], .frameMalformed),
            ("a SUBSCRIBE of QoS 3 (MQTT-3.8.3-4)", [0x82, 6, 0, 1, 0, 1, 0x61, 3], .frameMalformed),
            ("packet identifier 0 (MQTT-2.3.1-1)", [0x82, 6, 0, 0, 0, 1, 0x61, 0], .frameMalformed),
            ("a topic with a wildcard (MQTT-3.3.2-2)", [0x30, 4, 0, 1, 0x23, 0x78], .frameMalformed),
            ("an empty topic (MQTT-4.7.3-1)", [0x30, 3, 0, 0, 0x78], .frameMalformed),
            ("a topic with NUL (MQTT-4.7.3-2)", [0x30, 4, 0, 1, 0, 0x78], .frameMalformed),
            ("a topic that is no UTF-8 (MQTT-1.5.3-1)", [0x30, 4, 0, 1, 0xFF, 0x78], .frameMalformed),
            ("a packet that ends within its topic", [0x30, 2, 0, 9], .frameMalformed),
            ("a remaining length of five bytes", [0x30, 0x80, 0x80, 0x80, 0x80, 1], .frameMalformed),
            ("a PUBLISH of QoS 1 without an identifier", [0x32, 4, 0, 1, 0x61, 0], .frameMalformed),
            ("a PUBLISH of QoS 3", [0x36, 5, 0, 1, 0x61, 0, 1], .frameMalformed),
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

    @Test("Each filter of a SUBSCRIBE has its code: the QoS that it asks for, or failure (MQTT-3.8.4-5, MQTT-3.9.3-1)")
    func subscribes() {
        let client = SimulatedMQTTClient(SimulatedWorker(), "c")
        #expect(client.subscribe("a/b", "a/+", "#", qos: .exactlyOnce) == [.grantedQoS2, .grantedQoS2, .grantedQoS2])
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
}
