import ShuntCore

/// What of a PUBLISH is each recipient's own: written over the bytes that all recipients share, once they have been copied for one.
public struct PublishStamp: Equatable, Sendable {
    /// 0 with QoS 0.
    public let identifier: UInt16
    /// The lower bits of the first byte: DUP, QoS, retain (5.0 §3.3.1).
    public let flags: UInt8

    /// Whether the client may have had the message on an earlier connection.
    var isDuplicate: Bool { flags & 8 != 0 }

    init(_ handOver: HandOver, identifier: UInt16 = 0, isDuplicate: Bool = false) {
        self.identifier = identifier
        flags = handOver.publishFlags | (isDuplicate ? 8 : 0)
    }

    /// - Parameter packet: a whole PUBLISH, whose form has a packet identifier if the stamp has one.
    @inline(__always)
    public func write(over packet: UnsafeMutableRawPointer) {
        packet.storeBytes(of: 0x30 | flags, as: UInt8.self)
        guard identifier != 0 else { return }
        var at = 2
        while packet.load(fromByteOffset: at - 1, as: UInt8.self) >= 0x80 { at += 1 }
        let topic = Int(UInt16(bigEndian: packet.loadUnaligned(fromByteOffset: at, as: UInt16.self)))
        packet.storeBytes(of: identifier.bigEndian, toByteOffset: at + 2 + topic, as: UInt16.self)
    }
}
