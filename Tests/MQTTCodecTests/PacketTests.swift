import MQTTCodec
import ShuntCore
import Testing

@Suite("MQTT packets, byte by byte")
struct PacketTests {
    @Test("CONNECT of 3.1.1 with everything that it may have (§3.1)")
    func connect() throws {
        // The non-normative example of §3.1.3, with a client identifier.
        let packet = hex(
            """
            10 27 00 04 4D515454 04 CE 000A  0003 63 61 74
            0006 77 2F 67 6F 6E 65  0003 62 79 65  0003 61 6E 6E  0004 70 61 73 73
            """)
        let (header, body) = try #require(split(packet))
        #expect(header.type == .connect)
        let read = try #require(read(body) { bytes throws(MQTTFault) in try Connect(decoding: bytes) }.value)
        var wanted = Connect(version: .v3_1_1, clientID: "cat", keepAlive: 10)
        wanted.will = Connect.Will(topic: "w/gone", payload: Array("bye".utf8), qos: .atLeastOnce)
        wanted.userName = "ann"
        wanted.password = Array("pass".utf8)
        #expect(read == wanted)
        #expect(wanted.encoded() == packet)
    }

    @Test("CONNECT of 5.0 with properties of its own and of its will")
    func connectWithProperties() throws {
        var connect = Connect(version: .v5, clientID: "", isClean: false, keepAlive: 60)
        connect.properties.sessionExpiry = 3600
        connect.properties.receiveMaximum = 20
        connect.properties.maximumPacketSize = 1 << 20
        connect.properties.topicAliasMaximum = 10
        connect.properties.requestProblemInformation = false
        connect.properties.userProperties = [.init("a", "1"), .init("a", "2")]
        connect.will = Connect.Will(topic: "gone", payload: [], qos: .exactlyOnce, isRetained: true)
        connect.will?.properties.willDelay = 5
        connect.will?.properties.contentType = "text/plain"
        let (_, body) = try #require(split(connect.encoded()))
        #expect(read(body) { bytes throws(MQTTFault) in try Connect(decoding: bytes) } == .success(connect))
        #expect(body.starts(with: hex("0004 4D515454 05 34 003C")))
    }

    @Test("3.1 is 3.1.1 under its old name")
    func oldest() throws {
        let connect = Connect(version: .v3_1, clientID: "old")
        let (_, body) = try #require(split(connect.encoded()))
        #expect(body.starts(with: hex("0006 4D5149736470 03")))
        #expect(read(body) { bytes throws(MQTTFault) in try Connect(decoding: bytes) } == .success(connect))
    }

    @Test(
        "CONNACK: return codes of 3.1.1, reason codes of 5.0; none where 3.1.1 has none",
        arguments: [
            (.success, true, "20 02 01 00", "20 03 01 00 00"),
            (.unsupportedProtocolVersion, true, "20 02 00 01", "20 03 00 84 00"),
            (.clientIdentifierNotValid, false, "20 02 00 02", "20 03 00 85 00"),
            (.serverBusy, false, "20 02 00 03", "20 03 00 89 00"),
            (.badUserNameOrPassword, false, "20 02 00 04", "20 03 00 86 00"),
            (.notAuthorized, false, "20 02 00 05", "20 03 00 87 00"),
            (.malformedPacket, false, nil, "20 03 00 81 00"),
        ] as [(ReasonCode, Bool, String?, String)])
    func connectAcknowledgement(reason: ReasonCode, hasSession: Bool, old: String?, new: String) throws {
        let packet = ConnectAcknowledgement(hasSession: hasSession, reason)
        #expect(packet.encoded(.v3_1_1) == old.map(hex))
        #expect(packet.encoded(.v5) == hex(new))
        let (_, body) = try #require(split(hex(new)))
        #expect(read(body) { bytes throws(MQTTFault) in try ConnectAcknowledgement(decoding: bytes, .v5) }.value?.reason == reason)
    }

    @Test("PUBLISH of every QoS, in both versions (§3.3)", arguments: [MQTTVersion.v3_1_1, .v5], QoS.allCases)
    func publish(version: MQTTVersion, qos: QoS) throws {
        var properties = Properties.none
        if version == .v5 {
            properties.payloadFormat = 1
            properties.messageExpiry = 30
            properties.contentType = "application/json"
            properties.responseTopic = "answers"
            properties.correlationData = [0, 255]
            properties.subscriptionIdentifiers = [1, 268_435_455]
            properties.topicAlias = 7
            properties.userProperties = [.init("key", "k")]
        }
        let encoded = version == .v5 ? properties.encoded() : []
        let packet = "a/b".asBytes { topic in
            Array("{}".utf8).withUnsafeBytes { payload in
                encoded.withUnsafeBytes { properties in
                    PublishFields(
                        version, topic: topic, payload: payload, qos: qos, isRetained: true, identifier: 258, encodedProperties: properties
                    ).encoded()
                }
            }
        }
        #expect(packet[0] == 0x31 | qos.rawValue << 1)
        let published = try Published(packet, version)
        #expect(published.topic == "a/b")
        #expect(published.payload == Array("{}".utf8))
        #expect(published.qos == qos && published.isRetained && !published.isDuplicate)
        #expect(published.identifier == (qos == .atMostOnce ? 0 : 258))
        #expect(published.properties == properties)
    }

    @Test("A small PUBLISH of QoS 0 as both versions write it")
    func smallPublish() {
        let packets = [MQTTVersion.v3_1_1, .v5].map { version in
            "a".asBytes { topic in [UInt8(0x78)].withUnsafeBytes { PublishFields(version, topic: topic, payload: $0).encoded() } }
        }
        #expect(packets == [hex("30 04 0001 61 78"), hex("30 05 0001 61 00 78")])
    }

    @Test("Lengths around the steps of the remaining length", arguments: [0, 1, 120, 124, 125, 126, 16_379, 16_380, 2_097_147, 2_097_148])
    func lengths(payload: Int) throws {
        let packet = "t".asBytes { topic in
            [UInt8](repeating: 7, count: payload).withUnsafeBytes { PublishFields(.v3_1_1, topic: topic, payload: $0).encoded() }
        }
        let (header, body) = try #require(split(packet))
        #expect(header.size == packet.count)
        #expect(body.count == 3 + payload)
        #expect(try Published(packet, .v3_1_1).payload.count == payload)
    }

    @Test(
        "PUBACK, PUBREC, PUBREL, PUBCOMP: four bytes where all is well, a reason in 5.0 alone",
        arguments: [
            (PacketType.publishAcknowledgement, "40 02 0102"), (.publishReceived, "50 02 0102"), (.publishRelease, "62 02 0102"),
            (.publishComplete, "70 02 0102"),
        ])
    func answers(type: PacketType, bytes: String) throws {
        let answer = PublishAnswer(type, 258)
        #expect(answer.encoded(.v3_1_1) == hex(bytes) && answer.encoded(.v5) == hex(bytes))
        var memory = [UInt8](repeating: 0, count: PublishAnswer.shortSize)
        memory.withUnsafeMutableBytes { PublishAnswer.write(type, 258, to: $0.baseAddress!) }
        #expect(memory == hex(bytes))
        let isRelease = type == .publishRelease || type == .publishComplete
        var refused = PublishAnswer(type, 258, isRelease ? .packetIdentifierNotFound : .quotaExceeded)
        #expect(refused.encoded(.v3_1_1) == hex(bytes))
        refused.properties.reasonString = "too many"
        let (_, body) = try #require(split(refused.encoded(.v5)))
        #expect(read(body) { bytes throws(MQTTFault) in try PublishAnswer(type, decoding: bytes, .v5) } == .success(refused))
    }

    @Test("SUBSCRIBE, UNSUBSCRIBE and their answers, in both versions", arguments: [MQTTVersion.v3_1_1, .v5])
    func subscriptions(version: MQTTVersion) throws {
        var filter = Subscribe.Filter("a/+", .exactlyOnce)
        if version == .v5 { (filter.isNoLocal, filter.isRetainAsPublished, filter.retainHandling) = (true, true, .doNotSend) }
        var subscribe = Subscribe(9, [filter, .init("$share/g/b/#", .atLeastOnce)])
        if version == .v5 { subscribe.properties.subscriptionIdentifiers = [300] }
        let (header, body) = try #require(split(subscribe.encoded(version)))
        #expect(header.flags == 2)
        #expect(read(body) { bytes throws(MQTTFault) in try Subscribe(decoding: bytes, version) } == .success(subscribe))
        let unsubscribe = Unsubscribe(10, ["a/+", "b"])
        let (_, other) = try #require(split(unsubscribe.encoded(version)))
        #expect(read(other) { bytes throws(MQTTFault) in try Unsubscribe(decoding: bytes, version) } == .success(unsubscribe))
        let answer = SubscribeAnswer(.subscribeAcknowledgement, 9, [.grantedQoS2, .notAuthorized])
        #expect(answer.encoded(version) == hex(version == .v5 ? "90 05 0009 00 02 87" : "90 04 0009 02 80"))
        let gone = SubscribeAnswer(.unsubscribeAcknowledgement, 10, [.success, .noSubscriptionExisted])
        #expect(gone.encoded(version) == hex(version == .v5 ? "B0 05 000A 00 00 11" : "B0 02 000A"))
    }

    @Test("DISCONNECT, AUTH, PINGREQ, PINGRESP")
    func small() throws {
        #expect(Disconnect().encoded(.v5) == hex("E0 00"))
        #expect(Disconnect(.serverShuttingDown).encoded(.v5) == hex("E0 01 8B"))
        #expect(Disconnect(.serverShuttingDown).encoded(.v3_1_1) == hex("E0 00"))
        #expect(Ping.request == hex("C0 00") && Ping.response == hex("D0 00"))
        var leaving = Disconnect(.disconnectWithWill)
        leaving.properties.sessionExpiry = 9
        let (_, body) = try #require(split(leaving.encoded(.v5)))
        #expect(read(body) { bytes throws(MQTTFault) in try Disconnect(decoding: bytes, .v5) } == .success(leaving))
        var authenticate = Authenticate(.continueAuthentication)
        authenticate.properties.authenticationMethod = "SCRAM"
        authenticate.properties.authenticationData = [1]
        let (_, exchange) = try #require(split(authenticate.encoded()))
        #expect(read(exchange) { bytes throws(MQTTFault) in try Authenticate(decoding: bytes) } == .success(authenticate))
    }
}
