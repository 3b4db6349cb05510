import ShuntCore

/// PINGREQ and PINGRESP (3.1.1 §3.12, §3.13, 5.0 §3.12, §3.13): two bytes each.
public enum Ping {
    public static let request: [UInt8] = [PacketType.pingRequest.rawValue << 4, 0]
    public static let response: [UInt8] = [PacketType.pingResponse.rawValue << 4, 0]

    /// Fails if a PINGREQ has a body.
    public static func check(_ body: Bytes) throws(MQTTFault) { try PacketReader(body).end() }
}
