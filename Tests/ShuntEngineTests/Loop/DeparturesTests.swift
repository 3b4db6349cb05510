import ExchangeCodec
import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("Clients that are sent to other workers")
struct DeparturesTests {
    private func worker(loops: Int = 1, other: String? = "other:1") -> SimulatedWorker {
        SimulatedWorker(loops: loops, neighbour: { $0 ?? other })
    }

    private func lasting(_ worker: SimulatedWorker, _ name: String) -> SimulatedMQTTClient {
        .v5(worker, name, isClean: false) { $0.properties.sessionExpiry = 100 }
    }

    /// A client with a session of that name, whose CONNACK is still to be read.
    private func greeted(_ worker: SimulatedWorker, _ name: String) -> SimulatedMQTTClient {
        let client = SimulatedMQTTClient(worker, greeting: nil, version: .v5)
        var greeting = Connect(version: .v5, clientID: name, isClean: false)
        greeting.properties.sessionExpiry = 100
        client.send(greeting.encoded())
        return client
    }

    /// A step of each loop; what they have under way to one another arrives.
    @discardableResult
    private func step(
        _ worker: SimulatedWorker, _ stage: DepartureStage = .all, limit: Int = 1000, chatsTo: String? = nil
    ) -> [DepartureTally] {
        worker.loops.map { loop in
            let tally = loop.engine.sendAway(DepartureStep(stage, limit: limit, chatsTo: chatsTo), now: worker.now)
            worker.turnEnded(loop)
            worker.deliverAll()
            return tally
        }
    }

    /// A client with a lasting session that has a message of topic `a` to acknowledge, and the one who has sent it.
    private func owing(_ worker: SimulatedWorker) -> (consumer: SimulatedMQTTClient, producer: SimulatedMQTTClient) {
        let (consumer, producer) = (lasting(worker, "consumer"), SimulatedMQTTClient.v5(worker, "producer"))
        _ = consumer.subscribe("a", qos: .atLeastOnce)
        producer.publish("a", "x", qos: .atLeastOnce, identifier: 1)
        return (consumer, producer)
    }

    private func drain(_ worker: SimulatedWorker) { for engine in worker.engines { engine.setDraining(true) } }

    @Test("A client of 5.0 is told where to go, and its name is free")
    func told() {
        let worker = worker()
        let client = SimulatedMQTTClient.v5(worker, "c")
        step(worker)
        let goodbye = client.disconnected()
        #expect(goodbye?.reason == .useAnotherServer && goodbye?.properties.serverReference == "other:1")
        #expect(client.closed == .workerElsewhere)
        #expect(step(worker)[0].sent == 1)
    }

    @Test("Without another worker the client is told to use one all the same")
    func nowhere() {
        let client = SimulatedMQTTClient.v5(worker(other: nil), "c")
        step(client.worker)
        #expect(client.disconnected().map { $0.reason == .useAnotherServer && $0.properties.serverReference == nil } == true)
    }

    @Test("Of many, only so many begin to go in a step")
    func limited() {
        let worker = worker()
        let clients = (0..<10).map { _ in worker.connect() }
        for client in clients { client.send(Frame(.ping, id: 1)) }
        #expect(step(worker, limit: 3)[0].begun == 3)
        #expect(clients.filter { worker.closed[$0.id] != nil }.count == 3)
    }

    @Test("Producers go first: whoever has subscribed something, is a device or in a chat stays")
    func producers() {
        let worker = worker()
        let (producer, consumer, device, talker) = (worker.connect(), worker.connect(), worker.connect(), worker.connect())
        producer.send(Frame(.ping, id: 1))
        #expect(consumer.subscribe("a", group: "g") == 200 && device.register("ada") == 200)
        talker.chat("room", .create)
        let session = lasting(worker, "kept")
        #expect(!step(worker, .producers)[0].isOver)
        #expect([producer, consumer, device, talker].map { worker.closed[$0.id] != nil } == [true, false, false, false])
        #expect(session.closed == nil)
        #expect(step(worker, .producers)[0].isOver)
        step(worker, .movable)
        #expect([consumer, device, talker].map { worker.closed[$0.id] != nil } == [true, true, false])
        #expect(session.closed == nil)
    }

    @Test("A message that another loop has sent before it heard of the departure still arrives")
    func underWay() {
        let worker = worker(loops: 2)
        worker.deliversAtOnce = false
        let (consumer, producer) = (worker.connect(loop: 0), worker.connect(loop: 1))
        consumer.send(.subscribe(id: 1, SubscribeBody(group: "g", topic: "a")))
        worker.deliverAll()
        #expect(consumer.received().map(\.status) == [200])
        worker.engines[0].setDraining(true)
        _ = worker.engines[0].sendAway(DepartureStep(.all, limit: 10), now: worker.now)
        worker.turnEnded(worker.loops[0])
        // The other loop has not read the letter yet, and acknowledges the message.
        #expect(worker.closed[consumer.id] == nil)
        producer.publish("a", "the last one")
        #expect(producer.received().map(\.status) == [200])
        worker.deliverAll()
        #expect(consumer.texts() == ["the last one"])
        #expect(worker.closed[consumer.id] == .workerElsewhere)
        producer.publish("a", "one too late")
        #expect(producer.received().map(\.status) == [500])
    }

    @Test("A client that has messages to acknowledge goes when it has")
    func acknowledges() {
        let worker = worker()
        let (consumer, _) = owing(worker)
        step(worker)
        let delivery = consumer.deliveries().first
        #expect(consumer.closed == nil && delivery?.payload == "x")
        #expect(worker.engines[0].output.figures.subscriptions == 0)
        consumer.acknowledge(.publishAcknowledgement, delivery?.identifier ?? 0)
        step(worker)
        #expect(consumer.closed == .workerElsewhere)
        #expect(worker.engines[0].sessions.count == 0)
    }

    @Test("A session that keeps messages stays until its client has taken them; one that keeps none ends")
    func away() {
        let worker = worker()
        let (away, idle, producer) = (lasting(worker, "away"), lasting(worker, "idle"), SimulatedMQTTClient.v5(worker, "producer"))
        _ = away.subscribe("a", qos: .atLeastOnce)
        away.vanish()
        idle.vanish()
        producer.publish("a", "x", qos: .atLeastOnce, identifier: 1)
        drain(worker)
        for _ in 0..<3 { step(worker) }
        #expect(worker.engines[0].sessions.count == 1)
        // Others find no way in, not by the name of the session that has ended either.
        for name in ["idle", "new"] {
            let answer = greeted(worker, name).connected()
            #expect(answer?.reason == .useAnotherServer && answer?.properties.serverReference == "other:1")
        }
        let back = lasting(worker, "away")
        let delivery = back.deliveries().first
        #expect(delivery?.payload == "x")
        step(worker)
        #expect(back.closed == nil)
        back.acknowledge(.publishAcknowledgement, delivery?.identifier ?? 0)
        step(worker)
        #expect(back.closed == .workerElsewhere && worker.engines[0].sessions.count == 0)
    }

    @Test("By force all go, and sessions end whatever they keep")
    func forced() {
        let worker = worker()
        let (away, here, producer) = (lasting(worker, "away"), lasting(worker, "here"), SimulatedMQTTClient.v5(worker, "producer"))
        for client in [away, here] { _ = client.subscribe("a", qos: .atLeastOnce) }
        away.vanish()
        producer.publish("a", "x", qos: .atLeastOnce, identifier: 1)
        let silent = worker.connect()
        for _ in 0..<3 { step(worker, .forced) }
        #expect(here.closed == .workerElsewhere && worker.closed[silent.id] == .workerElsewhere)
        #expect(worker.engines[0].sessions.count == 0)
    }

    @Test("A client that is about to go subscribes no more, and one that goes by itself is forgotten")
    func leaving() {
        let worker = worker()
        let (consumer, producer) = owing(worker)
        step(worker)
        #expect(consumer.subscribe("b", qos: .atLeastOnce)?.allSatisfy { $0.rawValue >= 0x80 } == true)
        let plain = SimulatedMQTTClient.v5(worker, "plain")
        _ = plain.subscribe("a", qos: .atLeastOnce)
        producer.publish("a", "y", qos: .atLeastOnce, identifier: 2)
        step(worker)
        plain.vanish()
        #expect(step(worker)[0].leaving == 1)
    }

    @Test("A client that had begun to go goes when it has acknowledged, though the worker takes clients again")
    func undrained() {
        let worker = worker()
        let (consumer, _) = owing(worker)
        drain(worker)
        step(worker)
        for engine in worker.engines { engine.setDraining(false) }
        consumer.acknowledge(.publishAcknowledgement, consumer.deliveries().first?.identifier ?? 0)
        worker.tick()
        #expect(consumer.closed == .workerElsewhere && worker.engines[0].departures.leaving.isEmpty)
        #expect(lasting(worker, "consumer").subscribe("a", qos: .atLeastOnce) == [.grantedQoS1])
    }

    @Test("A session that is waited for keeps nobody from being no producer")
    func waitedFor() {
        let worker = worker()
        _ = owing(worker)
        step(worker)
        step(worker, .producers)
        #expect(step(worker, .producers)[0].isOver)
    }

    @Test("Members of a chat stay while a chat is here")
    func membersStay() {
        let worker = worker()
        let talker = worker.connect()
        talker.chat("room", .create)
        let loop = worker.loops[0]
        for keepsChats in [true, false] {
            _ = loop.engine.sendAway(DepartureStep(.all, limit: 10, keepsChats: keepsChats), now: worker.now)
            worker.turnEnded(loop)
            #expect((worker.closed[talker.id] != nil) == !keepsChats)
        }
    }

    @Test("Chats go to the other worker, but for one that holds messages for a member")
    func chats() {
        let worker = worker()
        let (ann, bob, carl) = (worker.connect(), worker.connect(), worker.connect())
        for client in [ann, bob] { client.chat("moves", .create) }
        for client in [bob, carl] { client.chat("stays", .create) }
        worker.disconnect(carl.id)
        bob.chat("stays", .session, "for carl")
        for client in [ann, bob] { _ = client.received() }
        drain(worker)
        step(worker, .producers, chatsTo: "other:1")
        #expect(ann.received().map(\.key) == ["DESTROY"])
        #expect(worker.engines[0].chats.map(\.chat) == ["stays"])
        // A chat that is not here is where the others go.
        ann.chat("moves", .create)
        #expect(ann.received().map { "\($0.status) \($0.text)" } == ["307 other:1"])
        // Its member is let in, though the worker drains, and gets what was held.
        let back = worker.connect()
        back.chat("stays", .create)
        #expect(back.received().contains { $0.text == "for carl" })
    }

    @Test("While a worker drains, clients of the exchange protocol are sent on with their first frame")
    func refused() {
        let worker = worker()
        drain(worker)
        let client = worker.connect()
        client.publish("a", "x")
        #expect(client.received().map { "\($0.status) \($0.text)" } == ["307 other:1"])
        #expect(worker.closed[client.id] == .workerElsewhere)
        for engine in worker.engines { engine.setDraining(false) }
        #expect(worker.connect().subscribe("a", group: "g") == 200)
    }
}
