import MQTTCodec
import SeededRandom
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("MQTT: QoS 1 and 2, sessions that outlive their connections")
struct MQTTSessionTests {
    private func lasting(_ name: String, isClean: Bool = false) -> Connect { Connect(version: .v3_1_1, clientID: name, isClean: isClean) }

    // MARK: Messages from clients

    @Test("A message of QoS 1 is acknowledged, and goes on with a number of the recipient's own (MQTT-4.3.2-2, MQTT-2.2.1-3)", arguments: [1, 2])
    func atLeastOnce(loops: Int) {
        let worker = SimulatedWorker(loops: loops)
        let consumer = SimulatedMQTTClient(worker, "consumer"), producer = SimulatedMQTTClient(worker, "producer")
        #expect(consumer.subscribe("a", qos: .atLeastOnce) == [.grantedQoS1])
        for number in 1...3 as ClosedRange<UInt16> {
            producer.publish("a", "\(number)", qos: .atLeastOnce, identifier: 70 + number)
            #expect(producer.answered(.publishAcknowledgement).map(\.identifier) == [70 + number])
        }
        let deliveries = consumer.deliveries()
        #expect(deliveries.map(\.payload) == ["1", "2", "3"])
        #expect(deliveries.map(\.identifier) == [1, 2, 3])
        #expect(deliveries.allSatisfy { $0.qos == .atLeastOnce && !$0.isDuplicate })
    }

    @Test("The lower QoS of message and subscription counts (MQTT-3.8.4-8)", arguments: QoS.allCases, QoS.allCases)
    func lowerQoS(published: QoS, granted: QoS) {
        let worker = SimulatedWorker()
        let consumer = SimulatedMQTTClient(worker, "consumer"), producer = SimulatedMQTTClient(worker, "producer")
        _ = consumer.subscribe("a", qos: granted)
        producer.publish("a", "x", qos: published)
        #expect(consumer.deliveries().map(\.qos) == [min(published, granted)])
    }

    @Test("A message of QoS 2 is routed once, however often it comes before PUBREL (MQTT-4.3.3-10)")
    func exactlyOnce() {
        let worker = SimulatedWorker()
        let consumer = SimulatedMQTTClient(worker, "consumer"), producer = SimulatedMQTTClient(worker, "producer")
        _ = consumer.subscribe("a")
        for _ in 0..<3 {
            producer.publish("a", "x", qos: .exactlyOnce, identifier: 5, isDuplicate: true)
            #expect(producer.answered(.publishReceived).map(\.identifier) == [5])
        }
        #expect(consumer.messages() == ["a: x"])
        producer.acknowledge(.publishRelease, 5)
        #expect(producer.answered(.publishComplete).map(\.identifier) == [5])
        // The identifier is free again.
        producer.publish("a", "y", qos: .exactlyOnce, identifier: 5)
        #expect(consumer.messages() == ["a: y"])
    }

    @Test("PUBREL for nothing is completed all the same; 5.0 is told (MQTT-4.3.3-11)")
    func releaseUnknown() {
        let worker = SimulatedWorker()
        for client in [SimulatedMQTTClient(worker, "old"), .v5(worker, "new")] {
            client.acknowledge(.publishRelease, 77)
            #expect(
                client.answered(.publishComplete) == [
                    PublishAnswer(.publishComplete, 77, client.version == .v5 ? .packetIdentifierNotFound : .success)
                ])
        }
    }

    @Test("A client of 5.0 that begins more messages of QoS 2 than it may is closed; one of 3.1.1 knows no such bound (MQTT-3.3.4-7)")
    func receiveMaximum() {
        let worker = SimulatedWorker(limits: RoutingLimits(mqtt: MQTTLimits(receiveMaximum: 3)))
        let new = SimulatedMQTTClient.v5(worker, "new"), old = SimulatedMQTTClient(worker, "old")
        for number in 1...4 as ClosedRange<UInt16> {
            new.publish("a", "x", qos: .exactlyOnce, identifier: number)
            old.publish("a", "x", qos: .exactlyOnce, identifier: number)
        }
        #expect(new.disconnected()?.reason == .receiveMaximumExceeded)
        #expect(new.closed == .frameMalformed)
        #expect(old.closed == nil)
    }

    // MARK: Messages to clients

    @Test("QoS 2 towards a client: PUBLISH, PUBREC, PUBREL, PUBCOMP (MQTT-4.3.3-2 to 7)")
    func towardsClient() {
        let worker = SimulatedWorker()
        let consumer = SimulatedMQTTClient(worker, "consumer"), producer = SimulatedMQTTClient(worker, "producer")
        _ = consumer.subscribe("a", qos: .exactlyOnce)
        producer.publish("a", "x", qos: .exactlyOnce)
        #expect(consumer.deliveries().map(\.identifier) == [1])
        consumer.acknowledge(.publishReceived, 1)
        #expect(consumer.received() == [PublishAnswer(.publishRelease, 1).encoded(.v3_1_1)])
        #expect(worker.engines[Int(consumer.id.loop)].output.figures.inflight == 1)
        consumer.acknowledge(.publishComplete, 1)
        #expect(worker.engines[Int(consumer.id.loop)].output.figures.inflight == 0)
        #expect(consumer.closed == nil)
    }

    @Test("A client gets no more than its receive maximum at a time, and the rest in order (MQTT-3.3.4-9)")
    func window() {
        let worker = SimulatedWorker()
        let consumer = SimulatedMQTTClient.v5(worker, "consumer") { $0.properties.receiveMaximum = 2 }
        let producer = SimulatedMQTTClient(worker, "producer")
        _ = consumer.subscribe("a", qos: .atLeastOnce)
        for number in 1...6 { producer.publish("a", "\(number)", qos: .atLeastOnce) }
        var got: [String] = []
        for _ in 0..<6 {
            let now = consumer.deliveries()
            #expect(now.count <= 2)
            got += now.map(\.payload)
            for delivery in now { consumer.acknowledge(.publishAcknowledgement, delivery.identifier) }
        }
        #expect(got == ["1", "2", "3", "4", "5", "6"])
    }

    @Test("Answers for nothing are taken without a word: PUBACK, PUBCOMP; PUBREC has its PUBREL")
    func unknownAnswers() {
        let worker = SimulatedWorker()
        for client in [SimulatedMQTTClient(worker, "old"), .v5(worker, "new")] {
            client.acknowledge(.publishAcknowledgement, 9)
            client.acknowledge(.publishComplete, 9)
            #expect(client.received() == [])
            client.acknowledge(.publishReceived, 9)
            #expect(client.answered(.publishRelease).map(\.identifier) == [9])
            #expect(client.closed == nil)
        }
    }

    @Test("Identifiers count on and skip those in flight (MQTT-2.2.1-4)")
    func identifiers() {
        var window = OutgoingWindow()
        let handOver = HandOver(qos: .atLeastOnce, isRetained: false, isShared: false)
        #expect(window.append(handOver, held: 0) == 1)
        for number in 2...65_535 as ClosedRange<UInt16> {
            #expect(window.append(handOver, held: 0) == number)
            #expect(window.acknowledged(number, qos: .atLeastOnce) != .unknown)
        }
        // 1 is still on its way.
        #expect(window.append(handOver, held: 0) == 2)
        #expect(window.all.map(\.identifier) == [1, 2])
    }

    // MARK: Sessions

    @Test(
        "A session outlives its connection, with its subscriptions and what waits for it, in order (MQTT-3.1.2-4, MQTT-4.6.0-6)", arguments: [1, 2])
    func resumes(loops: Int) {
        let worker = SimulatedWorker(loops: loops)
        let producer = SimulatedMQTTClient(worker, "producer")
        let first = SimulatedMQTTClient(worker, greeting: lasting("consumer"))
        _ = first.subscribe("a/#", qos: .exactlyOnce)
        first.vanish()
        for number in 1...10 {
            producer.publish("a/\(number % 2)", "\(number)", qos: number % 3 == 0 ? .exactlyOnce : .atLeastOnce, identifier: UInt16(number))
        }
        producer.publish("a/0", "lost", qos: .atMostOnce)
        let second = SimulatedMQTTClient(worker, nil, loop: loops - 1)
        second.send(lasting("consumer").encoded())
        let packets = second.received()
        #expect(packets.first == [0x20, 2, 1, 0])
        worker.putBack(packets, second.id)
        #expect(second.deliveries().map(\.payload) == (1...10).map { "\($0)" })
        producer.publish("a/1", "after", qos: .atLeastOnce)
        #expect(second.messages() == ["a/1: after"])
    }

    @Test("What was on its way is sent again, first, with DUP, the same number and in order; PUBREL too (MQTT-4.4.0-1, MQTT-3.3.1-1)")
    func again() {
        let worker = SimulatedWorker()
        let producer = SimulatedMQTTClient(worker, "producer")
        let first = SimulatedMQTTClient(worker, greeting: lasting("consumer"))
        _ = first.subscribe("a", qos: .exactlyOnce)
        for number in 1...4 { producer.publish("a", "\(number)", qos: number == 2 ? .exactlyOnce : .atLeastOnce, identifier: UInt16(number)) }
        #expect(first.deliveries().map(\.identifier) == [1, 2, 3, 4])
        first.acknowledge(.publishReceived, 2)
        first.acknowledge(.publishAcknowledgement, 3)
        first.vanish()
        producer.publish("a", "5", qos: .atLeastOnce)
        let second = SimulatedMQTTClient(worker, greeting: lasting("consumer"))
        let packets = second.received()
        #expect(packets.map { $0[0] >> 4 } == [3, 6, 3, 3])
        worker.putBack(packets, second.id)
        let deliveries = second.deliveries()
        #expect(deliveries.map(\.payload) == ["1", "4", "5"])
        #expect(deliveries.map(\.identifier) == [1, 4, 5])
        #expect(deliveries.map(\.isDuplicate) == [true, true, false])
    }

    @Test("CONNECT with a clean start ends the session that there was (MQTT-3.1.2-4)")
    func cleanStart() {
        let worker = SimulatedWorker()
        let producer = SimulatedMQTTClient(worker, "producer")
        let first = SimulatedMQTTClient(worker, greeting: lasting("consumer"))
        _ = first.subscribe("a", qos: .atLeastOnce)
        first.vanish()
        producer.publish("a", "x", qos: .atLeastOnce)
        let second = SimulatedMQTTClient(worker, nil)
        second.send(lasting("consumer", isClean: true).encoded())
        #expect(second.received() == [[0x20, 2, 0, 0]])
        producer.publish("a", "y", qos: .atLeastOnce)
        #expect(second.messages() == [])
        #expect(worker.engines[0].output.figures.sessions == 0)
        #expect(worker.engines[0].held.count == 0)
    }

    @Test("A session of 5.0 lasts as long as the client has asked for; DISCONNECT may change that (MQTT-3.1.2-23, MQTT-3.14.2-2)")
    func expiry() {
        let worker = SimulatedWorker()
        let producer = SimulatedMQTTClient(worker, "producer")
        func connect(_ expiry: UInt32?) -> SimulatedMQTTClient {
            SimulatedMQTTClient.v5(worker, "consumer", isClean: false) { $0.properties.sessionExpiry = expiry }
        }
        let first = connect(10)
        _ = first.subscribe("a", qos: .atLeastOnce)
        first.vanish()
        worker.now += 9
        worker.tick()
        producer.publish("a", "x", qos: .atLeastOnce)
        let second = connect(10)
        #expect(second.messages() == ["a: x"])
        second.vanish()
        worker.now += 11
        for _ in 0..<20 { worker.tick() }
        producer.publish("a", "y", qos: .atLeastOnce)
        #expect(connect(10).messages() == [])
        // A session without an expiry cannot get one at its end.
        let third = SimulatedMQTTClient.v5(worker, "third")
        var goodbye = Disconnect()
        goodbye.properties.sessionExpiry = 5
        third.send(goodbye.encoded(.v5))
        #expect(third.disconnected()?.reason == .protocolError)
    }

    @Test("A client with another's identifier takes over its session; the old one is told (MQTT-3.1.4-3)", arguments: [1, 3])
    func takeover(loops: Int) {
        let worker = SimulatedWorker(loops: loops)
        let producer = SimulatedMQTTClient(worker, "producer")
        var clients: [SimulatedMQTTClient] = []
        for round in 0..<20 {
            let client = SimulatedMQTTClient.v5(worker, "same", isClean: false, loop: round % loops) { $0.properties.sessionExpiry = 100 }
            if round == 0 { _ = client.subscribe("a", qos: .atLeastOnce) }
            if let old = clients.last {
                #expect(old.disconnected()?.reason == .sessionTakenOver)
                #expect(old.closed == .sessionReplaced)
            }
            clients.append(client)
            producer.publish("a", "\(round)", qos: .atLeastOnce)
            // What came before was not acknowledged, and comes again.
            #expect(client.messages() == (0...round).map { "a: \($0)" })
        }
        #expect(worker.engines.reduce(0) { $0 + $1.output.figures.sessions } == 1)
        #expect(worker.engines.reduce(0) { $0 + $1.output.figures.takeovers } == 19)
    }

    @Test("A message expires while it waits; one that does not is told the seconds that are left (MQTT-3.3.2-5, MQTT-3.3.2-6)")
    func messageExpiry() {
        let worker = SimulatedWorker()
        func connect() -> SimulatedMQTTClient { .v5(worker, "consumer", isClean: false) { $0.properties.sessionExpiry = 1000 } }
        let first = connect()
        _ = first.subscribe("a", qos: .atLeastOnce)
        first.vanish()
        let old = SimulatedMQTTClient(worker, greeting: lasting("old"))
        _ = old.subscribe("a", qos: .atLeastOnce)
        old.vanish()
        let producer = SimulatedMQTTClient.v5(worker, "producer")
        for expiry in [5, 60] as [UInt32] {
            var properties = Properties.none
            properties.messageExpiry = expiry
            producer.publish("a", "\(expiry)", qos: .atLeastOnce, properties)
        }
        worker.now += 20
        let deliveries = connect().deliveries()
        #expect(deliveries.map(\.payload) == ["60"])
        #expect(deliveries.map(\.properties.messageExpiry) == [40])
        // 3.1.1 is told nothing; what has expired does not come either.
        #expect(SimulatedMQTTClient(worker, greeting: lasting("old")).messages() == ["a: 60"])
    }

    @Test("A message that waits for a client of 3.1.1 keeps its properties for it: it may come back with 5.0 (MQTT-3.3.2-20)")
    func upgraded() {
        let worker = SimulatedWorker()
        let old = SimulatedMQTTClient(worker, greeting: Connect(version: .v3_1_1, clientID: "a", isClean: false))
        _ = old.subscribe("t", qos: .atLeastOnce)
        let sender = SimulatedMQTTClient.v5(worker, "sender")
        var properties = Properties.none
        properties.contentType = "text/x"
        sender.publish("t", "here", qos: .atLeastOnce, properties)
        #expect(old.deliveries().map(\.payload) == ["here"])
        old.acknowledge(.publishAcknowledgement, 1)
        old.vanish()
        sender.publish("t", "absent", qos: .atLeastOnce, properties)
        let new = SimulatedMQTTClient.v5(worker, "a", isClean: false)
        let messages = new.deliveries()
        #expect(messages.map(\.payload) == ["absent"])
        #expect(messages.first?.properties.contentType == "text/x")
    }

    @Test("A connection that takes no more gets the rest when it has drained, and its producers wait meanwhile")
    func pressure() {
        let worker = SimulatedWorker(limits: RoutingLimits(mqtt: MQTTLimits(queueMessages: 16, patience: 5)))
        let consumer = SimulatedMQTTClient(worker, "consumer"), producer = SimulatedMQTTClient(worker, "producer")
        _ = consumer.subscribe("a", qos: .atLeastOnce)
        let engine = worker.engines[0]
        engine.pressure(.congested, on: consumer.id)
        for number in 1...3 { producer.publish("a", "\(number)", qos: .atLeastOnce) }
        #expect(consumer.messages() == [])
        #expect(worker.held.contains(producer.id))
        engine.pressure(.none, on: consumer.id)
        worker.tick()
        #expect(consumer.messages() == ["a: 1", "a: 2", "a: 3"])
        #expect(!worker.held.contains(producer.id))
    }

    @Test("Messages that a connection does not take wait again, in their order, aliases or not", arguments: [0, 5] as [UInt16])
    func putBack(aliases: UInt16) {
        let worker = SimulatedWorker()
        let consumer = SimulatedMQTTClient.v5(worker, "consumer") { $0.properties.topicAliasMaximum = aliases }
        let producer = SimulatedMQTTClient(worker, "producer")
        _ = consumer.subscribe("a", qos: .atLeastOnce)
        worker.slow.insert(consumer.id)
        for number in 1...5 { producer.publish("a", "\(number)", qos: .atLeastOnce, identifier: UInt16(number)) }
        #expect(consumer.messages() == [])
        #expect(worker.engines[0].output.figures.inflight == 0)
        worker.slow.remove(consumer.id)
        worker.tick()
        let deliveries = consumer.deliveries()
        #expect(deliveries.map(\.payload) == (1...5).map { "\($0)" })
        #expect(deliveries.map(\.topic) == (aliases == 0 ? Array(repeating: "a", count: 5) : ["a", "", "", "", ""]))
        #expect(deliveries.map(\.identifier) == deliveries.map(\.identifier).sorted())
    }

    @Test("What loops had under way when a client's queue filled up enters it all the same: nothing acknowledged is lost")
    func underWay() {
        let worker = SimulatedWorker(loops: 2, limits: RoutingLimits(mqtt: MQTTLimits(queueMessages: 8, inflight: 2)))
        let consumer = SimulatedMQTTClient(worker, "consumer")
        _ = consumer.subscribe("a", qos: .atLeastOnce)
        var names = ["p", "q", "r", "s", "t", "u", "v", "w"].map { SimulatedMQTTClient(worker, $0) }
        names.removeAll { $0.id.loop == consumer.id.loop }
        guard let producer = names.first else { return }
        // The consumer's loop cannot tell the producer's in time.
        worker.deliversAtOnce = false
        for number in 1...50 { producer.publish("a", "\(number)", qos: .atLeastOnce, identifier: UInt16(number)) }
        worker.deliversAtOnce = true
        worker.deliverAll()
        #expect(worker.held.isEmpty)
        producer.publish("a", "51", qos: .atLeastOnce, identifier: 51)
        #expect(worker.held.contains(producer.id))
        var got: [String] = []
        for _ in 0..<60 {
            for delivery in consumer.deliveries() {
                got.append(delivery.payload)
                consumer.acknowledge(.publishAcknowledgement, delivery.identifier)
            }
        }
        #expect(got == (1...51).map { "\($0)" })
        #expect(!worker.held.contains(producer.id))
    }

    @Test("Rules about deliveries are asked about a message that has waited, when its client is there")
    func rulesOfDeliveries() {
        let rules = ScriptedRules()
        rules.wanted = [.deliver]
        let worker = SimulatedWorker(hooks: rules)
        let producer = SimulatedMQTTClient(worker, "producer")
        let first = SimulatedMQTTClient(worker, greeting: lasting("consumer"))
        _ = first.subscribe("a", qos: .atLeastOnce)
        first.vanish()
        for number in 1...2 { producer.publish("a", "\(number)", qos: .atLeastOnce, identifier: UInt16(number)) }
        rules.deliveries[ConnectionID(loop: 0, slot: 2, generation: 0)] = "hidden"
        #expect(SimulatedMQTTClient(worker, greeting: lasting("consumer")).messages() == ["a: hidden", "a: hidden"])
    }
}
