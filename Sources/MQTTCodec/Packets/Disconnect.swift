import ShuntCore

/// DISCONNECT (3.1.1 §3.14, 5.0 §3.14). Before 5.0 a server sends none.
public struct Disconnect: Equatable, Sendable {
    public var reason: ReasonCode
    public var properties = Properties.none

    public init(_ reason: ReasonCode = .success, properties: Properties = .none) {
        self.reason = reason
        self.properties = properties
    }

    /// Reads what follows the fixed header of a client's packet.
    public init(decoding body: Bytes, _ version: MQTTVersion) throws(MQTTFault) {
        self.init()
        var reader = PacketReader(body)
        guard version.hasProperties, !reader.isAtEnd else {
            try reader.end()
            return
        }
        let code = try reader.byte("the reason code")
        guard let known = ReasonCode(rawValue: code) else { throw MQTTFault(.malformedPacket, "there is no reason code \(code)") }
        reason = known
        if !reader.isAtEnd { properties = try Properties(&reader, of: .disconnect) }
        try reader.end()
    }

    /// The whole packet.
    public func encoded(_ version: MQTTVersion) -> [UInt8] {
        var writer = PacketWriter()
        if version.hasProperties, reason != .success || properties != .none {
            writer.byte(reason.rawValue)
            if properties != .none { writer.properties(properties) }
        }
        return writer.packet(.disconnect)
    }
}
