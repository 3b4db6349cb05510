import ExchangeCodec
import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("MQTT meets the exchange protocol: keys, devices, broadcasts, chats, presence")
struct MQTTServicesTests {
    private func known(_ name: String, _ properties: [Properties.UserProperty] = []) -> Connect {
        var greeting = Connect(version: .v5, clientID: name)
        greeting.userName = "user-" + name
        greeting.properties.userProperties = properties
        return greeting
    }

    @Test("A key is the user property `key`, a format the content type, both ways")
    func keysAndFormats() {
        let worker = SimulatedWorker(strategies: GroupStrategies(standard: .keyHash))
        let exchange = worker.connect(), client = SimulatedMQTTClient.v5(worker, "c")
        _ = exchange.subscribe("a", group: "g")
        _ = client.subscribe("b", qos: .exactlyOnce)
        var properties = Properties.none
        properties.userProperties = [.init("key", "k7")]
        properties.contentType = "application/json"
        client.publish("a", "{}", properties)
        let frame = exchange.received().last
        #expect(frame?.key == "k7")
        #expect(frame?.format == .json)
        exchange.publish("b", "x", key: "k8")
        let delivery = client.deliveries().first
        #expect(delivery?.properties.userProperties == [.init("key", "k8")])
        #expect(delivery?.properties.contentType == "text/plain")
        #expect(delivery?.properties.payloadFormat == 1)
        // A message of the exchange protocol counts as QoS 1.
        #expect(delivery?.qos == .atLeastOnce)
    }

    @Test("A payload that is no UTF-8 is not said to be a text")
    func binary() {
        let worker = SimulatedWorker()
        let exchange = worker.connect(), client = SimulatedMQTTClient.v5(worker, "c")
        _ = client.subscribe("a")
        for value: [UInt8] in [[0xFF, 0xD8, 0xFF], [0x78]] {
            for format in [PayloadFormat.text, .json] { exchange.send(Frame(.message, id: 1, format: format, value: value, name: "a")) }
        }
        #expect(client.deliveries().map(\.properties.payloadFormat) == [nil, nil, 1, 1])
    }

    @Test("A client that comes back to its session is in its chats, and gets what waits there; it gets broadcasts too", arguments: [1, 3])
    func resumed(loops: Int) {
        let worker = SimulatedWorker(loops: loops)
        func ada() -> SimulatedMQTTClient {
            var greeting = known("ada")
            (greeting.isClean, greeting.properties.sessionExpiry) = (false, 60)
            return SimulatedMQTTClient(worker, greeting: greeting)
        }
        let exchange = worker.connect()
        exchange.chat("room", .create)
        let first = ada()
        #expect(first.subscribe("$chat/room", "$shunt/notify", "a/b", qos: .atLeastOnce)?.contains { $0.isError } == false)
        first.vanish()
        exchange.chat("room", .session, "while away")
        let second = ada()
        #expect(second.messages() == ["$chat/room: while away"])
        exchange.chat("room", .session, "again")
        #expect(second.deliveries().map { "\($0.topic): \($0.payload) \($0.qos)" } == ["$chat/room: again atLeastOnce"])
        _ = exchange.chatter()
        second.publish("$chat/room", "from ada", qos: .atLeastOnce)
        #expect(second.answered(.publishAcknowledgement).map(\.reason) == [.success])
        #expect(exchange.chatter() == ["SESSION from ada"])
        let body = NotifyBody(message: "hi", uid: "user-ada")
        #expect(exchange.ask(Frame(.notify, id: 3, format: .json, value: body.encoded()))?.status == 200)
        #expect(second.messages() == ["$shunt/notify: hi"])
        // What it has given up does not come back.
        second.send(Unsubscribe(9, ["$chat/room", "$shunt/notify"]).encoded(.v5))
        second.vanish()
        let third = ada()
        _ = third.received()
        exchange.chat("room", .session, "gone")
        _ = exchange.ask(Frame(.notify, id: 4, format: .json, value: body.encoded()))
        #expect(third.messages() == [])
    }

    @Test("A chat that does not let a client back in is no longer its own")
    func resumedElsewhere() {
        let worker = SimulatedWorker(masters: ["m:1"])
        var greeting = known("ada")
        (greeting.isClean, greeting.properties.sessionExpiry) = (false, 60)
        let first = SimulatedMQTTClient(worker, greeting: greeting)
        first.send(Subscribe(7, [.init("$chat/room")]).encoded(.v5))
        worker.answered(worker.questions.removeFirst(), .granted)
        first.vanish()
        worker.received(.moved(chat: "room", to: "10.0.0.9:4091"), of: "room")
        let second = SimulatedMQTTClient(worker, greeting: greeting)
        worker.answered(worker.questions.removeFirst(), .elsewhere("10.0.0.9:4091"))
        #expect(second.received() == [])
        #expect(worker.engines[0].clients[second.id.slot].identity?.chats.isEmpty == true)
        #expect(worker.engines[0].waitingSubscribes.isEmpty)
    }

    @Test("A chat that is given up before it has answered is answered first")
    func givenUpEarly() {
        let worker = SimulatedWorker(masters: ["m:1"])
        let ada = SimulatedMQTTClient(worker, greeting: known("ada"))
        ada.send(Subscribe(7, [.init("$chat/room")]).encoded(.v5) + Unsubscribe(8, ["$chat/room"]).encoded(.v5))
        #expect(ada.received().map { $0[0] >> 4 } == [PacketType.subscribeAcknowledgement.rawValue, PacketType.unsubscribeAcknowledgement.rawValue])
        worker.answered(worker.questions.removeFirst(), .granted)
        #expect(ada.received() == [])
        #expect(worker.engines.allSatisfy { $0.waitingSubscribes.isEmpty && $0.output.figures.chats == 0 })
    }

    @Test("A will for one of the worker's own topics is refused", arguments: ["$chat/a", "$chat/a/destroy", "$shunt/notify", "$shunt/x", "$SYS/a"])
    func wills(topic: String) {
        let client = SimulatedMQTTClient(SimulatedWorker(), nil)
        var greeting = Connect(version: .v5, clientID: "c")
        greeting.will = Connect.Will(topic: topic, payload: [0x78])
        client.send(greeting.encoded())
        let answer = client.answers(.connectAcknowledgement) { try ConnectAcknowledgement(decoding: $0, .v5) }.first
        #expect(answer?.reason == (topic == "$SYS/a" ? .notAuthorized : .topicNameInvalid))
        #expect(client.closed == .topicInvalid)
    }

    @Test("A broadcast reaches devices of both protocols, by the name and the tags that CONNECT gave", arguments: [1, 2])
    func broadcasts(loops: Int) {
        let worker = SimulatedWorker(loops: loops)
        let exchange = worker.connect(loop: loops - 1)
        #expect(exchange.register("bob", tags: ["ios"]) == 200)
        let phone = SimulatedMQTTClient(worker, greeting: known("phone", [.init("tag", "ios")]))
        let quiet = SimulatedMQTTClient(worker, greeting: known("quiet", [.init("tag", "ios")]))
        let sender = SimulatedMQTTClient(worker, greeting: known("sender"))
        #expect(phone.subscribe("$shunt/notify", qos: .atLeastOnce) == [.grantedQoS1])
        sender.publish("$shunt/notify", #"{"message":"hello","match_tags":["ios"]}"#, qos: .atLeastOnce)
        let answer = sender.answered(.publishAcknowledgement).first
        #expect(answer?.reason == .success)
        let delivery = phone.deliveries().first
        #expect(delivery?.topic == "$shunt/notify")
        #expect(delivery?.payload == "hello")
        #expect(delivery?.qos == .atLeastOnce)
        #expect(quiet.messages() == [])
        #expect(exchange.received().contains { $0.type == .notify })
        // The filter may stand in a user property, and the text be the payload.
        var properties = Properties.none
        properties.userProperties = [.init("filter", #"{"uid":"user-phone"}"#)]
        sender.publish("$shunt/notify", "again", qos: .exactlyOnce, properties)
        #expect(sender.answered(.publishReceived).first?.reason == .success)
        #expect(phone.messages() == ["$shunt/notify: again"])
        properties.userProperties = [.init("filter", #"{"uid":"nobody"}"#)]
        sender.publish("$shunt/notify", "again", qos: .atLeastOnce, properties)
        #expect(sender.answered(.publishAcknowledgement).first?.reason == .noMatchingSubscribers)
    }

    @Test("Clients without a user name send no broadcasts, unless they may")
    func anonymous() {
        for senders in BroadcastSenders.allCases {
            let worker = SimulatedWorker(limits: RoutingLimits(mqtt: MQTTLimits(broadcastsFrom: senders)))
            let client = SimulatedMQTTClient.v5(worker, "c")
            _ = client.subscribe("$shunt/notify")
            client.publish("$shunt/notify", #"{"message":"x"}"#, qos: .atLeastOnce)
            let packets = client.received()
            worker.putBack(packets, client.id)
            #expect(client.answered(.publishAcknowledgement).first?.reason == (senders == .all ? .success : .notAuthorized))
            worker.putBack(packets, client.id)
            #expect(client.messages().count == (senders == .all ? 1 : 0))
        }
    }

    @Test("A device may say later what it is")
    func device() {
        let worker = SimulatedWorker()
        let phone = SimulatedMQTTClient(worker, greeting: known("phone")), sender = worker.connect()
        _ = phone.subscribe("$shunt/notify")
        phone.publish("$shunt/device", #"{"uid":"ada","tags":["vip"]}"#, qos: .atLeastOnce)
        #expect(phone.answered(.publishAcknowledgement).first?.reason == .success)
        let body = NotifyBody(message: "hi", matchTags: ["vip"])
        #expect(sender.ask(Frame(.notify, id: 3, format: .json, value: body.encoded()))?.status == 200)
        #expect(phone.messages() == ["$shunt/notify: hi"])
        phone.publish("$shunt/device", "no JSON", qos: .atLeastOnce)
        #expect(phone.answered(.publishAcknowledgement).first?.reason == .payloadFormatInvalid)
    }

    @Test("A chat has members of both protocols: subscribing joins, publishing sends to the others, unsubscribing leaves", arguments: [1, 3])
    func chats(loops: Int) {
        let worker = SimulatedWorker(loops: loops)
        let exchange = worker.connect()
        exchange.chat("room", .create)
        _ = exchange.chatter()
        let ada = SimulatedMQTTClient(worker, greeting: known("ada"))
        #expect(ada.subscribe("$chat/room", "a/b", qos: .atLeastOnce) == [.grantedQoS1, .grantedQoS1])
        ada.publish("$chat/room", "from ada", qos: .atLeastOnce)
        #expect(ada.answered(.publishAcknowledgement).map(\.reason) == [.success])
        #expect(exchange.chatter() == ["SESSION from ada"])
        exchange.chat("room", .session, "to ada")
        #expect(ada.messages() == ["$chat/room: to ada"])
        ada.send(Unsubscribe(9, ["$chat/room"]).encoded(.v5))
        let left = ada.answers(.unsubscribeAcknowledgement) { try SubscribeAnswer(.unsubscribeAcknowledgement, decoding: $0, .v5) }
        #expect(left.first?.reasons == [.success])
        ada.publish("$chat/room", "no longer", qos: .atLeastOnce)
        #expect(ada.answered(.publishAcknowledgement).first?.reason.isError == true)
        #expect(ada.subscribe("$chat/room") == [.success])
        _ = exchange.chatter()
        ada.publish("$chat/room/destroy", "bye", qos: .atLeastOnce)
        #expect(exchange.chatter() == ["DESTROY bye"])
    }

    @Test("What is empty has no frame: members of the exchange protocol do not get it, and hear of the chat's end by its id", arguments: [1, 3])
    func emptyChat(loops: Int) {
        let worker = SimulatedWorker(loops: loops)
        let exchange = worker.connect(loop: loops - 1)
        exchange.chat("room", .create)
        let ada = SimulatedMQTTClient(worker, greeting: known("ada"))
        _ = ada.subscribe("$chat/room")
        _ = exchange.received()
        ada.publish("$chat/room", "", qos: .atLeastOnce)
        #expect(ada.answered(.publishAcknowledgement).map(\.reason) == [.success])
        #expect(exchange.received() == [])
        #expect(worker.engines.reduce(0) { $0 + $1.output.figures.inexpressible } == 1)
        ada.publish("$chat/room/destroy", "", qos: .atLeastOnce)
        let frames = exchange.received()
        #expect(frames.map(\.name) == ["room"])
        #expect(frames.map(\.key) == ["DESTROY"])
        #expect(frames.map(\.value) == [Array("room".utf8)])
    }

    @Test("Only the worker publishes below $SYS: clients of the exchange protocol do not either")
    func systemTopics() {
        let worker = SimulatedWorker()
        let watcher = SimulatedMQTTClient.v5(worker, "watcher"), forger = worker.connect()
        _ = watcher.subscribe("$SYS/#", "$SYSTEM/a")
        for topic in ["$SYS/broker/version", "$SYS/clients/x/connected", "$SYS/"] {
            let answer = forger.ask(Frame(.message, id: 1, text: "x", name: topic))
            #expect(answer == Frame(acknowledging: 1, status: 400, text: "only the worker publishes below $SYS"))
        }
        #expect(forger.ask(Frame(.message, id: 1, text: "x", name: "$SYSTEM/a"))?.status == 200)
        #expect(watcher.messages() == ["$SYSTEM/a: x"])
    }

    @Test("A chat at another worker is refused, with its address")
    func elsewhere() {
        let worker = SimulatedWorker(masters: ["m:1"])
        let ada = SimulatedMQTTClient(worker, greeting: known("ada"))
        ada.send(Subscribe(7, [.init("$chat/room"), .init("x")]).encoded(.v5))
        #expect(ada.subscribed() == nil)
        #expect(worker.questions.count == 1)
        worker.answered(worker.questions[0], .elsewhere("10.0.0.9:4091"))
        let answer = ada.answers(.subscribeAcknowledgement) { try SubscribeAnswer(.subscribeAcknowledgement, decoding: $0, .v5) }.first
        #expect(answer?.reasons == [.implementationSpecificError, .success])
        #expect(answer?.properties.userProperties == [.init("redirect", "10.0.0.9:4091")])
        // One that wants no words gets none (MQTT-3.1.2-29).
        let bob = SimulatedMQTTClient.v5(worker, "bob") { $0.properties.requestProblemInformation = false }
        bob.send(Subscribe(7, [.init("$chat/room")]).encoded(.v5))
        worker.answered(worker.questions[1], .elsewhere("10.0.0.9:4091"))
        #expect(bob.received() == [[0x90, 4, 0, 7, 0, ReasonCode.implementationSpecificError.rawValue]])
    }

    @Test("It is told the address for clients like it, or that the worker has no such listener")
    func addressElsewhere() {
        let worker = SimulatedWorker(masters: ["m:1"], neighbour: { $0 == "w:1" ? "w:1883" : $0 == "x:1" ? nil : $0 })
        let ada = SimulatedMQTTClient(worker, greeting: known("ada"))
        for (chat, at, redirect) in [("a", "w:1", ["w:1883"]), ("b", "x:1", []), ("c", "rule:1", ["rule:1"])] {
            ada.send(Subscribe(7, [.init("$chat/\(chat)")]).encoded(.v5))
            worker.answered(worker.questions.removeFirst(), .elsewhere(at))
            let answer = ada.answers(.subscribeAcknowledgement) { try SubscribeAnswer(.subscribeAcknowledgement, decoding: $0, .v5) }.first
            #expect(answer?.properties.userProperties.map(\.value) == redirect)
            #expect(answer?.properties.reasonString?.hasPrefix("the chat is at another worker") == true)
        }
    }

    @Test("A client that finds no room is told where there is some, whatever loop it is at home on", arguments: MQTTVersion.allCases)
    func full(version: MQTTVersion) {
        for (room, code) in [(String?.some("w:1883"), ReasonCode.useAnotherServer), (nil, .serverBusy)] {
            let worker = SimulatedWorker(loops: 2, neighbour: { _ in room })
            for name in ["a", "b", "c", "d"] {
                let client = SimulatedMQTTClient(worker, greeting: nil, isTurnedAway: true)
                client.send(Connect(version: version, clientID: name).encoded())
                let answer = client.answers(.connectAcknowledgement) { try ConnectAcknowledgement(decoding: $0, version) }.first
                #expect(answer?.reason == (version.hasProperties ? code : .serverUnavailable))
                #expect(answer?.properties.serverReference == (version.hasProperties ? room : nil))
                #expect(client.closed == .workerElsewhere)
            }
        }
        let worker = SimulatedWorker()
        let silent = SimulatedMQTTClient(worker, greeting: nil, isTurnedAway: true)
        worker.now += 2
        worker.tick()
        #expect(silent.closed != nil, "it has no place to keep")
    }

    @Test("Who comes and goes is told to those who want to know")
    func presence() {
        let worker = SimulatedWorker(loops: 2)
        let watcher = SimulatedMQTTClient.v5(worker, "watcher")
        _ = watcher.subscribe("$SYS/clients/#")
        let client = SimulatedMQTTClient(worker, greeting: known("a/b"))
        #expect(watcher.messages().map { $0.prefix { $0 != ":" } } == ["$SYS/clients/a%2Fb/connected"])
        client.vanish()
        let gone = watcher.deliveries().first
        #expect(gone?.topic == "$SYS/clients/a%2Fb/disconnected")
        #expect(gone?.payload.contains(#""user":"user-a/b""#) == true)
        #expect(gone?.isRetained == false)
    }

    @Test("A device of MQTT that another client replaces gets no frame of the exchange protocol", arguments: [1, 2])
    func displaced(loops: Int) {
        let worker = SimulatedWorker(loops: loops)
        let phone = SimulatedMQTTClient(worker, greeting: known("phone"))
        _ = phone.subscribe("$shunt/notify")
        worker.now += 1
        #expect(worker.connect(loop: loops - 1).register("user-phone", device: "phone") == 200)
        #expect(phone.received() == [])
        phone.send(Ping.request)
        #expect(phone.received() == [Ping.response])
    }

    @Test("Nothing is kept of chats that refuse a client, or that answer when it has gone")
    func refusedChats() {
        let worker = SimulatedWorker(masters: ["m:1"])
        let ada = SimulatedMQTTClient(worker, greeting: known("ada"))
        for number in 0..<3 {
            ada.send(Subscribe(7, [.init("$chat/\(number)")]).encoded(.v5))
            worker.answered(worker.questions[number], .elsewhere("10.0.0.9:4091"))
        }
        let engine = worker.engines[0]
        #expect(engine.clients[ada.id.slot].identity?.chats.isEmpty == true)
        ada.send(Subscribe(8, [.init("$chat/late")]).encoded(.v5))
        #expect(engine.waitingSubscribes.count == 1)
        ada.vanish()
        #expect(engine.waitingSubscribes.isEmpty)
        engine.granted(engine.lastSubscribe, 0, nil)
        #expect(engine.earlyAnswers.isEmpty)
    }

    @Test("A chat's id is the bytes behind the prefix, marks that combine with the separator too")
    func combiningChat() {
        let worker = SimulatedWorker()
        let (ada, bob) = (SimulatedMQTTClient(worker, greeting: known("ada")), SimulatedMQTTClient(worker, greeting: known("bob")))
        for client in [ada, bob] { #expect(client.subscribe("$chat/\u{301}room") == [.success]) }
        ada.publish("$chat/\u{301}room", "hi")
        #expect(bob.deliveries().map { Array($0.topic.utf8) } == [Array("$chat/\u{301}room".utf8)])
    }
}
