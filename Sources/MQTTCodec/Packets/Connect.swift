import ShuntCore

/// CONNECT (3.1.1 §3.1, 5.0 §3.1).
public struct Connect: Equatable, Sendable {
    public var version: MQTTVersion
    /// Clean Session in 3.1.1, Clean Start in 5.0.
    public var isClean: Bool
    /// Seconds without a packet after which the client counts as gone, times one and a half; 0: never.
    public var keepAlive: UInt16
    /// Empty where the server is to choose one.
    public var clientID: String
    public var will: Will?
    public var userName: String?
    public var password: [UInt8]?
    public var properties = Properties.none

    /// A message that the server publishes when the client goes away without a word.
    public struct Will: Equatable, Sendable {
        public var topic: String
        public var payload: [UInt8]
        public var qos: QoS
        public var isRetained: Bool
        public var properties = Properties.none

        public init(topic: String, payload: [UInt8], qos: QoS = .atMostOnce, isRetained: Bool = false) {
            self.topic = topic
            self.payload = payload
            self.qos = qos
            self.isRetained = isRetained
        }
    }

    public init(version: MQTTVersion, clientID: String, isClean: Bool = true, keepAlive: UInt16 = 0) {
        self.version = version
        self.clientID = clientID
        self.isClean = isClean
        self.keepAlive = keepAlive
    }

    /// Reads what follows the fixed header.
    public init(decoding body: Bytes) throws(MQTTFault) {
        var reader = PacketReader(body)
        let name = try reader.binary("the protocol name")
        let level = try reader.byte("the protocol version")
        guard let version = MQTTVersion(rawValue: level) else {
            guard name.elementsEqual("MQTT".utf8) || name.elementsEqual("MQIsdp".utf8) else { throw Self.unknownProtocol }
            throw MQTTFault(.unsupportedProtocolVersion, "protocol version \(level); 3, 4 and 5 are known", "MQTT-3.1.2-2")
        }
        guard name.elementsEqual(UnsafeBufferPointer(start: version.protocolName.utf8Start, count: version.protocolName.utf8CodeUnitCount))
        else { throw Self.unknownProtocol }
        let flags = try reader.byte("the connect flags")
        guard flags & 1 == 0 else { throw MQTTFault(.malformedPacket, "the reserved connect flag is set", "MQTT-3.1.2-3") }
        self.init(version: version, clientID: "", isClean: flags & 2 != 0, keepAlive: try reader.uint16("the keep alive"))
        if version.hasProperties { properties = try Properties(&reader, of: .connect) }
        clientID = String(decoding: try reader.text("the client identifier"), as: UTF8.self)
        will = try Self.will(flags, &reader, version)
        let (hasName, hasPassword) = (flags & 0x80 != 0, flags & 0x40 != 0)
        guard hasName || !hasPassword || version.hasProperties else {
            throw MQTTFault(.malformedPacket, "a password without a user name", "MQTT-3.1.2-22")
        }
        if hasName { userName = String(decoding: try reader.text("the user name"), as: UTF8.self) }
        if hasPassword { password = Array(try reader.binary("the password")) }
        try reader.end()
    }

    /// The version that a CONNECT names, whatever else is in it; nil where it is none of MQTT's.
    /// - Parameter body: what follows the fixed header.
    public static func version(in body: Bytes) -> MQTTVersion? {
        var reader = PacketReader(body)
        guard let name = try? reader.binary("the protocol name"), name.elementsEqual("MQTT".utf8) || name.elementsEqual("MQIsdp".utf8),
            let level = try? reader.byte("the protocol version")
        else { return nil }
        return MQTTVersion(rawValue: level)
    }

    private static let unknownProtocol = MQTTFault(.unsupportedProtocolVersion, "the protocol name is not MQTT", "MQTT-3.1.2-1")

    private static func will(_ flags: UInt8, _ reader: inout PacketReader, _ version: MQTTVersion) throws(MQTTFault) -> Will? {
        guard flags & 0b100 != 0 else {
            guard flags & 0b11_1000 == 0 else {
                throw MQTTFault(.malformedPacket, "a will's QoS or retain flag without a will", "MQTT-3.1.2-11")
            }
            return nil
        }
        guard let qos = QoS(rawValue: flags >> 3 & 3) else { throw MQTTFault(.malformedPacket, "a will of QoS 3", "MQTT-3.1.2-12") }
        let properties = version.hasProperties ? try Properties(&reader, of: .will) : .none
        if let response = properties.responseTopic, response.isEmpty || !Array(response.utf8).withUnsafeBytes({ TopicFilter.isTopic($0) }) {
            throw MQTTFault(.protocolError, "the will's response topic is empty or has a wildcard", "MQTT-3.3.2-14")
        }
        let topic = try reader.text("the will's topic")
        guard !topic.isEmpty, TopicFilter.isTopic(topic) else {
            throw MQTTFault(.topicNameInvalid, "the will's topic is empty or has a wildcard", "MQTT-3.3.2-2")
        }
        var will = Will(
            topic: String(decoding: topic, as: UTF8.self), payload: Array(try reader.binary("the will's payload")), qos: qos,
            isRetained: flags & 0x20 != 0)
        will.properties = properties
        return will
    }

    /// The whole packet.
    public func encoded() -> [UInt8] {
        var writer = PacketWriter()
        writer.text("\(version.protocolName)")
        writer.byte(version.rawValue)
        var flags: UInt8 = isClean ? 2 : 0
        if let will { flags |= 4 | will.qos.rawValue << 3 | (will.isRetained ? 0x20 : 0) }
        if userName != nil { flags |= 0x80 }
        if password != nil { flags |= 0x40 }
        writer.byte(flags)
        writer.uint16(keepAlive)
        if version.hasProperties { writer.properties(properties) }
        writer.text(clientID)
        if let will {
            if version.hasProperties { writer.properties(will.properties) }
            writer.text(will.topic)
            writer.binary(will.payload)
        }
        if let userName { writer.text(userName) }
        if let password { writer.binary(password) }
        return writer.packet(.connect)
    }
}
