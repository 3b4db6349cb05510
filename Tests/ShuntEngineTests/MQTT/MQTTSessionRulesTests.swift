import ExchangeCodec
import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("Rules about groups, sessions, wills and acknowledgements")
struct MQTTSessionRulesTests {
    private let rules = OwnRules()

    // MARK: groups

    @Test("A rule chooses a group's member, on whatever loop; otherwise the strategy does", arguments: [1, 3])
    func select(loops: Int) {
        rules.wanted = .select
        let worker = SimulatedWorker(loops: loops, strategies: .init(standard: .roundRobin), hooks: rules)
        let members = (0..<3).map { SimulatedMQTTClient(worker, "member-\($0)") }
        for member in members { _ = member.subscribe("$share/g/t") }
        let single = SimulatedMQTTClient(worker, "single")
        _ = single.subscribe("t")
        let producer = worker.connect(loop: loops - 1)
        var groups: Set<String> = []
        for wanted in members {
            rules.select = { group, members in
                groups.insert(group)
                return members.firstIndex { $0.id == wanted.id }
            }
            for _ in 0..<4 { producer.publish("t", "x") }
            #expect(members.map { $0.messages().count } == members.map { $0.id == wanted.id ? 4 : 0 })
        }
        #expect(single.messages().count == 12)
        #expect(groups == ["g"])
        rules.select = { _, members in members.count + 5 }
        for _ in 0..<6 { producer.publish("t", "x") }
        #expect(members.map { $0.messages().count } == [2, 2, 2])
    }

    @Test("A group of one has nothing to choose, and only members that take the key are offered")
    func keys() {
        rules.wanted = .select
        let worker = SimulatedWorker(hooks: rules)
        let (one, two, all, producer) = (worker.connect(), worker.connect(), worker.connect(), worker.connect())
        _ = one.subscribe("t", group: "g", key: "1")
        _ = two.subscribe("t", group: "g", key: "2")
        var offered: [Int] = []
        rules.select = { _, members in
            offered.append(members.count)
            return members.count - 1
        }
        producer.publish("t", "x", key: "1")
        #expect(offered == [])
        _ = all.subscribe("t", group: "g")
        producer.publish("t", "x", key: "2")
        #expect(offered == [2])
        #expect((one.texts().count, two.texts().count, all.texts().count) == (1, 0, 1))
    }

    // MARK: sessions

    @Test("A session is created, taken over, resumed, ended by a clean start, and expires")
    func sessions() {
        rules.wanted = .session
        let worker = SimulatedWorker(hooks: rules)
        func connect(isClean: Bool = false) -> SimulatedMQTTClient {
            .v5(worker, "c", isClean: isClean) { $0.properties.sessionExpiry = 10 }
        }
        func events() -> [String] { rules.takeTold().filter { $0.hasSuffix(" c") } }
        _ = connect()
        #expect(events() == ["created c"])
        _ = connect()
        #expect(events() == ["taken_over c", "resumed c"])
        let last = connect(isClean: true)
        #expect(events() == ["taken_over c", "ended c", "created c"])
        last.vanish()
        worker.now += 11
        worker.tick()
        #expect(events() == ["expired c"])
    }

    @Test("What on_disconnect and on_session send goes to the members of a group that are left", arguments: [nil, 0, 100] as [UInt32?])
    func sentWhenLeaving(expiry: UInt32?) {
        rules.wanted = .session
        let worker = SimulatedWorker(hooks: rules)
        let stays = SimulatedMQTTClient(worker, "stays")
        for number in 0..<4 {
            let leaver = SimulatedMQTTClient.v5(worker, "leaver", isClean: false) { $0.properties.sessionExpiry = expiry.map { _ in 100 } }
            _ = leaver.subscribe("$share/g/jobs")
            if number == 0 { _ = stays.subscribe("$share/g/jobs") }
            rules.onTold = { [rules] told in
                if told.hasPrefix("disconnect") || told == "ended leaver" || told == "expired leaver" { rules.sends = [.init(topic: "jobs")] }
            }
            var goodbye = Disconnect(.success)
            goodbye.properties.sessionExpiry = expiry
            leaver.send(goodbye.encoded(.v5))
            worker.now += 101
            worker.tick()
            rules.onTold = nil
        }
        #expect(stays.messages().count == (expiry == nil ? 4 : 8))
    }

    @Test(
        "A client that a rule closes before its CONNACK is refused: it has no session, and one that was there is kept",
        arguments: ["created", "taken_over", "resumed", "ended"], [MQTTVersion.v3_1_1, .v5])
    func closedWhileEntering(event: String, version: MQTTVersion) {
        rules.wanted = .session
        let worker = SimulatedWorker(hooks: rules)
        let engine = worker.engines[0]
        let consumer = SimulatedMQTTClient(worker, "consumer")
        _ = consumer.subscribe("w")
        func greeting(isClean: Bool) -> Connect {
            var greeting = Connect(version: version, clientID: "c", isClean: isClean)
            greeting.properties.sessionExpiry = version == .v5 ? 100 : nil
            greeting.will = Connect.Will(topic: "w", payload: Array("gone".utf8))
            return greeting
        }
        if event != "created" {
            let before = SimulatedMQTTClient(worker, greeting: greeting(isClean: false))
            _ = before.subscribe("a", qos: .atLeastOnce)
            if event != "taken_over" { before.vanish() }
        }
        _ = consumer.received()
        let client = SimulatedMQTTClient(worker, greeting: nil, version: version)
        rules.onTold = { if $0 == "\(event) c" { engine.close(client.id, why: "not now", by: "first") } }
        client.send(greeting(isClean: event == "ended").encoded())
        rules.onTold = nil
        let packets = client.received()
        #expect(packets.map { PacketType(rawValue: $0[0] >> 4) } == [.connectAcknowledgement])
        #expect(packets.first?[3] == (version == .v5 ? ReasonCode.notAuthorized.rawValue : 5))
        #expect(client.closed == .ruleRejected)
        worker.disconnect(client.id)
        #expect(consumer.messages() == (event == "taken_over" ? ["w: gone"] : []))
        let isKept = event == "taken_over" || event == "resumed"
        #expect((engine.sessions.count, engine.sessions.absent) == (isKept ? (1, 1) : (0, 0)))
        #expect(engine.output.figures.mqttClients == 1)
        let again = SimulatedMQTTClient(worker, greeting: nil, version: version)
        again.send(greeting(isClean: false).encoded())
        #expect(again.connected()?.hasSession == isKept)
    }

    // MARK: wills

    private func mortal(_ worker: SimulatedWorker, delay: UInt32? = nil) -> SimulatedMQTTClient {
        .v5(worker, "c", isClean: delay == nil) {
            var will = Connect.Will(topic: "w", payload: Array("gone".utf8), qos: .atMostOnce, isRetained: false)
            will.properties.willDelay = delay
            $0.will = will
            $0.properties.sessionExpiry = delay == nil ? 0 : 100
        }
    }

    @Test("on_will sees a will before it is published, which then goes through the rules of its topic")
    func will() {
        rules.wanted = .will
        rules.script["w"] = [.init(topic: "by-rule")]
        rules.script["instead"] = [.init(topic: "through")]
        let worker = SimulatedWorker(hooks: rules)
        let watcher = SimulatedMQTTClient(worker, "watcher")
        _ = watcher.subscribe("#")
        mortal(worker).vanish()
        #expect(watcher.messages() == ["by-rule: made"])
        #expect(rules.takeTold().contains("will c here"))
        rules.isFinal = true
        mortal(worker).vanish()
        #expect(watcher.messages() == ["w: gone"])
        rules.isFinal = false
        rules.will = .drop
        mortal(worker).vanish()
        #expect(watcher.messages() == [])
        rules.will = .send
        let client = mortal(worker)
        rules.sends = []
        let other = mortal(worker, delay: 5)
        _ = client
        rules.will = .pass
        other.vanish()
        worker.now += 6
        _ = rules.takeTold()
        worker.tick()
        #expect(rules.takeTold().contains("will c here"))
        // What an on_will has made of a will, and has ended the chain with, goes through the rules of no topic.
        rules.will = .send
        rules.isFinal = true
        rules.onTold = { [rules] told in if told.hasPrefix("will") { rules.sends = [.init(topic: "instead"), .init(topic: "w")] } }
        _ = watcher.messages()
        mortal(worker).vanish()
        #expect(watcher.messages() == ["through: made", "w: made"])
    }

    // MARK: acknowledgements

    @Test("on_acked comes once for each message that a client has taken, with QoS 1 and 2, where a rule has it")
    func acked() {
        rules.wanted = .acked
        let worker = SimulatedWorker(hooks: rules)
        let consumer = SimulatedMQTTClient(worker, "c"), producer = SimulatedMQTTClient(worker, "p")
        _ = consumer.subscribe("#", qos: .exactlyOnce)
        producer.publish("a", "zero")
        producer.publish("a", "one", qos: .atLeastOnce)
        producer.publish("b", "two", qos: .exactlyOnce)
        let got = consumer.deliveries().filter { $0.qos > .atMostOnce }
        #expect(got.map(\.payload) == ["one", "two"])
        func acks() -> [String] { rules.takeTold().filter { $0.hasPrefix("acked") } }
        #expect(acks() == [])
        consumer.acknowledge(.publishAcknowledgement, got[0].identifier)
        #expect(acks() == ["acked a one atLeastOnce"])
        consumer.acknowledge(.publishAcknowledgement, got[0].identifier)
        #expect(acks() == [])
        consumer.acknowledge(.publishReceived, got[1].identifier)
        #expect(acks() == ["acked b two exactlyOnce"])
        consumer.acknowledge(.publishComplete, got[1].identifier)
        #expect(acks() == [])
        #expect(worker.engines[0].held.count == 0)
        rules.wanted = []
        worker.engines[0].setHooks(rules)
        producer.publish("a", "one", qos: .atLeastOnce)
        #expect(worker.engines[0].held.count == 0)
        consumer.acknowledge(.publishAcknowledgement, consumer.deliveries()[0].identifier)
        #expect(acks() == [])
    }

    @Test("What a client refuses is not acknowledged, and what it leaves unanswered is given back")
    func refused() {
        rules.wanted = .acked
        let worker = SimulatedWorker(hooks: rules)
        let consumer = SimulatedMQTTClient.v5(worker, "c"), producer = SimulatedMQTTClient(worker, "p")
        _ = consumer.subscribe("#", qos: .exactlyOnce)
        for _ in 0..<3 { producer.publish("a", "one", qos: .atLeastOnce) }
        let got = consumer.deliveries()
        consumer.acknowledge(.publishAcknowledgement, got[0].identifier, .unspecifiedError)
        #expect(!rules.takeTold().contains { $0.hasPrefix("acked") })
        #expect(worker.engines[0].held.count == 2)
        consumer.vanish()
        #expect(worker.engines[0].held.count == 0)
    }
}
