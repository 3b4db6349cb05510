import ExchangeCodec
import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("MQTT 5.0: properties, aliases, subscription options, reason codes")
struct MQTT5Tests {
    private let worker = SimulatedWorker()

    private func client(_ name: String, _ set: (inout Connect) -> Void = { _ in }) -> SimulatedMQTTClient { .v5(worker, name, set) }

    // MARK: CONNECT

    @Test("CONNACK tells what the worker has decided otherwise (MQTT-3.2.2-15 to 22)")
    func connackProperties() {
        let worker = SimulatedWorker(
            limits: RoutingLimits(
                frame: 1 << 20, mqtt: MQTTLimits(maximumSessionExpiry: 60, receiveMaximum: 9, topicAliases: 3, maximumKeepAlive: 30)))
        let client = SimulatedMQTTClient(worker, nil)
        var greeting = Connect(version: .v5, clientID: "", keepAlive: 100)
        greeting.properties.sessionExpiry = .max
        client.send(greeting.encoded())
        let answer = client.received().first?.withUnsafeBytes { try? ConnectAcknowledgement(decoding: Bytes(rebasing: $0[2...]), .v5) }
        let properties = answer?.properties
        #expect(answer?.reason == .success)
        #expect(properties?.sessionExpiry == 60)
        #expect(properties?.serverKeepAlive == 30)
        #expect(properties?.receiveMaximum == 9)
        #expect(properties?.topicAliasMaximum == 3)
        #expect(properties?.maximumPacketSize == 1 << 20)
        #expect(properties?.assignedClientIdentifier?.hasPrefix("auto-") == true)
        // Its session is its own to come back to.
        let name = properties?.assignedClientIdentifier ?? ""
        _ = SimulatedMQTTClient.v5(worker, name, isClean: false) { $0.properties.sessionExpiry = 60 }
        #expect(worker.engines[0].output.figures.sessions == 1)
    }

    @Test("An authentication method is refused by CONNACK; AUTH without one by DISCONNECT (MQTT-4.12.0-1, MQTT-4.12.0-6)")
    func authentication() {
        let first = SimulatedMQTTClient(worker, nil)
        var greeting = Connect(version: .v5, clientID: "c")
        greeting.properties.authenticationMethod = "SCRAM-SHA-256"
        first.send(greeting.encoded())
        let refused = first.received().first
        #expect(refused?[0] == 0x20)
        #expect(refused?[3] == ReasonCode.badAuthenticationMethod.rawValue)
        #expect(first.closed == .requestUnsupported)
        let second = client("d")
        second.send(Authenticate(.continueAuthentication).encoded())
        #expect(second.disconnected()?.reason == .protocolError)
    }

    @Test(
        "What breaks the protocol is answered by its reason code before the close (MQTT-4.13.1-1)",
        arguments: [
            ("a property twice", [0x30, 14, 0, 1, 0x61, 10, 2, 0, 0, 0, 1, 2, 0, 0, 0, 1], ReasonCode.protocolError),
            ("a property of another packet", [0x30, 9, 0, 1, 0x61, 5, 17, 0, 0, 0, 1], .protocolError),
            ("a property that there is not", [0x30, 6, 0, 1, 0x61, 2, 99, 0], .malformedPacket),
            ("a subscription identifier from a client", [0x30, 6, 0, 1, 0x61, 2, 11, 1], .protocolError),
            ("a property length beyond the packet", [0x30, 5, 0, 1, 0x61, 9, 1], .malformedPacket),
            ("an empty topic without an alias", [0x30, 3, 0, 0, 0], .protocolError),
            ("topic alias 0", [0x30, 7, 0, 1, 0x61, 3, 35, 0, 0], .topicAliasInvalid),
            ("a topic alias beyond the maximum", [0x30, 7, 0, 1, 0x61, 3, 35, 0xFF, 0], .topicAliasInvalid),
            ("a topic alias that has no topic", [0x30, 6, 0, 0, 3, 35, 0, 5], .protocolError),
            ("a topic with a wildcard", [0x30, 4, 0, 1, 0x23, 0], .topicNameInvalid),
            ("QoS 3", [0x36, 6, 0, 1, 0x61, 0, 1, 0], .malformedPacket),
            ("DUP with QoS 0", [0x38, 4, 0, 1, 0x61, 0], .malformedPacket),
            ("packet identifier 0", [0x32, 6, 0, 1, 0x61, 0, 0, 0], .protocolError),
            ("a packet that only servers send", [0x20, 3, 0, 0, 0], .protocolError),
            ("reserved options of a subscription", [0x82, 7, 0, 1, 0, 0, 1, 0x61, 0xC0], .malformedPacket),
            ("no local on a shared subscription", [0x82, 16, 0, 1, 0] + [0, 10] + Array("$share/g/a".utf8) + [4], .protocolError),
            ("subscription identifier 0", [0x82, 9, 0, 1, 2, 11, 0, 0, 1, 0x61, 0], .protocolError),
            ("a packet beyond the maximum", [0x30, 0xFF, 0xFF, 0xFF, 0x7F], .packetTooLarge),
        ] as [(String, [UInt8], ReasonCode)])
    func faults(what: String, packet: [UInt8], reason: ReasonCode) {
        let (client, other) = (client("c"), client("other"))
        _ = other.subscribe("a")
        client.send(packet)
        #expect(client.disconnected()?.reason == reason, "\(what)")
        #expect(client.closed != nil, "\(what)")
        #expect(other.closed == nil)
        client.publish("a", "x")
        #expect(other.messages() == [])
    }

    // MARK: PUBLISH

    @Test("What a message has besides its payload is passed on as it came, user properties in order (MQTT-3.3.2-17, 20)", arguments: QoS.allCases)
    func passedOn(qos: QoS) {
        let worker = SimulatedWorker(loops: 2)
        let consumers = (0..<2).map { SimulatedMQTTClient.v5(worker, "consumer\($0)") }
        for consumer in consumers { _ = consumer.subscribe("a", qos: .exactlyOnce) }
        var properties = Properties.none
        properties.payloadFormat = 1
        properties.contentType = "text/csv"
        properties.responseTopic = "answers/7"
        properties.correlationData = [0, 255, 7]
        properties.userProperties = [.init("b", "1"), .init("a", "2"), .init("b", "3"), .init("key", "k")]
        SimulatedMQTTClient.v5(worker, "producer").publish("a", "x", qos: qos, properties)
        for consumer in consumers { #expect(consumer.deliveries().map(\.properties) == [properties]) }
    }

    @Test("What became of a message is told: nobody, a broken payload, a topic of the worker's (MQTT-3.4.2-1)")
    func publishReasons() {
        let producer = client("producer")
        func reason(_ topic: String, _ payload: [UInt8] = [0x78], isText: Bool = false, qos: QoS = .atLeastOnce) -> ReasonCode? {
            var properties = Properties.none
            if isText { properties.payloadFormat = 1 }
            let topic = Array(topic.utf8), encoded = properties.encoded()
            producer.send(
                topic.withUnsafeBytes { topic in
                    payload.withUnsafeBytes { payload in
                        encoded.withUnsafeBytes {
                            PublishFields(.v5, topic: topic, payload: payload, qos: qos, identifier: 4, encodedProperties: $0).encoded()
                        }
                    }
                })
            return producer.answered(qos == .atLeastOnce ? .publishAcknowledgement : .publishReceived).first?.reason
        }
        #expect(reason("a") == .noMatchingSubscribers)
        #expect(reason("a", [0xFF], isText: true) == .payloadFormatInvalid)
        #expect(reason("$SYS/broker/version") == .notAuthorized)
        #expect(reason(String(repeating: "t", count: 2000)) == .topicNameInvalid)
        _ = client("consumer").subscribe("a")
        #expect(reason("a") == .success)
        #expect(reason("a", qos: .exactlyOnce) == .success)
        // A message that was refused has not begun: its identifier is free.
        producer.acknowledge(.publishRelease, 4)
        #expect(reason("$SYS/x", qos: .exactlyOnce) == .notAuthorized)
        producer.acknowledge(.publishRelease, 4)
        #expect(producer.answered(.publishComplete).last?.reason == .packetIdentifierNotFound)
    }

    @Test("A topic alias of a client stands for its topic, on its connection alone (MQTT-3.3.2-7 to 12)")
    func incomingAlias() {
        let (consumer, producer) = (client("consumer"), client("producer"))
        _ = consumer.subscribe("#", qos: .atLeastOnce)
        var properties = Properties.none
        properties.topicAlias = 2
        producer.publish("a", "1", properties)
        producer.publish("", "2", properties)
        producer.publish("b", "3", qos: .atLeastOnce, properties)
        producer.publish("", "4", properties)
        let deliveries = consumer.deliveries()
        #expect(deliveries.map { "\($0.topic): \($0.payload)" } == ["a: 1", "a: 2", "b: 3", "b: 4"])
        #expect(deliveries.allSatisfy { $0.properties.topicAlias == nil })
        let again = client("producer")
        again.publish("", "5", properties)
        #expect(again.disconnected()?.reason == .protocolError)
    }

    @Test("A client that takes aliases gets its most used topics by them, and no more than it takes (MQTT-3.1.2-26, 27)")
    func outgoingAlias() {
        let (consumer, producer) = (client("consumer") { $0.properties.topicAliasMaximum = 1 }, client("producer"))
        _ = consumer.subscribe("#", qos: .exactlyOnce)
        for qos in QoS.allCases { producer.publish("a", "\(qos)", qos: qos) }
        producer.publish("b", "other")
        let deliveries = consumer.deliveries()
        #expect(deliveries.map(\.topic) == ["a", "", "", "b"])
        #expect(deliveries.map(\.properties.topicAlias) == [1, 1, 1, nil])
    }

    @Test("A message larger than a client takes is dropped for it alone (MQTT-3.1.2-24, 25)", arguments: [QoS.atMostOnce, .atLeastOnce])
    func maximumPacket(qos: QoS) {
        let (small, large, producer) = (client("small") { $0.properties.maximumPacketSize = 60 }, client("large"), client("producer"))
        for consumer in [small, large] { _ = consumer.subscribe("a", qos: .atLeastOnce) }
        for count in [10, 100, 20] { producer.publish("a", String(repeating: "x", count: count), qos: qos) }
        #expect(small.deliveries().map(\.payload.count) == [10, 20])
        #expect(large.deliveries().map(\.payload.count) == [10, 100, 20])
    }

    @Test("A message that is too large for a client leaves its topic aliases as they are (MQTT-3.3.2-7)", arguments: [QoS.atMostOnce, .atLeastOnce])
    func aliasOfTooLarge(qos: QoS) {
        let consumer = client("consumer") { ($0.properties.topicAliasMaximum, $0.properties.maximumPacketSize) = (1, 100) }
        let producer = client("producer")
        _ = consumer.subscribe("#", qos: .atLeastOnce)
        let large = String(repeating: "x", count: 200)
        for (topic, payload) in [("a", large), ("a", "on"), ("b", large), ("b", large), ("b", "off"), ("b", "off"), ("a", "off")] {
            producer.publish(topic, payload, qos: qos)
        }
        #expect(
            consumer.deliveries().map { "\($0.properties.topicAlias ?? 0) \($0.topic): \($0.payload)" } == [
                "1 a: on", "0 b: off", "1 b: off", "0 a: off",
            ])
        // One that fits without a number only goes without one.
        producer.publish("c", "x", qos: qos)
        let overhead = qos == .atMostOnce ? 6 : 8
        producer.publish("c", String(repeating: "x", count: 100 - overhead), qos: qos)
        #expect(
            consumer.deliveries().map { "\($0.properties.topicAlias ?? 0) \($0.topic): \($0.payload.count)" } == ["0 c: 1", "0 c: \(100 - overhead)"])
    }

    // MARK: SUBSCRIBE

    @Test("No local: what a client publishes does not come back to it (MQTT-3.8.3-3)", arguments: QoS.allCases)
    func noLocal(qos: QoS) {
        let (one, other) = (client("one") { $0.properties.sessionExpiry = qos == .atMostOnce ? 0 : 50 }, client("other"))
        var filter = Subscribe.Filter("a", .exactlyOnce)
        filter.isNoLocal = true
        for client in [one, other] { _ = client.subscribe([filter]) }
        one.publish("a", "x", qos: qos)
        #expect(one.messages() == [])
        #expect(other.messages() == ["a: x"])
    }

    @Test("Retain as published, or never (MQTT-3.3.1-12, 13)", arguments: [QoS.atMostOnce, .atLeastOnce])
    func retainAsPublished(qos: QoS) {
        let (plain, passing, producer) = (client("plain"), client("passing"), client("producer"))
        var filter = Subscribe.Filter("a", qos)
        _ = plain.subscribe([filter])
        filter.isRetainAsPublished = true
        _ = passing.subscribe([filter])
        for isRetained in [true, false] { producer.publish("a", "x", qos: qos, isRetained: isRetained) }
        #expect(plain.messages() == ["a: x", "a: x"])
        #expect(passing.messages() == ["a: x (retained)", "a: x"])
    }

    @Test("A message of several subscriptions comes once, with the highest QoS and all their identifiers (MQTT-3.3.4-2 to 4)")
    func identifiers() {
        let (consumer, producer) = (client("consumer"), client("producer"))
        _ = consumer.subscribe([Subscribe.Filter("a/b", .atMostOnce)])
        _ = consumer.subscribe([Subscribe.Filter("a/+", .atLeastOnce)], identifier: 7)
        _ = consumer.subscribe([Subscribe.Filter("#", .atMostOnce)], identifier: 300)
        for qos in [QoS.atLeastOnce, .atMostOnce] { producer.publish("a/b", "x", qos: qos) }
        let deliveries = consumer.deliveries()
        #expect(deliveries.map(\.qos) == [.atLeastOnce, .atMostOnce])
        #expect(deliveries.map { Set($0.properties.subscriptionIdentifiers) } == [[7, 300], [7, 300]])
        // Subscribed anew, it has none.
        _ = consumer.subscribe([Subscribe.Filter("#", .atMostOnce)])
        producer.publish("a/b", "x")
        #expect(consumer.deliveries().map(\.properties.subscriptionIdentifiers) == [[7]])
    }

    @Test("A subscription that is there is replaced, with its options (MQTT-3.8.4-3)")
    func replaced() {
        let (consumer, producer) = (client("consumer"), client("producer"))
        for (number, qos) in [QoS.exactlyOnce, .atMostOnce, .atLeastOnce].enumerated() {
            _ = consumer.subscribe("a", qos: qos)
            producer.publish("a", "x", qos: .exactlyOnce, identifier: UInt16(number + 1))
            #expect(consumer.deliveries().map(\.qos) == [qos])
        }
        consumer.send(Unsubscribe(8, ["a", "b"]).encoded(.v5))
        let answer = consumer.answers(.unsubscribeAcknowledgement) { try SubscribeAnswer(.unsubscribeAcknowledgement, decoding: $0, .v5) }
        #expect(answer.first?.reasons == [.success, .noSubscriptionExisted])
        producer.publish("a", "x")
        #expect(consumer.messages() == [])
    }

    // MARK: Shared subscriptions

    @Test("Each message of a shared subscription goes to one member, of either protocol; an absent one gets nothing while another is there")
    func shared() {
        let lasting = SimulatedMQTTClient.v5(worker, "lasting", isClean: false) { $0.properties.sessionExpiry = 100 }
        let other = client("other"), exchange = worker.connect(), producer = client("producer")
        for member in [lasting, other] { #expect(member.subscribe("$share/g/a/#", qos: .atLeastOnce) == [.grantedQoS1]) }
        #expect(exchange.subscribe("a/#", group: "g") == 200)
        for number in 0..<30 { producer.publish("a/b", "\(number)", qos: .atLeastOnce) }
        let counts = [lasting.deliveries().count, other.deliveries().count, exchange.texts().count]
        #expect(counts == [10, 10, 10])
        lasting.vanish()
        for number in 0..<30 { producer.publish("a/b", "\(number)", qos: .atLeastOnce) }
        #expect(other.deliveries().count + exchange.texts().count == 30)
    }

    @Test("A message that one protocol has no form for goes to a member of its group that speaks the other")
    func standIns() {
        let mqtt = client("mqtt"), exchange = worker.connect(), producer = client("producer"), other = worker.connect()
        #expect(mqtt.subscribe("$share/g/#", qos: .atLeastOnce) == [.grantedQoS1])
        #expect(exchange.subscribe("#", group: "g") == 200)
        _ = mqtt.subscribe("$share/mqtt-alone/empty", qos: .atLeastOnce)
        for number in 1...10 { producer.publish("empty", "", qos: .atLeastOnce, identifier: UInt16(number)) }
        #expect(producer.answered(.publishAcknowledgement).map(\.reason) == Array(repeating: .success, count: 10))
        #expect(mqtt.deliveries().count == 20)
        #expect(exchange.texts() == [])
        for number in 1...10 { #expect(other.ask(Frame(.message, id: Int64(number), text: "x", name: "a\u{1}"))?.status == 200) }
        #expect(exchange.texts().count == 10)
        #expect(mqtt.messages() == [])
        #expect(worker.engines[0].output.figures.inexpressible == 0)
        worker.disconnect(exchange.id)
        #expect(other.ask(Frame(.message, id: 1, text: "x", name: "a\u{1}"))?.status == 500)
        #expect(worker.engines[0].output.figures.inexpressible == 1)
    }

    @Test("Of several copies each has the identifiers of its own subscriptions (MQTT-3.3.4-5)")
    func identifiersOfShared() {
        let (consumer, producer) = (client("consumer"), client("producer"))
        _ = consumer.subscribe([Subscribe.Filter("a", .atLeastOnce)], identifier: 1)
        _ = consumer.subscribe([Subscribe.Filter("#", .atLeastOnce)], identifier: 2)
        _ = consumer.subscribe([Subscribe.Filter("$share/z/a", .atLeastOnce)], identifier: 9)
        for qos in [QoS.atLeastOnce, .atMostOnce] {
            producer.publish("a", "x", qos: qos)
            #expect(Set(consumer.deliveries().map { Set($0.properties.subscriptionIdentifiers) }) == [[1, 2], [9]])
        }
    }

    // MARK: Limits

    @Test("A client may do what its CONNACK has told it, whatever the limits are by now (MQTT-3.3.2-12, MQTT-3.3.4-7, MQTT-3.2.2-14)")
    func announced() {
        let (before, consumer) = (client("before"), client("consumer"))
        _ = consumer.subscribe("#", qos: .atMostOnce)
        let lower = RoutingLimits(frame: 1 << 10, mqtt: MQTTLimits(receiveMaximum: 2, topicAliases: 1, retainedMessages: 0))
        worker.engines[0].setLimits(lower)
        var properties = Properties.none
        properties.topicAlias = 16
        func use(_ client: SimulatedMQTTClient, _ number: Int) {
            switch number {
            case 0: client.publish("a", "alias", properties)
            case 1: client.publish("a", String(repeating: "x", count: 2000))
            case 2: client.publish("a", "retained", isRetained: true)
            default: for identifier in 1...3 { client.publish("a", "\(identifier)", qos: .exactlyOnce, identifier: UInt16(identifier)) }
            }
        }
        for number in 0...3 { use(before, number) }
        #expect(before.closed == nil)
        #expect(consumer.messages().count == 6)
        let reasons: [ReasonCode] = [.topicAliasInvalid, .packetTooLarge, .retainNotSupported, .receiveMaximumExceeded]
        for (number, reason) in reasons.enumerated() {
            let after = client("after")
            use(after, number)
            #expect(after.disconnected()?.reason == reason)
        }
        // What others may do now, it may do too.
        worker.engines[0].setLimits(RoutingLimits(frame: 1 << 20, mqtt: MQTTLimits(topicAliases: 100)))
        properties.topicAlias = 100
        use(before, 0)
        #expect(before.closed == nil)
    }

    @Test("A client that takes no CONNACK, or no answer to its SUBSCRIBE, is told so and closed (MQTT-3.14.0-1, MQTT-3.1.2-24)")
    func answersTooLarge() {
        let small = SimulatedMQTTClient(worker, nil)
        var greeting = Connect(version: .v5, clientID: "small")
        greeting.properties.maximumPacketSize = 5
        small.send(greeting.encoded())
        #expect(small.received() == [[0x20, 3, 0, ReasonCode.packetTooLarge.rawValue, 0]])
        #expect(small.closed == .frameTooLarge)
        let wide = client("wide") { $0.properties.maximumPacketSize = 40 }
        wide.send(Subscribe(1, (0..<60).map { Subscribe.Filter("\($0)") }).encoded(.v5))
        #expect(wide.received().map { [$0[0], $0[2]] } == [[0xE0, ReasonCode.packetTooLarge.rawValue]])
        let other = client("other") { $0.properties.maximumPacketSize = 40 }
        other.send(Unsubscribe(1, (0..<60).map(String.init)).encoded(.v5))
        #expect(other.received().map { [$0[0], $0[2]] } == [[0xE0, ReasonCode.packetTooLarge.rawValue]])
    }

    // MARK: Shared subscriptions that end

    @Test("What a member had not acknowledged when it left for good goes to another one; QoS 2 that may have arrived does not (MQTT-4.8.2-5)")
    func sharedAgain() {
        let (first, producer) = (client("first"), client("producer"))
        _ = first.subscribe("$share/g/a", qos: .exactlyOnce)
        producer.publish("a", "one", qos: .atLeastOnce)
        producer.publish("a", "two", qos: .exactlyOnce)
        #expect(first.deliveries().count == 2)
        let second = client("second")
        _ = second.subscribe("$share/g/a", qos: .exactlyOnce)
        first.vanish()
        #expect(second.messages() == ["a: one"])
        #expect(worker.engines[0].held.count == 0 || worker.engines[0].output.figures.inflight == 1)
    }

    @Test("What a member leaves to another one expires as it would have, and says the seconds that are left (MQTT-3.3.2-5, MQTT-3.3.2-6)")
    func sharedExpiring() {
        let (first, producer) = (client("first"), client("producer"))
        _ = first.subscribe("$share/g/a", qos: .atLeastOnce)
        for expiry in [10, 2] as [UInt32] {
            var properties = Properties.none
            properties.messageExpiry = expiry
            producer.publish("a", "\(expiry)", qos: .atLeastOnce, properties)
        }
        #expect(first.deliveries().map(\.payload) == ["10", "2"])
        let second = client("second")
        _ = second.subscribe("$share/g/a", qos: .atLeastOnce)
        worker.now += 4
        first.vanish()
        let deliveries = second.deliveries()
        #expect(deliveries.map(\.payload) == ["10"])
        #expect(deliveries.map(\.properties.messageExpiry) == [6])
    }

    @Test("A message that waits for a client and goes out in the same moment has all its seconds left")
    func expiringAtOnce() {
        let (consumer, producer) = (client("consumer") { $0.properties.receiveMaximum = 1 }, client("producer"))
        worker.now = 1_800_000_000.3
        _ = consumer.subscribe("a", qos: .atLeastOnce)
        for number in 1...9 {
            var properties = Properties.none
            properties.messageExpiry = UInt32(number * 10)
            producer.publish("a", "\(number)", qos: .atLeastOnce, properties)
        }
        for number in 1...9 {
            #expect(consumer.deliveries().map(\.properties.messageExpiry) == [UInt32(number * 10)])
            consumer.acknowledge(.publishAcknowledgement, UInt16(number))
        }
    }
}
