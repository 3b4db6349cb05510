import ShuntCore

/// PUBACK, PUBREC, PUBREL and PUBCOMP (3.1.1 §3.4 to §3.7, 5.0 §3.4 to §3.7), which differ by their type alone.
public struct PublishAnswer: Equatable, Sendable {
    public var type: PacketType
    public var identifier: UInt16
    public var reason: ReasonCode
    public var properties = Properties.none

    public init(_ type: PacketType, _ identifier: UInt16, _ reason: ReasonCode = .success, properties: Properties = .none) {
        self.type = type
        self.identifier = identifier
        self.reason = reason
        self.properties = properties
    }

    /// Reads what follows the fixed header.
    public init(_ type: PacketType, decoding body: Bytes, _ version: MQTTVersion) throws(MQTTFault) {
        var reader = PacketReader(body)
        self.init(type, try reader.identifier())
        guard version.hasProperties, !reader.isAtEnd else {
            try reader.end()
            return
        }
        let code = try reader.byte("the reason code")
        guard let known = ReasonCode(rawValue: code), Self.reasons(of: type).contains(known) else {
            throw MQTTFault(.protocolError, "the packet can't have reason code \(code)", "MQTT-3.4.2-1")
        }
        reason = known
        if !reader.isAtEnd { properties = try Properties(&reader, of: .acknowledgement) }
        try reader.end()
    }

    private static func reasons(of type: PacketType) -> [ReasonCode] {
        switch type {
        case .publishRelease, .publishComplete: [.success, .packetIdentifierNotFound]
        default:
            [
                .success, .noMatchingSubscribers, .unspecifiedError, .implementationSpecificError, .notAuthorized, .topicNameInvalid,
                .packetIdentifierInUse, .quotaExceeded, .payloadFormatInvalid,
            ]
        }
    }

    /// The whole packet. Success without properties takes four bytes in both versions.
    public func encoded(_ version: MQTTVersion) -> [UInt8] {
        var writer = PacketWriter()
        writer.uint16(identifier)
        if version.hasProperties, reason != .success || properties != .none {
            writer.byte(reason.rawValue)
            if properties != .none { writer.properties(properties) }
        }
        return writer.packet(type)
    }

    /// Bytes of the packet without a reason.
    public static let shortSize = 4

    /// Writes the packet without a reason, which is success in both versions, to `shortSize` bytes of memory.
    @inline(__always)
    public static func write(_ type: PacketType, _ identifier: UInt16, to place: UnsafeMutableRawPointer) {
        place.storeBytes(of: type.rawValue << 4 | type.requiredFlags, as: UInt8.self)
        place.storeBytes(of: 2, toByteOffset: 1, as: UInt8.self)
        place.storeBytes(of: identifier.bigEndian, toByteOffset: 2, as: UInt16.self)
    }
}
