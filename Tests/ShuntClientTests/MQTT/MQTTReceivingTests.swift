import ExchangeCodec
import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntClient

@Suite("Messages that an MQTT session gets")
struct MQTTReceivingTests {
    @Test("are acknowledged when the application has taken them", arguments: [MQTTVersion.v3_1_1, .v5])
    func acknowledgements(version: MQTTCodec.MQTTVersion) {
        var run = MQTTSessionRun(version)
        run.attach()
        #expect(run.receive(run.incoming("0", 0, qos: .atMostOnce)).delivered == ["0"])
        let one = run.receive(run.incoming("1", 7, qos: .atLeastOnce))
        let two = run.receive(run.incoming("2", 8, qos: .exactlyOnce))
        #expect(one.sent.isEmpty && two.sent.isEmpty)
        #expect(run.on(.taken(one.receipts + two.receipts)) == [run.answer(.publishAcknowledgement, 7), run.answer(.publishReceived, 8)])
        #expect(run.receive(PublishAnswer(.publishRelease, 8).encoded(version)) == [run.answer(.publishComplete, 8)])
        #expect(run.on(.taken(one.receipts + two.receipts)).isEmpty, "once is enough")
    }

    @Test("are acknowledged in the order in which they came, whatever the application takes first: MQTT-4.6.0-2")
    func order() {
        var run = MQTTSessionRun()
        run.attach()
        var receipts: [MQTTReceipt] = []
        for identifier in [7, 8, 9] as [UInt16] {
            receipts += run.receive(run.incoming("x", identifier, qos: identifier == 8 ? .exactlyOnce : .atLeastOnce)).receipts
        }
        #expect(run.on(.taken([receipts[2]])).isEmpty)
        #expect(run.on(.taken([receipts[1]])).isEmpty)
        let answers = [
            run.answer(.publishAcknowledgement, 7), run.answer(.publishReceived, 8), run.answer(.publishAcknowledgement, 9),
        ]
        #expect(run.on(.taken([receipts[0]])) == answers)
    }

    @Test("are acknowledged in that order also when they come again")
    func orderAgain() {
        var run = MQTTSessionRun()
        run.attach()
        var receipts: [MQTTReceipt] = []
        for identifier in [7, 8] as [UInt16] { receipts += run.receive(run.incoming("x", identifier, qos: .atLeastOnce)).receipts }
        _ = run.comeBack()
        _ = run.on(.taken([receipts[1]]))
        _ = run.greet(session: true)
        for identifier in [7, 8] as [UInt16] {
            #expect(run.receive(run.incoming("x", identifier, qos: .atLeastOnce, isDuplicate: true)).isEmpty)
        }
        #expect(run.on(.taken([receipts[0]])) == [run.answer(.publishAcknowledgement, 7), run.answer(.publishAcknowledgement, 8)])
    }

    @Test("of QoS 2 come once, however often they are sent, until they are released")
    func exactlyOnce() {
        var run = MQTTSessionRun()
        run.attach()
        let first = run.receive(run.incoming("x", 8, qos: .exactlyOnce))
        #expect(run.receive(run.incoming("x", 8, qos: .exactlyOnce, isDuplicate: true)).isEmpty, "it waits for the application")
        _ = run.on(.taken(first.receipts))
        #expect(run.receive(run.incoming("x", 8, qos: .exactlyOnce, isDuplicate: true)) == [run.answer(.publishReceived, 8)])
        _ = run.comeBack()
        _ = run.greet(session: true)
        #expect(run.receive(run.incoming("x", 8, qos: .exactlyOnce, isDuplicate: true)) == [run.answer(.publishReceived, 8)])
        _ = run.acknowledge(.publishRelease, 8)
        #expect(run.receive(run.incoming("y", 8, qos: .exactlyOnce)).delivered == ["y"])
        #expect(run.acknowledge(.publishRelease, 99) == [run.answer(.publishComplete, 99, .packetIdentifierNotFound)])
    }

    @Test("that were taken while the connection was away are acknowledged when they come again, and not delivered")
    func takenMeanwhile() {
        for (qos, type) in [(QoS.atLeastOnce, PacketType.publishAcknowledgement), (.exactlyOnce, .publishReceived)] {
            var run = MQTTSessionRun()
            run.attach()
            let first = run.receive(run.incoming("x", 8, qos: qos))
            _ = run.on(.lost(hungUp))
            #expect(run.on(.taken(first.receipts)).isEmpty)
            _ = run.on(.pauseOver)
            _ = run.on(.connected)
            _ = run.greet(session: true)
            #expect(run.receive(run.incoming("x", 8, qos: qos, isDuplicate: true)) == [run.answer(type, 8)])
        }
    }

    @Test("of a session that the broker has lost are nobody's any more")
    func lostSession() {
        var run = MQTTSessionRun()
        run.attach()
        let first = run.receive(run.incoming("x", 8, qos: .exactlyOnce))
        _ = run.comeBack()
        _ = run.greet(session: false)
        let second = run.receive(run.incoming("y", 8, qos: .exactlyOnce))
        #expect(second.delivered == ["y"])
        #expect(run.on(.taken(first.receipts)).isEmpty)
        #expect(run.on(.taken(second.receipts)) == [run.answer(.publishReceived, 8)])
    }

    @Test("of QoS 1 with an identifier that is used again are new ones")
    func identifierAgain() {
        var run = MQTTSessionRun()
        run.attach()
        #expect(run.receive(run.incoming("x", 8, qos: .atLeastOnce)).delivered == ["x"])
        #expect(run.receive(run.incoming("y", 8, qos: .atLeastOnce)).delivered == ["y"])
    }

    @Test("have all that they were sent with")
    func properties() throws {
        var message = OutgoingMessage(topic: "t/é", json: #"{"a":1}"#, key: "eu")
        message.mqtt.qos = .atLeastOnce
        message.mqtt.isRetained = true
        message.mqtt.messageExpiry = 30
        message.mqtt.responseTopic = "r"
        message.mqtt.correlationData = [0, 255]
        message.mqtt.userProperties = [UserProperty("b", "1"), UserProperty("a", "2"), UserProperty("b", "3")]
        var run = MQTTSessionRun()
        run.attach()
        let packet = try #require(message.publishPacket(.v5, qos: .atMostOnce, identifier: 9))
        guard case .deliver(let came, _)? = run.receive(packet).first else {
            Issue.record("nothing came")
            return
        }
        #expect((came.topic, came.key, came.format, came.id) == ("t/é", "eu", .json, 9))
        #expect(came.payload == message.payload)
        var expected = message.mqtt
        expected.contentType = "application/json"
        expected.userProperties.append(UserProperty("key", "eu"))
        #expect(came.mqtt == expected)
    }

    @Test("that are compressed say so by the user property of that name")
    func compression() throws {
        let message = OutgoingMessage(topic: "t", payload: [1, 2, 3], compression: .lz4)
        var run = MQTTSessionRun()
        run.attach()
        guard case .deliver(let came, _)? = run.receive(try #require(message.publishPacket(.v5, qos: .atMostOnce, identifier: 1))).first else {
            Issue.record("nothing came")
            return
        }
        #expect(came.compression == .lz4 && came.mqtt?.contentType == nil)
        #expect(message.mqttFault(.v3_1_1, qos: .atMostOnce)?.code == .requestUnsupported)
    }

    @Test("to a device are a broadcast's text, or the object that was published; a text that looks like one stays a text")
    func notifications() {
        func came(_ payload: String, _ contentType: String?) -> DeviceNotification {
            var message = ReceivedMessage(topic: "$shunt/notify", payload: Array(payload.utf8), id: 3)
            message.mqtt = MQTTProperties()
            message.mqtt?.contentType = contentType
            return DeviceNotification(message)
        }
        let body = NotifyBody(message: "hi", matchTags: ["x"])
        let object = String(decoding: body.encoded(), as: UTF8.self)
        #expect(came(object, "application/json") == DeviceNotification(message: "hi", filter: DeviceFilter(matchTags: ["x"]), id: 3))
        #expect(came(object, nil).message == "hi")
        #expect(came(object, "text/plain").message == object)
        #expect(came("hi", nil) == DeviceNotification(message: "hi", id: 3))
    }

    @Test("3.1.1 carries no key and no properties; the exchange protocol no QoS, retain flag or properties")
    func unsupported() {
        var message = OutgoingMessage(topic: "t", text: "x")
        #expect(message.mqttFault(.v3_1_1, qos: .exactlyOnce) == nil)
        message.key = "k"
        #expect(message.mqttFault(.v3_1_1, qos: .exactlyOnce)?.code == .requestUnsupported)
        #expect(message.fault(frameLimit: 1000) == nil)
        message.key = nil
        message.mqtt.isRetained = true
        #expect(message.mqttFault(.v3_1_1, qos: .exactlyOnce) == nil)
        #expect(message.fault(frameLimit: 1000)?.code == .requestUnsupported)
    }
}

@Suite("MQTT's options")
struct MQTTOptionsTests {
    private static let wrong: [(String, @Sendable (inout MQTTOptions) -> Void)] = [
        ("MQTT 3.1 is not spoken", { $0.version = .v3_1 }),
        ("a session that is kept needs a client id", { $0.isClean = false }),
        ("a session expiry without a client id", { $0.sessionExpiry = 5 }),
        ("MQTT 3.1.1 has no session expiry", { ($0.version, $0.clientID, $0.sessionExpiry) = (.v3_1_1, "me", 5) }),
        ("MQTT 3.1.1 has no user properties", { ($0.version, $0.userProperties) = (.v3_1_1, [UserProperty("a", "b")]) }),
        ("MQTT 3.1.1 has no subscription options", { ($0.version, $0.subscription.isNoLocal) = (.v3_1_1, true) }),
        ("a password without a user name", { ($0.version, $0.password) = (.v3_1_1, [1]) }),
        ("the receive maximum is 0", { $0.receiveMaximum = 0 }),
        ("the subscription identifier is 0", { $0.subscription.identifier = 0 }),
        ("the user name is too long, or has NUL in it", { $0.userName = "a\0b" }),
        ("the client id is too long, or has NUL in it", { $0.clientID = String(repeating: "x", count: 65_536) }),
        ("a user property is too long, or has NUL in it", { $0.userProperties = [UserProperty("a", "\0")] }),
        ("a will's delay without a will", { $0.willDelay = 1 }),
        ("the will: the topic has a wildcard or NUL in it, or is too long", { $0.will = OutgoingMessage(topic: "a/#", text: "") }),
        ("the will has 65536 bytes", { $0.will = OutgoingMessage(topic: "a", payload: [UInt8](repeating: 0, count: 65_536)) }),
    ]

    @Test("that can't be are told before anything is sent")
    func check() throws {
        try MQTTOptions().check()
        for (message, change) in Self.wrong {
            var options = MQTTOptions()
            change(&options)
            let error = #expect(throws: ShuntError.self) { try options.check() }
            #expect(error?.message == message)
            #expect(error?.help != nil)
        }
    }

    @Test("become CONNECT's fields")
    func connect() {
        var options = MQTTOptions()
        (options.clientID, options.userName, options.password) = ("me", "ann", [1, 2])
        options.sessionExpiry = 3600
        options.userProperties = [UserProperty("a", "b")]
        options.will = OutgoingMessage(topic: "gone/me", text: "bye")
        options.willDelay = 7
        let packet = options.settings(broker, ConnectionOptions(frameLimit: 1000), returnPatience: nil, buffered: 20).connect
        #expect((packet.userName, packet.password, packet.isClean) == ("ann", [1, 2], true))
        #expect(packet.will?.qos == .atLeastOnce && packet.will?.properties.willDelay == 7 && packet.will?.payload == Array("bye".utf8))
        #expect((packet.properties.sessionExpiry, packet.properties.receiveMaximum, packet.properties.maximumPacketSize) == (3600, 20, 1000))
        #expect(packet.properties.userProperties == options.userProperties)
    }

    @Test("of a subscription: a group is a shared one, and takes neither a key nor no local")
    func groups() {
        func fault(_ topic: String, group: String, key: String? = nil, noLocal: Bool = false) -> ErrorCode? {
            var options = MQTTOptions()
            options.subscription.isNoLocal = noLocal
            let configuration = ConsumerConfiguration(route: .mqtt(broker, options), topic: topic, group: group, key: key)
            do throws(ShuntError) {
                try configuration.check()
                return nil
            } catch {
                return error.code
            }
        }
        let configuration = ConsumerConfiguration(route: .mqtt(broker, MQTTOptions()), topic: "a/+", group: "g")
        #expect(configuration.filter == "$share/g/a/+")
        #expect(fault("a/+", group: "g") == nil)
        #expect(fault("a/+", group: "", key: "k") == nil)
        #expect(fault("a/+", group: "g", key: "k") == .usage)
        #expect(fault("a/+", group: "g/h") == .usage)
        #expect(fault("a/+", group: "g", noLocal: true) == .usage)
        #expect(fault("a+", group: "") == .topicInvalid)
    }
}
