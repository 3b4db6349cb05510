import ExchangeCodec
import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("Who is let in, and what clients may do")
struct AccessTests {
    /// Everything, except what begins with one of these, by action.
    final class Denials: Permissions {
        var denied: [AccessAction: [String]]
        init(_ denied: [AccessAction: [String]]) { self.denied = denied }

        func may(_ action: AccessAction, _ subject: Bytes, group: Bytes?) -> Bool {
            !(denied[action] ?? []).contains { subject.starts(with: $0.utf8) }
        }

        func mayReceive(_ topic: Bytes) -> Bool { may(.subscribe, topic, group: nil) }
        func place(of action: AccessAction, _ subject: Bytes, group: Bytes?) -> String { "the test" }
        func withholds(_ filter: Bytes, group: Bytes?) -> Bool { filter.contains(UInt8(ascii: "#")) && denied[.subscribe] != nil }
    }

    private func ask(_ worker: SimulatedWorker, _ denied: [AccessAction: [String]]? = [:]) {
        for engine in worker.engines {
            engine.setAccess([ListenerAccess(asks: true, permissions: denied.map { denied in { _, _, _ in Denials(denied) } })], now: worker.now)
        }
    }

    private func client(_ worker: SimulatedWorker, _ greeting: Connect, _ uid: String?) -> SimulatedMQTTClient {
        let client = SimulatedMQTTClient(worker, greeting: nil, version: .v5)
        client.send(greeting.encoded())
        if !worker.asked.isEmpty { worker.decide(uid.map { .admitted(Admitted(uid: $0)) } ?? .unknown(mayEnter: true)) }
        _ = worker.takePackets(client.id, 1)
        return client
    }

    private func greeting(_ name: String, isClean: Bool = true) -> Connect {
        var greeting = Connect(version: .v5, clientID: name, isClean: isClean)
        greeting.properties.sessionExpiry = 1000
        return greeting
    }

    // MARK: Coming in

    @Test("A client of the exchange protocol that has to show who it is, and is silent, is closed after ten seconds")
    func silent() {
        let worker = SimulatedWorker()
        let open = worker.connect()
        var access = ListenerAccess(asks: true, permissions: nil)
        access.wantsCredentials = true
        worker.engines[0].setAccess([access], now: worker.now)
        let (silent, ada) = (worker.connect(), worker.connect())
        ada.send(Frame(.register, id: 1, format: .json, value: Array(#"{"uid":"ada","device":"d","token":"ada:secret"}"#.utf8)))
        worker.decide(.admitted(Admitted(uid: "ada")))
        func wait(_ seconds: Int) {
            for _ in 0..<seconds * 10 {
                worker.now += 0.1
                worker.tick()
            }
        }
        wait(9)
        #expect(worker.closed[silent.id] == nil)
        wait(3)
        #expect(worker.closed[silent.id] == .keepAlive)
        wait(60)
        #expect(worker.closed[ada.id] == nil)
        #expect(worker.closed[open.id] == nil)
    }

    @Test(
        "The silence of a client does not count while it is decided about it: when it comes in, and when it shows another token"
    )
    func slowDecisions() {
        let worker = SimulatedWorker()
        var access = ListenerAccess(asks: true, takesTokens: true, permissions: nil)
        access.wantsCredentials = true
        worker.engines[0].setAccess([access], now: worker.now)
        func wait(_ seconds: Int) {
            for _ in 0..<seconds * 10 {
                worker.now += 0.1
                worker.tick()
            }
        }
        let (mqtt, frames, gone) = (SimulatedMQTTClient(worker, greeting: nil, version: .v5), worker.connect(), worker.connect())
        var greeting = Connect(version: .v5, clientID: "c", keepAlive: 2)
        greeting.properties.authenticationMethod = "OAUTH2-JWT"
        greeting.properties.authenticationData = Array("1".utf8)
        mqtt.send(greeting.encoded())
        for client in [frames, gone] { client.send(Frame(.register, id: 1, format: .json, value: RegisterBody(uid: "ada", device: "d").encoded())) }
        wait(60)
        worker.disconnect(gone.id)
        for _ in 0..<3 { worker.decide(.admitted(Admitted(uid: "ada"))) }
        #expect(mqtt.received().first?[0] == 0x20 && frames.received().last?.status == 200)
        #expect(worker.engines[0].undecided.isEmpty)
        var again = Authenticate(.reAuthenticate)
        (again.properties.authenticationMethod, again.properties.authenticationData) = ("OAUTH2-JWT", Array("2".utf8))
        mqtt.send(again.encoded())
        wait(30)
        worker.decide(.admitted(Admitted(uid: "ada")))
        #expect(mqtt.received().last?[0] == 0xF0)
        wait(2)
        #expect(mqtt.closed == nil)
        wait(3)
        #expect(mqtt.closed == .keepAlive)
    }

    @Test("A first request waits until it is decided, and what follows it too; it is decided once", arguments: MQTTVersion.allCases)
    func waits(version: MQTTVersion) {
        let worker = SimulatedWorker(loops: 2)
        ask(worker)
        let client = SimulatedMQTTClient(worker, greeting: nil, version: .v5)
        var greeting = Connect(version: version, clientID: "c")
        (greeting.userName, greeting.password) = ("ada", Array("secret".utf8))
        client.send(greeting.encoded() + Subscribe(1, [.init("t")]).encoded(version))
        #expect(client.received() == [])
        #expect(worker.asked.map { "\($0.credentials)".contains("secret") } == [false])
        #expect(worker.asked.first?.credentials.password == Array("secret".utf8))
        worker.decide(.admitted(Admitted(uid: "ada")))
        #expect(worker.takePackets(client.id).map { $0[0] >> 4 } == [2, 9])
        #expect(worker.asked.isEmpty)
    }

    @Test("A refusal is told by its code, and a name that nobody has proved is none")
    func refused() {
        let worker = SimulatedWorker()
        ask(worker, nil)
        for (code, five, three) in [
            (ErrorCode.accessCredentials, ReasonCode.badUserNameOrPassword, 4), (.accessUnavailable, .serverUnavailable, 3),
            (.accessBanned, .banned, 5), (.accessRate, .connectionRateExceeded, 3),
        ] as [(ErrorCode, ReasonCode, UInt8)] {
            for version in [MQTTVersion.v5, .v3_1_1] {
                let client = SimulatedMQTTClient(worker, greeting: nil, version: .v5)
                client.send(Connect(version: version, clientID: "c").encoded())
                worker.decide(.refused(ShuntError(code, "no")))
                let packet = client.received().first ?? []
                #expect(packet[3] == (version.hasProperties ? five.rawValue : three))
                #expect(client.closed == code)
            }
        }
        var spoofed = greeting("c")
        spoofed.userName = "ada"
        let anonymous = client(worker, spoofed, nil)
        #expect(worker.engines[0].peer(anonymous.id)?.uid == "c")
        #expect(worker.engines[0].clients[anonymous.id.slot].isAnonymous)
    }

    @Test("A client that goes while it is decided leaves nothing, and one that nothing names needs a rule's name")
    func needsName() {
        let rules = ScriptedRules()
        let worker = SimulatedWorker(hooks: rules)
        ask(worker)
        let gone = SimulatedMQTTClient(worker, greeting: nil, version: .v5)
        gone.send(greeting("gone").encoded())
        gone.vanish()
        worker.decide(.admitted(Admitted(uid: "ada")))
        #expect(worker.engines[0].admissions.isEmpty && worker.engines[0].credentialsOf.isEmpty)
        for (outcome, uid) in [(ConnectOutcome.accept, nil), (.acceptAs(uid: "by-rule", tags: nil, alias: nil), "by-rule")]
            as [(ConnectOutcome, String?)]
        {
            rules.connect = outcome
            let client = SimulatedMQTTClient(worker, greeting: nil, version: .v5)
            client.send(greeting("c").encoded())
            worker.decide(.unknown(mayEnter: false))
            #expect(client.closed == (uid == nil ? .accessCredentials : nil))
            if let uid { #expect(worker.engines[0].clients[client.id.slot].identity?.access?.admitted.uid == uid) }
        }
    }

    @Test("Where nobody is asked a rule's name binds no device")
    func openListener() {
        let rules = ScriptedRules()
        rules.connect = .acceptAs(uid: "by-rule", tags: nil, alias: nil)
        let worker = SimulatedWorker(hooks: rules)
        #expect(worker.connect().register("another") == 200)
    }

    @Test("A device is its own user's alone, by either protocol")
    func devices() {
        let worker = SimulatedWorker()
        ask(worker, nil)
        let ada = client(worker, greeting("phone"), "ada")
        ada.publish("$shunt/device", #"{"uid":"bob"}"#, qos: .atLeastOnce)
        #expect(ada.answered(.publishAcknowledgement).first?.reason.isError == true)
        let frames = worker.connect()
        frames.send(Frame(.register, id: 1, format: .json, value: RegisterBody(uid: "bob", device: "phone").encoded()))
        worker.decide(.admitted(Admitted(uid: "ada")))
        #expect(frames.received().last?.status == 403)
        #expect(frames.register("ada") == 200)
    }

    @Test("A client identifier, and its session, is one user's")
    func owner() {
        let worker = SimulatedWorker()
        ask(worker)
        let ada = client(worker, greeting("phone", isClean: false), "ada")
        #expect(client(worker, greeting("phone", isClean: false), "bob").closed == .accessDenied)
        ada.vanish()
        #expect(client(worker, greeting("phone", isClean: false), "bob").closed == .accessDenied)
        #expect(client(worker, greeting("phone", isClean: false), "ada").closed == nil)
    }

    @Test("A client goes when its time is over")
    func expires() {
        let worker = SimulatedWorker()
        ask(worker)
        let ada = SimulatedMQTTClient(worker, greeting: nil, version: .v5)
        ada.send(greeting("c").encoded())
        var admitted = Admitted(uid: "ada")
        admitted.expiresAt = worker.now + 5
        worker.decide(.admitted(admitted))
        _ = ada.received()
        worker.now += 4
        worker.tick()
        #expect(ada.closed == nil)
        worker.now += 2
        worker.tick()
        #expect(ada.disconnected()?.reason == .notAuthorized)
    }

    // MARK: What clients may do

    @Test("Each action is asked for, by a client of either protocol", arguments: AccessAction.allCases)
    func actions(denied: AccessAction) {
        let worker = SimulatedWorker()
        ask(worker, [denied: [""]])
        let ada = client(worker, greeting("ada"), "ada")
        func isDenied(_ reasons: [ReasonCode]?) -> Bool { reasons == [.notAuthorized] }
        #expect(isDenied(ada.subscribe("t", qos: .atMostOnce)) == (denied == .subscribe))
        #expect(isDenied(ada.subscribe("$share/g/t")) == (denied == .share))
        #expect(isDenied(ada.subscribe("$chat/room")) == (denied == .chat))
        for (topic, action) in [("t", AccessAction.publish), ("$shunt/notify", .broadcast), ("$chat/room", .chat)] {
            ada.publish(topic, "{}", qos: .atLeastOnce)
            #expect((ada.answered(.publishAcknowledgement).last?.reason == .notAuthorized) == (denied == action))
            var greeting = greeting("will")
            greeting.will = .init(topic: topic, payload: [1])
            // No will goes to the worker's own topics.
            let expected: ErrorCode? = action != .publish ? .topicInvalid : denied == action ? .accessDenied : nil
            #expect(client(worker, greeting, "will").closed == expected)
        }
        let frames = worker.connect()
        frames.send(Frame(.ping, id: 1))
        worker.decide(.admitted(Admitted(uid: "bob")))
        _ = frames.received()
        #expect((frames.subscribe("u", group: "g") == 403) == (denied == .share))
        for (frame, action) in [
            (Frame(.message, id: 2, text: "x", name: "u"), AccessAction.publish),
            (Frame(.notify, id: 3, format: .json, value: Array("{}".utf8)), .broadcast),
            (Frame(.chat, id: 4, text: "r", name: "r", key: "CREATE"), .chat),
        ] {
            frames.send(frame)
            #expect((frames.received().last { $0.type == .acknowledgement }?.status == 403) == (denied == action), "\(action)")
        }
    }

    @Test("What a rule makes of a message needs its sender's right, or the rule's own", arguments: [false, true])
    func rules(isGranted: Bool) {
        let rules = ScriptedRules()
        let worker = SimulatedWorker(hooks: rules)
        rules.grantsAll = isGranted
        ask(worker, [.publish: ["secret"], .broadcast: [""], .chat: [""]])
        let ada = client(worker, greeting("ada"), "ada"), reader = client(worker, greeting("reader"), "reader")
        _ = reader.subscribe("#")
        rules.script["t"] = .send([.init(topic: "secret/x", text: "a")])
        rules.script["u"] = .send([.init(topic: "secret/x", text: "b"), .init(topic: "free", text: "c")])
        rules.script["v"] = .pass([.init(text: "d", kind: .broadcast)])
        rules.script["w"] = .always(.send([.init(topic: "secret/y")]), rule: 0)
        rules.script["x"] = .send([.init(text: "e", kind: .broadcast), .init(topic: "room", text: "f", kind: .chat)])
        for topic in ["t", "u", "v", "w", "w", "x"] { ada.publish(topic, topic, qos: .atLeastOnce) }
        let topics = reader.deliveries().map(\.topic)
        #expect(topics == (!isGranted ? ["free", "v"] : ["secret/x", "secret/x", "free", "v", "secret/y", "secret/y"]))
        #expect(worker.engines[0].output.figures.denied == (!isGranted ? 7 : 0))
        #expect(worker.engines[0].deniedExample == (!isGranted ? "publish \"secret/x\" by the test" : ""))
        let reasons = ada.answered(.publishAcknowledgement).map(\.reason.isError)
        #expect(reasons == (!isGranted ? [true, false, false, true, true, true] : .init(repeating: false, count: 6)))
    }

    @Test("A message of which something is left is not denied with the rest, though nobody gets it")
    func passing() {
        let rules = ScriptedRules()
        let worker = SimulatedWorker(hooks: rules)
        ask(worker, [.broadcast: [""], .publish: ["secret"]])
        let ada = client(worker, greeting("ada"), "ada")
        rules.script["v"] = .pass([.init(text: "d", kind: .broadcast)])
        rules.script["w"] = .pass([.init(topic: "secret/x", text: "d")])
        rules.script["x"] = .send([.init(topic: "free", text: "d"), .init(topic: "secret/x", text: "d")])
        rules.script["y"] = .always(.send([.init(topic: "free"), .init(topic: "secret/x")]), rule: 0)
        for topic in ["v", "w", "x", "y", "y"] {
            ada.publish(topic, topic, qos: .atLeastOnce)
            #expect(ada.answered(.publishAcknowledgement).last?.reason == .noMatchingSubscribers)
        }
        #expect(worker.engines[0].output.figures.denied == 5)
        #expect(worker.engines[0].output.figures.rejected == 0)
    }

    @Test("A delayed message that a client may not send is denied, and takes no room of others")
    func delays() {
        let rules = OwnRules()
        let worker = SimulatedWorker(hooks: rules)
        ask(worker, [.publish: ["secret"]])
        rules.script["t"] = [.init(topic: "secret/x", delay: 1)]
        let frames = worker.connect()
        rules.room = (0, 0)
        frames.send(Frame(.message, id: 1, text: "x", name: "t"))
        worker.decide(.admitted(Admitted(uid: "bob")))
        #expect(frames.received().last { $0.type == .acknowledgement }?.status == 403)
        #expect(rules.room.messages == worker.engines[0].limits.delayedMessages)
    }

    @Test("What a rule makes of the bytes with which a client comes needs its right, too")
    func firstBytes() {
        let rules = ScriptedRules()
        let worker = SimulatedWorker(hooks: rules)
        ask(worker, [.publish: ["secret"]])
        rules.script["t"] = .send([.init(topic: "secret/x", text: "a")])
        let frames = worker.connect()
        frames.send(Frame(.message, id: 1, text: "x", name: "t"))
        worker.decide(.admitted(Admitted(uid: "bob")))
        #expect(frames.received().last { $0.type == .acknowledgement }?.status == 403)
        #expect(worker.engines[0].output.figures.denied == 1)
    }

    @Test("A will whose right has gone is not published")
    func will() {
        let worker = SimulatedWorker()
        ask(worker)
        var dying = greeting("dying")
        dying.will = .init(topic: "last", payload: [1])
        let first = client(worker, dying, "ada"),
            second = client(
                worker,
                {
                    var other = dying; other.clientID = "other"; return other
                }(), "ada")
        let reader = client(worker, greeting("reader"), "reader")
        _ = reader.subscribe("last")
        first.send(Disconnect(.disconnectWithWill).encoded(.v5))
        #expect(reader.deliveries().count == 1)
        ask(worker, [.publish: ["last"]])
        second.send(Disconnect(.disconnectWithWill).encoded(.v5))
        #expect(reader.deliveries().count == 0)
    }

    // MARK: Rights that change

    @Test("Other rights hold at once, for subscriptions too; and no rights set means none are missing")
    func reloads() {
        let worker = SimulatedWorker()
        ask(worker)
        let reader = client(worker, greeting("reader"), nil), sender = client(worker, greeting("sender"), nil)
        _ = reader.subscribe("a", "b")
        ask(worker, [.subscribe: ["a"], .publish: ["c"]])
        for topic in ["a", "b"] { sender.publish(topic, "x") }
        #expect(reader.deliveries().map(\.topic) == ["b"])
        sender.publish("c", "x", qos: .atLeastOnce)
        #expect(sender.answered(.publishAcknowledgement).first?.reason == .notAuthorized)
        ask(worker, nil)
        sender.publish("c", "x", qos: .atLeastOnce)
        #expect(sender.answered(.publishAcknowledgement).first?.reason == .noMatchingSubscribers)
        #expect(reader.subscribe("a") == [.success])
    }

    @Test("A session that comes back has the rights of now: its subscriptions, and what has waited for it")
    func absent() {
        let worker = SimulatedWorker()
        ask(worker)
        let first = client(worker, greeting("a", isClean: false), "ada"), sender = client(worker, greeting("sender"), nil)
        #expect(first.subscribe("x", "y", qos: .atLeastOnce) == [.grantedQoS1, .grantedQoS1])
        first.vanish()
        for topic in ["x", "y"] { sender.publish(topic, "before", qos: .atLeastOnce) }
        ask(worker, [.subscribe: ["x"]])
        for topic in ["x", "y"] { sender.publish(topic, "after", qos: .atLeastOnce) }
        let second = client(worker, greeting("a", isClean: false), "ada")
        #expect(second.messages() == ["y: before", "y: after"])
        for topic in ["x", "y"] { sender.publish(topic, "now", qos: .atLeastOnce) }
        #expect(second.messages() == ["y: now"])
        #expect(worker.engines[0].output.figures.withheld == 2)
    }
}
