import ShuntCore

/// AUTH (5.0 §3.15).
public struct Authenticate: Equatable, Sendable {
    public var reason: ReasonCode
    public var properties = Properties.none

    public init(_ reason: ReasonCode = .success, properties: Properties = .none) {
        self.reason = reason
        self.properties = properties
    }

    /// Reads what follows the fixed header.
    public init(decoding body: Bytes) throws(MQTTFault) {
        self.init()
        var reader = PacketReader(body)
        guard !reader.isAtEnd else { return }
        let code = try reader.byte("the reason code")
        guard let known = ReasonCode(rawValue: code), [.success, .continueAuthentication, .reAuthenticate].contains(known) else {
            throw MQTTFault(.malformedPacket, "AUTH can't have reason code \(code)", "MQTT-3.15.2-1")
        }
        reason = known
        if !reader.isAtEnd { properties = try Properties(&reader, of: .authenticate) }
        try reader.end()
    }

    /// The whole packet.
    public func encoded() -> [UInt8] {
        var writer = PacketWriter()
        if reason != .success || properties != .none {
            writer.byte(reason.rawValue)
            writer.properties(properties)
        }
        return writer.packet(.authenticate)
    }
}
