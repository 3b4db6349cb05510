import ShuntCore

/// PUBLISH (3.1.1 §3.3, 5.0 §3.3), as offsets into the bytes that it came in: nothing is copied to read one.
public struct PublishView {
    public var isDuplicate: Bool
    public var qos: QoS
    public var isRetained: Bool
    /// Empty in 5.0 where an alias stands for it.
    public var topic: Bytes
    /// 0 with QoS 0.
    public var identifier: UInt16
    /// Still encoded, behind their length; empty before 5.0. `readProperties` reads them.
    public var encodedProperties: Bytes
    public var payload: Bytes

    /// Reads a packet. Of the properties, only the length is looked at.
    /// - Parameter bytes: the whole packet, fixed header included.
    @inline(__always)
    public init(_ header: PacketHeader, _ bytes: Bytes, _ version: MQTTVersion) throws(MQTTFault) {
        isDuplicate = header.flags & 8 != 0
        qos = QoS(rawValue: header.flags >> 1 & 3) ?? .atMostOnce
        isRetained = header.flags & 1 != 0
        var at = header.headerSize
        guard header.size - at >= 2 else { throw Self.cut("the topic") }
        let length = Int(bytes[at]) << 8 | Int(bytes[at + 1])
        at += 2
        guard header.size - at >= length else { throw Self.cut("the topic") }
        topic = Bytes(rebasing: bytes[at..<at + length])
        if !TopicFilter.isPlainTopic(topic) { try Self.check(topic) }
        at += length
        (identifier, encodedProperties) = (0, Bytes.none)
        if qos != .atMostOnce || version.hasProperties {
            var reader = PacketReader(Bytes(rebasing: bytes[..<header.size]), from: at)
            if qos != .atMostOnce { identifier = try reader.identifier() }
            if version.hasProperties {
                at = reader.at
                _ = try reader.part(try reader.variable("the property length"), "the properties")
                encodedProperties = Bytes(rebasing: bytes[at..<reader.at])
            }
            at = reader.at
        }
        if length == 0, !version.hasProperties { throw MQTTFault(.topicNameInvalid, "the topic is empty", "MQTT-4.7.3-1") }
        payload = Bytes(rebasing: bytes[at..<header.size])
    }

    /// A topic that is not ASCII, has a control character in it, or is none at all.
    @inline(never)
    private static func check(_ topic: Bytes) throws(MQTTFault) {
        guard UTF8Text.isValid(topic) else {
            throw MQTTFault(.malformedPacket, "the topic \(UTF8Text.fault)", "MQTT-1.5.4-1")
        }
        guard TopicFilter.isTopic(topic) else {
            throw MQTTFault(.topicNameInvalid, "the topic of a message has a wildcard", "MQTT-3.3.2-2")
        }
    }

    @inline(never)
    private static func cut(_ what: StaticString) -> MQTTFault { MQTTFault(.malformedPacket, "the packet ends within \(what)") }

    /// What the properties say; checks that they are right.
    public func readProperties() throws(MQTTFault) -> Properties {
        guard encodedProperties.count > 1 else { return .none }
        var reader = PacketReader(encodedProperties)
        return try Properties(&reader, of: .publish)
    }
}

/// A PUBLISH to be written, from bytes that are somewhere else.
public struct PublishFields {
    public var version: MQTTVersion
    public var isDuplicate = false
    public var qos: QoS
    public var isRetained: Bool
    public var topic: Bytes
    /// Left out with QoS 0.
    public var identifier: UInt16
    /// Behind their length, as `Properties.encoded` gives them; empty stands for none.
    public var encodedProperties: Bytes
    public var payload: Bytes

    @inlinable
    public init(
        _ version: MQTTVersion, topic: Bytes, payload: Bytes, qos: QoS = .atMostOnce, isRetained: Bool = false, identifier: UInt16 = 0,
        encodedProperties: Bytes = Bytes(start: nil, count: 0)
    ) {
        self.version = version
        self.qos = qos
        self.isRetained = isRetained
        self.topic = topic
        self.identifier = identifier
        self.encodedProperties = encodedProperties
        self.payload = payload
    }

    /// Bytes after the fixed header.
    private var remaining: Int {
        let properties = version.hasProperties ? max(1, encodedProperties.count) : 0
        return 2 + topic.count + (qos == .atMostOnce ? 0 : 2) + properties + payload.count
    }

    /// Whether a packet can be so long.
    public var isExpressible: Bool { remaining <= VariableInteger.maximum }

    /// Bytes of the packet.
    public var size: Int { 1 + VariableInteger.size(remaining) + remaining }

    /// Writes the packet to `size` bytes of memory. The topic has at most 65,535 bytes.
    public func write(to start: UnsafeMutableRawPointer) {
        start.storeBytes(of: PacketType.publish.rawValue << 4 | flags, as: UInt8.self)
        var place = VariableInteger.write(remaining, to: start + 1)
        place = Self.write(UInt16(topic.count), to: place)
        place = Self.copy(topic, to: place)
        if qos != .atMostOnce { place = Self.write(identifier, to: place) }
        if version.hasProperties {
            if encodedProperties.isEmpty {
                place.storeBytes(of: 0, as: UInt8.self)
                place += 1
            } else {
                place = Self.copy(encodedProperties, to: place)
            }
        }
        _ = Self.copy(payload, to: place)
    }

    private var flags: UInt8 { (isDuplicate ? 8 : 0) | qos.rawValue << 1 | (isRetained ? 1 : 0) }

    @inline(__always)
    private static func write(_ value: UInt16, to place: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        place.storeBytes(of: value.bigEndian, as: UInt16.self)
        return place + 2
    }

    @inline(__always)
    private static func copy(_ bytes: Bytes, to place: UnsafeMutableRawPointer) -> UnsafeMutableRawPointer {
        if let source = bytes.baseAddress { place.copyMemory(from: source, byteCount: bytes.count) }
        return place + bytes.count
    }

    /// The packet in an array of its own.
    public func encoded() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            if let start = UnsafeMutableRawPointer(buffer.baseAddress) { write(to: start) }
            count = size
        }
    }
}

extension Properties {
    /// The properties behind their length.
    public func encoded() -> [UInt8] {
        var writer = PacketWriter()
        write(to: &writer)
        return writer.body
    }
}
