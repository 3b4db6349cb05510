import ShuntCore

/// CONNACK (3.1.1 §3.2, 5.0 §3.2).
public struct ConnectAcknowledgement: Equatable, Sendable {
    public var hasSession: Bool
    public var reason: ReasonCode
    public var properties = Properties.none

    public init(hasSession: Bool = false, _ reason: ReasonCode, properties: Properties = .none) {
        self.hasSession = hasSession
        self.reason = reason
        self.properties = properties
    }

    /// The whole packet; nil where 3.1.1 has no return code for the reason, and the server only closes the connection.
    public func encoded(_ version: MQTTVersion) -> [UInt8]? {
        var writer = PacketWriter()
        // With an error there is no session (MQTT-3.2.2-6).
        writer.byte(hasSession && !reason.isError ? 1 : 0)
        guard version.hasProperties else {
            guard let code = reason.connectReturnCode else { return nil }
            writer.byte(code)
            return writer.packet(.connectAcknowledgement)
        }
        writer.byte(reason.rawValue)
        writer.properties(properties)
        return writer.packet(.connectAcknowledgement)
    }

    /// Reads what follows the fixed header.
    public init(decoding body: Bytes, _ version: MQTTVersion) throws(MQTTFault) {
        var reader = PacketReader(body)
        let flags = try reader.byte("the acknowledge flags")
        guard flags <= 1 else { throw MQTTFault(.malformedPacket, "reserved acknowledge flags are set", "MQTT-3.2.2-1") }
        let code = try reader.byte("the reason code")
        let known = version.hasProperties ? ReasonCode(rawValue: code) : ReasonCode.allCases.first { $0.connectReturnCode == code }
        guard let known else { throw MQTTFault(.malformedPacket, "there is no reason code \(code)") }
        self.init(hasSession: flags == 1, known, properties: version.hasProperties ? try Properties(&reader, of: .connectAcknowledgement) : .none)
        try reader.end()
    }
}
