import ExchangeCodec
import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("Messages of QoS 2 for the worker itself take effect once")
struct MQTTServiceOnceTests {
    private static let device = #"{"tags":["x"]}"#

    private func client(_ worker: SimulatedWorker, _ version: MQTTVersion = .v5) -> SimulatedMQTTClient {
        var greeting = Connect(version: version, clientID: "c", isClean: false)
        if version.hasProperties { greeting.properties.sessionExpiry = 60 }
        return SimulatedMQTTClient(worker, greeting: greeting)
    }

    @Test(
        "A registration that the client does not wait for is none: sent again, it takes effect and is acknowledged then",
        arguments: [MQTTVersion.v3_1_1, .v5], [false, true])
    func registration(version: MQTTVersion, isTakenOver: Bool) {
        let rules = OwnRules(.register)
        let worker = SimulatedWorker(hooks: rules)
        let engine = worker.engines[0]
        rules.register = .waits
        let first = client(worker, version)
        first.publish("$shunt/device", Self.device, qos: .exactlyOnce)
        #expect(first.received() == [])
        if !isTakenOver { first.vanish() }
        let second = client(worker, version)
        #expect(engine.undecided.isEmpty)
        second.publish("$shunt/device", Self.device, qos: .exactlyOnce, isDuplicate: true)
        #expect(second.received() == [] && engine.devices.count == 0)
        rules.register = .accept
        #expect(engine.decided(.register(.accept), by: second.id, now: worker.now))
        worker.tick()
        #expect(second.answered(.publishReceived).map(\.reason) == [.success])
        #expect(engine.devices.count == 1 && engine.undecided.isEmpty)
        // From here on it has happened.
        _ = rules.takeTold()
        second.vanish()
        let third = client(worker, version)
        third.publish("$shunt/device", Self.device, qos: .exactlyOnce, isDuplicate: true)
        #expect(third.answered(.publishReceived).map(\.reason) == [.success])
        #expect(!rules.takeTold().contains { $0.hasPrefix("register") })
    }

    @Test("A chat's message that waits for the master is said once, by the connection that waits", arguments: [1, 3], [false, true])
    func chat(loops: Int, isTakenOver: Bool) {
        let worker = SimulatedWorker(loops: loops, masters: ["m:1"])
        let listener = worker.connect()
        listener.chat("room", .create)
        let first = client(worker)
        first.send(Subscribe(7, [.init("$chat/room")]).encoded(.v5))
        first.publish("$chat/room", "hi", qos: .exactlyOnce)
        #expect(first.received() == [])
        // The same once more is not answered before it is decided.
        first.publish("$chat/room", "hi", qos: .exactlyOnce, isDuplicate: true)
        #expect(first.received() == [])
        if !isTakenOver { first.vanish() }
        let second = client(worker)
        second.publish("$chat/room", "hi", qos: .exactlyOnce, isDuplicate: true)
        #expect(second.received() == [])
        worker.answered(worker.questions.removeFirst(), .granted)
        #expect(second.answered(.publishReceived).map(\.reason) == [.success])
        #expect(listener.chatter().filter { $0.hasPrefix("SESSION") } == ["SESSION hi"])
        #expect(worker.engines.allSatisfy { $0.undecided.isEmpty })
        second.publish("$chat/room", "hi", qos: .exactlyOnce, isDuplicate: true)
        #expect(second.answered(.publishReceived).map(\.reason) == [.success])
        #expect(listener.chatter() == [])
    }

    @Test("A chat's message that the master's answer refuses may be sent again")
    func refused() {
        let worker = SimulatedWorker(masters: ["m:1"])
        let client = client(worker)
        for _ in 0..<2 {
            client.send(Subscribe(7, [.init("$chat/room")]).encoded(.v5))
            client.publish("$chat/room", "hi", qos: .exactlyOnce)
            #expect(client.received() == [])
            worker.answered(worker.questions.removeFirst(), .unavailable)
            #expect(client.answered(.publishReceived).map(\.reason.isError) == [true])
            #expect(worker.engines[0].undecided.isEmpty)
        }
    }

    @Test("A packet identifier is free again after PUBCOMP", arguments: [MQTTVersion.v3_1_1, .v5])
    func identifiers(version: MQTTVersion) {
        let worker = SimulatedWorker()
        let client = client(worker, version), subscriber = SimulatedMQTTClient.v5(worker, "s")
        _ = subscriber.subscribe("t")
        for payload in [Self.device, "no JSON", #"{"tags":["y"]}"#] {
            client.publish("$shunt/device", payload, qos: .exactlyOnce)
            _ = client.received()
            client.acknowledge(.publishRelease, 9)
            _ = client.received()
        }
        #expect(worker.engines[0].peer(client.id)?.tags == ["y"])
        client.publish("t", "x", qos: .exactlyOnce)
        #expect(subscriber.messages() == ["t: x"])
    }
}
