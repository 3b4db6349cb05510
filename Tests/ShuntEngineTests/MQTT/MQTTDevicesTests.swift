import ExchangeCodec
import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("A client of MQTT that registers as another device is the same client still")
struct MQTTDevicesTests {
    private static let phone = #"{"device":"phone"}"#

    /// A client `c` that is the device `phone`.
    private func renamed(
        _ worker: SimulatedWorker, _ version: MQTTVersion = .v5, expiry: UInt32 = 0, isClean: Bool = true
    ) -> SimulatedMQTTClient {
        var greeting = Connect(version: version, clientID: "c", isClean: isClean)
        if expiry > 0 { greeting.properties.sessionExpiry = expiry }
        let client = SimulatedMQTTClient(worker, greeting: greeting)
        client.publish("$shunt/device", Self.phone, qos: .atLeastOnce)
        #expect(client.answered(.publishAcknowledgement).map(\.reason) == [.success])
        return client
    }

    private func connect(_ worker: SimulatedWorker, _ version: MQTTVersion = .v5) -> (SimulatedMQTTClient, ConnectAcknowledgement?) {
        let client = SimulatedMQTTClient(worker, greeting: nil, version: version)
        client.send(Connect(version: version, clientID: "c").encoded())
        return (client, client.connected())
    }

    @Test("Its identifier is free when it has gone, and is taken over while it is there", arguments: [MQTTVersion.v3_1_1, .v5], [0, 60])
    func identifier(version: MQTTVersion, expiry: UInt32) {
        let worker = SimulatedWorker()
        renamed(worker, version, expiry: version.hasProperties ? expiry : 0).vanish()
        for _ in 0..<2 {
            let (next, answer) = connect(worker, version)
            #expect(answer?.reason == .success && next.closed == nil)
            next.vanish()
        }
        let old = renamed(worker, version, expiry: version.hasProperties ? expiry : 0)
        let (new, answer) = connect(worker, version)
        #expect(answer?.reason == .success && new.closed == nil)
        #expect(old.closed == .sessionReplaced)
    }

    @Test("Broadcasts address the device; rules, operators and presence see the identifier beside it, or alone")
    func names() throws {
        let rules = OwnRules([.session, .sessions])
        let worker = SimulatedWorker(hooks: rules)
        let engine = worker.engines[0], directory = SessionDirectory()
        engine.sessionDirectory = directory
        engine.setHooks(rules)
        worker.tick()
        let watcher = SimulatedMQTTClient.v5(worker, "watcher")
        _ = watcher.subscribe("$SYS/clients/+/disconnected")
        let client = renamed(worker)
        _ = client.subscribe("$shunt/notify")
        let peer = try #require(engine.peer(client.id))
        #expect(peer.mqtt?.clientID == "c" && peer.device == "phone" && peer.name == "c")
        #expect(engine.text(.device, of: client.id) == "phone")
        #expect(engine.told(client.id)?.client == "c")
        #expect(engine.describe(ClientQuestion(client: "c")).clients.map(\.client) == ["c"])
        #expect(engine.describe(ClientQuestion(client: "phone")).total == 0)
        let listed = directory.find("c", limit: 10).found
        #expect(listed.map(\.device) == ["phone"] && listed.map(\.clientID) == ["c"])
        for (device, status) in [("phone", 200), ("c", 500)] as [(String, Int16)] {
            let body = NotifyBody(message: "hi", device: device)
            #expect(worker.connect().ask(Frame(.notify, id: 3, format: .json, value: body.encoded()))?.status == status)
        }
        #expect(client.messages() == ["$shunt/notify: hi"])
        _ = rules.takeTold()
        let (new, _) = connect(worker)
        #expect(rules.takeTold().contains("taken_over c"))
        #expect(watcher.messages().map { $0.prefix { $0 != ":" } } == ["$SYS/clients/c/disconnected"])
        // It may be the device of its own name again.
        new.publish("$shunt/device", Self.phone)
        new.publish("$shunt/device", #"{"device":"c"}"#)
        #expect(engine.peer(new.id)?.device == "c")
    }

    @Test("A ban of its identifier closes it, one of its device's name does not")
    func bans() {
        let worker = SimulatedWorker()
        let client = renamed(worker)
        worker.engines[0].changeBans([.all([Ban(.client("phone"))])], now: worker.now)
        worker.tick()
        #expect(client.closed == nil)
        worker.engines[0].changeBans([.all([Ban(.client("c"))])], now: worker.now)
        worker.tick()
        #expect(client.closed == .accessBanned)
    }

    @Test("What it may do goes by its identifier, when it shows anew who it is as well; a device of the exchange protocol has none")
    func rights() {
        final class Asked: @unchecked Sendable { var names: [String] = [] }
        let worker = SimulatedWorker(), asked = Asked()
        let access = ListenerAccess(asks: true, takesTokens: true) { _, clientID, _ in
            asked.names.append(clientID)
            return AccessTests.Denials([:])
        }
        worker.engines[0].setAccess([access], now: worker.now)
        var greeting = Connect(version: .v5, clientID: "c")
        greeting.properties.authenticationMethod = MQTTFront.tokenMethod
        greeting.properties.authenticationData = Array("token".utf8)
        let client = SimulatedMQTTClient(worker, greeting: nil, version: .v5)
        client.send(greeting.encoded())
        worker.decide(.admitted(Admitted(uid: "ada")))
        client.publish("$shunt/device", Self.phone)
        var renewal = Authenticate(.reAuthenticate)
        (renewal.properties.authenticationMethod, renewal.properties.authenticationData) = (MQTTFront.tokenMethod, Array("token".utf8))
        client.send(renewal.encoded())
        #expect(worker.asked.map(\.credentials.clientID) == ["c"])
        worker.decide(.admitted(Admitted(uid: "ada")))
        #expect(client.closed == nil && worker.engines[0].peer(client.id)?.device == "phone")
        #expect(Set(asked.names) == ["c"])
        asked.names = []
        let exchange = worker.connect()
        for number in 1...2 {
            let body = #"{"uid":"ada","device":"victim","token":"ada:secret"}"#
            exchange.send(Frame(.register, id: Int64(number), format: .json, value: Array(body.utf8)))
            worker.decide(.admitted(Admitted(uid: "ada")))
        }
        #expect(exchange.received().map(\.status) == [200, 200])
        #expect(Set(asked.names) == [""])
    }

    @Test("A listener that begins to ask goes by the identifier of those who are in")
    func rightsLater() {
        final class Asked: @unchecked Sendable { var names: Set<String> = [] }
        let worker = SimulatedWorker(), asked = Asked()
        _ = renamed(worker)
        #expect(worker.connect().register("ada", device: "victim") == 200)
        let access = ListenerAccess(asks: true) { _, clientID, _ in
            asked.names.insert(clientID)
            return AccessTests.Denials([:])
        }
        worker.engines[0].setAccess([access], now: worker.now)
        #expect(asked.names == ["c", ""])
    }
}
