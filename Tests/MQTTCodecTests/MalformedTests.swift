import MQTTCodec
import SeededRandom
import ShuntCore
import Testing

@Suite("MQTT packets that are wrong, and how")
struct MalformedTests {
    @Test(
        "The fixed header",
        arguments: [
            ("00 00", ReasonCode.malformedPacket, ""), ("36 00", .malformedPacket, "MQTT-3.3.1-4"), ("38 00", .malformedPacket, "MQTT-3.3.1-2"),
            ("11 00", .malformedPacket, "MQTT-2.1.3-1"), ("80 05", .malformedPacket, "MQTT-2.1.3-1"), ("60 02", .malformedPacket, "MQTT-2.1.3-1"),
            ("A0 02", .malformedPacket, "MQTT-2.1.3-1"), ("E1 00", .malformedPacket, "MQTT-2.1.3-1"),
            ("30 FFFFFFFF 7F", .malformedPacket, ""), ("30 8000", .malformedPacket, "MQTT-1.5.5-1"),
            ("30 80808000", .malformedPacket, "MQTT-1.5.5-1"),
            ("30 FF7F", .packetTooLarge, "MQTT-3.1.2-24"), ("00", .malformedPacket, ""), ("3E", .malformedPacket, "MQTT-3.3.1-4"),
        ])
    func fixedHeader(bytes: String, reason: ReasonCode, statement: String) {
        guard case .malformed(let fault) = hex(bytes).withUnsafeBytes({ PacketDecoder.decode($0, limit: 1000) }) else {
            Issue.record("it was taken")
            return
        }
        #expect(fault.code == reason && fault.statement == statement)
    }

    @Test("What has come only in part is waited for", arguments: ["", "30", "30 80", "30 8080", "30 03 0001", "10 FF"])
    func incomplete(bytes: String) {
        #expect(hex(bytes).withUnsafeBytes { PacketDecoder.decode($0, limit: 1 << 28) } == .needMore)
    }

    @Test(
        "CONNECT",
        arguments: [
            ("0003 4D5154 04 02 0000 0000", ReasonCode.unsupportedProtocolVersion, "MQTT-3.1.2-1"),
            ("0004 4D515455 04 02 0000 0000", .unsupportedProtocolVersion, "MQTT-3.1.2-1"),
            ("0004 4D515454 06 02 0000 0000", .unsupportedProtocolVersion, "MQTT-3.1.2-2"),
            ("0004 4D515454 03 02 0000 0000", .unsupportedProtocolVersion, "MQTT-3.1.2-1"),
            ("0006 4D5149736470 04 02 0000 0000", .unsupportedProtocolVersion, "MQTT-3.1.2-1"),
            ("0004 4D515454 04 03 0000 0000", .malformedPacket, "MQTT-3.1.2-3"),
            ("0004 4D515454 04 1E 0000 0000 0001 74 0000", .malformedPacket, "MQTT-3.1.2-12"),
            ("0004 4D515454 04 0A 0000 0000", .malformedPacket, "MQTT-3.1.2-11"),
            ("0004 4D515454 04 22 0000 0000", .malformedPacket, "MQTT-3.1.2-11"),
            ("0004 4D515454 04 42 0000 0000 0000", .malformedPacket, "MQTT-3.1.2-22"),
            ("0004 4D515454 04 06 0000 0000 0001 23 0000", .topicNameInvalid, "MQTT-3.3.2-2"),
            ("0004 4D515454 04 82 0000 0000", .malformedPacket, ""),
            ("0004 4D515454 04 02 0000 0000 00", .malformedPacket, ""),
            ("0004 4D515454 04 02 0000 0001 00", .malformedPacket, "MQTT-1.5.4-1"),
            ("0004 4D515454 04 02 0000 0003 EDA080", .malformedPacket, "MQTT-1.5.4-1"),
            ("0004 4D515454 05 02 0000 05 11 00000001 0000 00", .malformedPacket, ""),
            ("0004 4D515454 05 02 0000 06 21 0001 21 0002 0000", .protocolError, ""),
            ("0004 4D515454 05 02 0000 03 21 0000 0000", .protocolError, ""),
            ("0004 4D515454 05 02 0000 05 27 00000000 0000", .protocolError, ""),
            ("0004 4D515454 05 02 0000 03 23 0001 0000", .protocolError, ""),
            ("0004 4D515454 05 02 0000 02 19 02 0000", .protocolError, ""),
            ("0004 4D515454 05 02 0000 02 7E 00 0000", .malformedPacket, "MQTT-2.2.2-2"),
            ("0004 4D515454 05 02 0000 04 16 0001 61 0000", .protocolError, ""),
            ("0004 4D515454 05 02 0000 FF", .malformedPacket, ""), ("0004 4D515454 05 02 0000 20 0000", .malformedPacket, ""),
            ("0004 4D515454", .malformedPacket, ""), ("", .malformedPacket, ""),
        ])
    func connect(body: String, reason: ReasonCode, statement: String) {
        let fault = read(hex(body)) { bytes throws(MQTTFault) in try Connect(decoding: bytes) }.error
        #expect(fault?.code == reason && fault?.statement == statement, "\(String(describing: fault))")
    }

    @Test(
        "PUBLISH",
        arguments: [
            ("32 03 0001 61", MQTTVersion.v3_1_1, ReasonCode.malformedPacket, ""), ("32 04 0001 61 00", .v3_1_1, .malformedPacket, ""),
            ("32 05 0001 61 0000", .v3_1_1, .protocolError, "MQTT-2.2.1-3"), ("30 02 0000", .v3_1_1, .topicNameInvalid, "MQTT-4.7.3-1"),
            ("30 03 0001 2B", .v3_1_1, .topicNameInvalid, "MQTT-3.3.2-2"), ("30 05 0003 612F23", .v3_1_1, .topicNameInvalid, "MQTT-3.3.2-2"),
            ("30 03 0001 00", .v3_1_1, .malformedPacket, "MQTT-1.5.4-1"), ("30 03 0001 FF", .v3_1_1, .malformedPacket, "MQTT-1.5.4-1"),
            ("30 05 0003 EDBFBF", .v3_1_1, .malformedPacket, "MQTT-1.5.4-1"), ("30 04 0002 C080", .v3_1_1, .malformedPacket, "MQTT-1.5.4-1"),
            ("30 03 0001 01", .v3_1_1, .malformedPacket, "MQTT-1.5.4-1"),
            ("30 0B 0009 6162636465666768 7F", .v3_1_1, .malformedPacket, "MQTT-1.5.4-1"),
            ("30 04 0002 C285", .v3_1_1, .malformedPacket, "MQTT-1.5.4-1"), ("30 05 0003 EFBFBE", .v3_1_1, .malformedPacket, "MQTT-1.5.4-1"),
            ("30 05 0003 EFB790", .v3_1_1, .malformedPacket, "MQTT-1.5.4-1"), ("30 06 0004 F09FBFBF", .v3_1_1, .malformedPacket, "MQTT-1.5.4-1"),
            ("30 06 0004 F4908080", .v3_1_1, .malformedPacket, "MQTT-1.5.4-1"), ("30 03 0005 61", .v3_1_1, .malformedPacket, ""),
            ("30 00", .v3_1_1, .malformedPacket, ""), ("30 03 0001 61", .v5, .malformedPacket, ""),
            ("30 04 0001 61 05", .v5, .malformedPacket, ""), ("30 07 0001 61 03 23 0000", .v5, .topicAliasInvalid, "MQTT-3.3.2-8"),
            ("30 06 0001 61 02 0B 00", .v5, .protocolError, ""), ("30 06 0001 61 02 01 02", .v5, .protocolError, ""),
            ("30 08 0001 61 04 01 00 01 00", .v5, .protocolError, ""), ("30 09 0001 61 05 11 00000001", .v5, .protocolError, ""),
            ("30 06 0001 61 02 8B00", .v5, .malformedPacket, "MQTT-1.5.5-1"),
        ])
    func publish(packet: String, version: MQTTVersion, reason: ReasonCode, statement: String) {
        #expect {
            try Published(hex(packet), version)
        } throws: { error in
            let fault = error as? MQTTFault
            return fault?.code == reason && fault?.statement == statement
        }
    }

    @Test("An empty topic with an alias, and characters of every plane, are right")
    func legal() throws {
        #expect(try Published(hex("30 06 0000 03 23 0001"), .v5).properties.topicAlias == 1)
        #expect(try Published(hex("30 0C 000A EFBBBF EFBFBD F09F9880"), .v3_1_1).topic == "\u{FEFF}\u{FFFD}\u{1F600}")
    }

    @Test(
        "SUBSCRIBE and UNSUBSCRIBE",
        arguments: [
            ("0001", MQTTVersion.v3_1_1, ReasonCode.protocolError, "MQTT-3.8.3-2"), ("0001 0001 61", .v3_1_1, .malformedPacket, ""),
            ("0000 0001 61 00", .v3_1_1, .protocolError, "MQTT-2.2.1-3"), ("0001 0001 61 03", .v3_1_1, .protocolError, "MQTT-3.8.3-4"),
            ("0001 0001 61 04", .v3_1_1, .malformedPacket, "MQTT-3.8.3-5"), ("0001 00 0001 61 40", .v5, .malformedPacket, "MQTT-3.8.3-5"),
            ("0001 00 0001 61 30", .v5, .protocolError, "MQTT-3.8.3-4"),
            ("0001 00 0009 24736861 72652F67 2F 04", .v5, .protocolError, "MQTT-3.8.3-4"),
            ("0001 02 0B 00 0001 61 00", .v5, .protocolError, ""), ("00", .v5, .malformedPacket, ""),
        ])
    func subscribe(body: String, version: MQTTVersion, reason: ReasonCode, statement: String) {
        let fault = read(hex(body)) { bytes throws(MQTTFault) in try Subscribe(decoding: bytes, version) }.error
        #expect(fault?.code == reason && fault?.statement == statement, "\(String(describing: fault))")
    }

    @Test(
        "Other packets",
        arguments: [
            ("", PacketType.unsubscribe), ("0001", .unsubscribe), ("0000 0001 61", .unsubscribe), ("", .publishAcknowledgement),
            ("0001 55", .publishAcknowledgement), ("0001 04", .publishAcknowledgement), ("0001 00 00 00", .publishAcknowledgement),
            ("0001 97", .publishRelease), ("77", .disconnect), ("00 05 11", .disconnect), ("87", .authenticate), ("18 02 16 00", .authenticate),
        ])
    func others(body: String, type: PacketType) {
        let bytes = hex(body)
        let fault: MQTTFault? =
            switch type {
            case .unsubscribe: read(bytes) { bytes throws(MQTTFault) in try Unsubscribe(decoding: bytes, .v3_1_1) }.error
            case .disconnect: read(bytes) { bytes throws(MQTTFault) in try Disconnect(decoding: bytes, .v5) }.error
            case .authenticate: read(bytes) { bytes throws(MQTTFault) in try Authenticate(decoding: bytes) }.error
            default: read(bytes) { bytes throws(MQTTFault) in try PublishAnswer(type, decoding: bytes, .v5) }.error
            }
        #expect(fault != nil)
    }

    @Test("Thousands of user properties are bounded, and read in one pass")
    func userProperties() {
        var properties = Properties.none
        properties.userProperties = Array(repeating: .init("", ""), count: 1024)
        var connect = Connect(version: .v5, clientID: "")
        connect.properties = properties
        #expect(split(connect.encoded()).map { read($0.body) { bytes throws(MQTTFault) in try Connect(decoding: bytes) }.error } == .some(nil))
        connect.properties.userProperties.append(.init("", ""))
        let fault = split(connect.encoded()).flatMap { read($0.body) { bytes throws(MQTTFault) in try Connect(decoding: bytes) }.error }
        #expect(fault?.code == .quotaExceeded)
    }

    @Test("Random bytes and damaged packets are refused or read, and nothing else", arguments: 1...20)
    func damage(seed: UInt64) {
        var random = SplitMix(seed: seed)
        var connect = Connect(version: .v5, clientID: "c")
        connect.properties.userProperties = [.init("a", "b")]
        connect.will = Connect.Will(topic: "t", payload: [1])
        let samples = [
            connect.encoded(), Subscribe(1, [.init("a/#", .atLeastOnce)]).encoded(.v5), Unsubscribe(1, ["a"]).encoded(.v5),
            hex("32 0A 0001 61 0001 02 01 01 7879"), PublishAnswer(.publishReceived, 1, .quotaExceeded).encoded(.v5),
            Disconnect(.unspecifiedError).encoded(.v5),
        ]
        for _ in 0..<3000 {
            var packet = samples.randomElement(using: &random)!
            for _ in 0...random.next() % 3 { packet[Int(random.next() % UInt64(packet.count))] = UInt8(truncatingIfNeeded: random.next()) }
            if random.next() % 4 == 0 { packet.removeLast(Int(random.next() % UInt64(packet.count))) }
            let version: MQTTVersion = random.next() % 2 == 0 ? .v5 : .v3_1_1
            packet.withUnsafeBytes { bytes in
                guard case .packet(let header) = PacketDecoder.decode(bytes, limit: 1 << 20) else { return }
                let body = Bytes(rebasing: bytes[header.headerSize..<header.size])
                switch header.type {
                case .connect: _ = try? Connect(decoding: body)
                case .publish: _ = try? PublishView(header, bytes, version).readProperties()
                case .subscribe: _ = try? Subscribe(decoding: body, version)
                case .unsubscribe: _ = try? Unsubscribe(decoding: body, version)
                case .disconnect: _ = try? Disconnect(decoding: body, version)
                case .authenticate: _ = try? Authenticate(decoding: body)
                case .connectAcknowledgement: _ = try? ConnectAcknowledgement(decoding: body, version)
                case .subscribeAcknowledgement, .unsubscribeAcknowledgement: _ = try? SubscribeAnswer(header.type, decoding: body, version)
                case .pingRequest, .pingResponse: _ = try? Ping.check(body)
                default: _ = try? PublishAnswer(header.type, decoding: body, version)
                }
            }
        }
    }
}
