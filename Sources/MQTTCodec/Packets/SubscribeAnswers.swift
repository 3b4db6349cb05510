import ShuntCore

/// SUBACK and UNSUBACK (3.1.1 §3.9, §3.11, 5.0 §3.9, §3.11): a code for each topic filter, in their order.
public struct SubscribeAnswer: Equatable, Sendable {
    public var type: PacketType
    public var identifier: UInt16
    public var reasons: [ReasonCode]
    public var properties = Properties.none

    public init(_ type: PacketType, _ identifier: UInt16, _ reasons: [ReasonCode], properties: Properties = .none) {
        self.type = type
        self.identifier = identifier
        self.reasons = reasons
        self.properties = properties
    }

    /// Reads what follows the fixed header.
    public init(_ type: PacketType, decoding body: Bytes, _ version: MQTTVersion) throws(MQTTFault) {
        var reader = PacketReader(body)
        self.init(type, try reader.identifier(), [])
        if version.hasProperties { properties = try Properties(&reader, of: .acknowledgement) }
        while !reader.isAtEnd {
            let code = try reader.byte("a reason code")
            guard let reason = ReasonCode(rawValue: code) else { throw MQTTFault(.malformedPacket, "there is no reason code \(code)") }
            reasons.append(reason)
        }
    }

    /// The whole packet. 3.1.1 has one code for all errors of a SUBSCRIBE, and none for UNSUBSCRIBE.
    public func encoded(_ version: MQTTVersion) -> [UInt8] {
        var writer = PacketWriter()
        writer.uint16(identifier)
        if version.hasProperties {
            writer.properties(properties)
            writer.append(reasons.map(\.rawValue))
        } else if type == .subscribeAcknowledgement {
            writer.append(reasons.map { $0.isError ? 0x80 : $0.rawValue })
        }
        return writer.packet(type)
    }
}
