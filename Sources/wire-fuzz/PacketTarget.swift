import MQTTCodec
import ShuntCore

/// The promises of the readers and writers of MQTT's packets, in both versions, for any input.
enum PacketTarget {
    /// - Returns: whether the input began with a packet.
    static func check(_ input: Bytes) throws(BrokenInvariant) -> Bool {
        let outcome = PacketDecoder.decode(input, limit: 1 << 20)
        guard case .packet(let header) = outcome else {
            if case .needMore = outcome { return false }
            let again = ([UInt8](input) + [0, 0, 0xFF]).withUnsafeBytes { PacketDecoder.decode($0, limit: 1 << 20) }
            try expect(again == outcome, "what is malformed stays so")
            return false
        }
        try expect(header.size <= input.count, "a packet is inside its input")
        let packet = Bytes(rebasing: input[..<header.size])
        for length in [0, 1, 2, header.size / 2, header.size - 1] where length < header.size {
            try expect(
                PacketDecoder.decode(Bytes(rebasing: packet[..<length]), limit: 1 << 20) == .needMore, "the start of a packet waits for the rest")
        }
        for version in [MQTTVersion.v3_1_1, .v5] { try check(header, packet, version) }
        return true
    }

    private static func check(_ header: PacketHeader, _ packet: Bytes, _ version: MQTTVersion) throws(BrokenInvariant) {
        let body = Bytes(rebasing: packet[header.headerSize...])
        switch header.type {
        case .connect:
            try roundTrip(body, "CONNECT") {
                try Connect(decoding: $0)
            } write: {
                $0.encoded()
            }
        case .connectAcknowledgement:
            try roundTrip(body, "CONNACK") {
                try ConnectAcknowledgement(decoding: $0, version)
            } write: {
                $0.encoded(version) ?? []
            }
        case .publish: try checkPublish(header, packet, version)
        case .publishAcknowledgement, .publishReceived, .publishRelease, .publishComplete:
            try roundTrip(body, "an answer") {
                try PublishAnswer(header.type, decoding: $0, version)
            } write: {
                $0.encoded(version)
            }
        case .subscribe:
            try roundTrip(body, "SUBSCRIBE") {
                try Subscribe(decoding: $0, version)
            } write: {
                $0.encoded(version)
            }
        case .subscribeAcknowledgement, .unsubscribeAcknowledgement:
            if version == .v5 {
                try roundTrip(body, "SUBACK") {
                    try SubscribeAnswer(header.type, decoding: $0, version)
                } write: {
                    $0.encoded(version)
                }
            }
        case .unsubscribe:
            try roundTrip(body, "UNSUBSCRIBE") {
                try Unsubscribe(decoding: $0, version)
            } write: {
                $0.encoded(version)
            }
        case .disconnect:
            try roundTrip(body, "DISCONNECT") {
                try Disconnect(decoding: $0, version)
            } write: {
                $0.encoded(version)
            }
        case .authenticate:
            try roundTrip(body, "AUTH") {
                try Authenticate(decoding: $0)
            } write: {
                $0.encoded()
            }
        case .pingRequest, .pingResponse: _ = try? Ping.check(body)
        }
    }

    /// A packet that was read can be written, and is then read alike.
    private static func roundTrip<Packet: Equatable>(
        _ body: Bytes, _ name: String, read: (Bytes) throws -> Packet, write: (Packet) -> [UInt8]
    ) throws(BrokenInvariant) {
        guard let packet = try? read(body) else { return }
        let written = write(packet)
        let again: Packet? = written.withUnsafeBytes { bytes in
            guard case .packet(let header) = PacketDecoder.decode(bytes, limit: .max), header.size == bytes.count else { return nil }
            return try? read(Bytes(rebasing: bytes[header.headerSize...]))
        }
        try expect(again == packet, "\(name) is written as it was read")
    }

    private static func checkPublish(_ header: PacketHeader, _ packet: Bytes, _ version: MQTTVersion) throws(BrokenInvariant) {
        guard let publish = try? PublishView(header, packet, version) else { return }
        var fields = PublishFields(
            version, topic: publish.topic, payload: publish.payload, qos: publish.qos, isRetained: publish.isRetained,
            identifier: publish.identifier, encodedProperties: publish.encodedProperties)
        fields.isDuplicate = publish.isDuplicate
        try expect(fields.encoded().elementsEqual(packet), "PUBLISH is written as it was read")
        if let plain = PlainPublish(packet, hasProperties: version.hasProperties, limit: 1 << 20) {
            try expect(plain.size == header.size && plain.topic.elementsEqual(publish.topic), "the shorter way reads the same topic")
            try expect(plain.payload.elementsEqual(publish.payload), "the shorter way reads the same payload")
        }
        guard version.hasProperties else { return }
        // Two readers of the same properties.
        let quick = try? PublishProperties(publish.encodedProperties), whole = try? publish.readProperties()
        guard let quick, let whole else {
            let mayDiffer = whole.map { !$0.subscriptionIdentifiers.isEmpty || $0.responseTopic.map(isNoTopic) == true } ?? false
            return try expect(quick == nil && (whole == nil || mayDiffer), "both readers refuse the same properties")
        }
        try expect(quick.topicAlias == whole.topicAlias ?? 0, "both readers find the alias")
        try expect(quick.expiry == whole.messageExpiry ?? MessageView.noExpiry, "both readers find the expiry")
        let key = whole.userProperties.first { $0.name.utf8.elementsEqual("key".utf8) }?.value
        try expect(quick.key.map { String(decoding: $0, as: UTF8.self) } == key, "both readers find the key")
        var changes = PublishProperties.Changes()
        (changes.expiry, changes.key) = (quick.expiry, quick.key)
        var expected = whole
        expected.topicAlias = nil
        let written = PublishProperties.rewrite(quick.bytes, changes)
        let again = written.withUnsafeBytes { bytes -> Properties? in
            let fields = PublishFields(.v5, topic: publish.topic, payload: .none, encodedProperties: bytes).encoded()
            return fields.withUnsafeBytes { packet in
                guard case .packet(let header) = PacketDecoder.decode(packet, limit: .max) else { return nil }
                return try? (try? PublishView(header, packet, .v5))?.readProperties()
            }
        }
        try expect(again == expected, "properties are passed on as they came, without the alias")
    }

    private static func isNoTopic(_ text: String) -> Bool { text.isEmpty || !Array(text.utf8).withUnsafeBytes { TopicFilter.isTopic($0) } }
}
