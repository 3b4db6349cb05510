import ShuntCore

/// A packet whose bytes are all there: its fixed header (5.0 §2.1), and where the rest is.
public struct PacketHeader: Equatable, Sendable {
    public var type: PacketType
    /// The lower four bits of the first byte.
    public var flags: UInt8
    /// Bytes of the fixed header.
    public var headerSize: Int
    /// Bytes after the fixed header.
    public var remaining: Int

    /// Bytes of the whole packet.
    public var size: Int { headerSize + remaining }
}

public enum PacketDecoder {
    public enum Outcome: Equatable, Sendable {
        case packet(PacketHeader)
        /// More bytes are needed. The bytes so far are right.
        case needMore
        case malformed(MQTTFault)
    }

    /// Reads a fixed header, and says whether the packet is complete. A wrong first byte or length is found before the rest has come.
    /// - Parameter limit: the largest packet that is taken, in bytes.
    @inline(__always)
    public static func decode(_ bytes: Bytes, limit: Int) -> Outcome {
        guard bytes.count >= 2 else { return bytes.isEmpty ? .needMore : start(bytes[0]) ?? .needMore }
        guard let type = PacketType(rawValue: bytes[0] >> 4), isRight(bytes[0] & 0x0F, of: type) else {
            return start(bytes[0]) ?? .needMore
        }
        guard bytes[1] >= 0x80 else { return whole(type, bytes, headerSize: 2, remaining: Int(bytes[1]), limit) }
        return long(type, bytes, limit)
    }

    @inline(__always)
    private static func isRight(_ flags: UInt8, of type: PacketType) -> Bool {
        type == .publish ? flags & 0b0110 != 0b0110 && flags & 0b1110 != 0b1000 : flags == type.requiredFlags
    }

    /// What is wrong with a first byte.
    @inline(never)
    private static func start(_ byte: UInt8) -> Outcome? {
        guard let type = PacketType(rawValue: byte >> 4) else {
            return .malformed(MQTTFault(.malformedPacket, "packet type 0 is reserved"))
        }
        guard !isRight(byte & 0x0F, of: type) else { return nil }
        guard type == .publish else {
            return .malformed(MQTTFault(.malformedPacket, "the flags of a packet of type \(type.rawValue) are reserved", "MQTT-2.1.3-1"))
        }
        return byte & 0b0110 == 0b0110
            ? .malformed(MQTTFault(.malformedPacket, "a PUBLISH of QoS 3", "MQTT-3.3.1-4"))
            : .malformed(MQTTFault(.malformedPacket, "a PUBLISH of QoS 0 with DUP", "MQTT-3.3.1-2"))
    }

    @inline(never)
    private static func long(_ type: PacketType, _ bytes: Bytes, _ limit: Int) -> Outcome {
        var length = 0
        for at in 1...4 {
            guard at < bytes.count else { return .needMore }
            length |= Int(bytes[at] & 0x7F) << (7 * (at - 1))
            guard bytes[at] < 0x80 else { continue }
            guard bytes[at] != 0 else {
                return .malformed(MQTTFault(.malformedPacket, "a remaining length in more bytes than it needs", "MQTT-1.5.5-1"))
            }
            return whole(type, bytes, headerSize: at + 1, remaining: length, limit)
        }
        return .malformed(MQTTFault(.malformedPacket, "a remaining length of more than four bytes"))
    }

    @inline(__always)
    private static func whole(_ type: PacketType, _ bytes: Bytes, headerSize: Int, remaining: Int, _ limit: Int) -> Outcome {
        guard headerSize + remaining <= limit else {
            return .malformed(MQTTFault(.packetTooLarge, "a packet of \(headerSize + remaining) bytes; at most \(limit)", "MQTT-3.1.2-24"))
        }
        guard bytes.count >= headerSize + remaining else { return .needMore }
        return .packet(PacketHeader(type: type, flags: bytes[0] & 0x0F, headerSize: headerSize, remaining: remaining))
    }
}
