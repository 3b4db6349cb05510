import ShuntCore

/// The packet that there are most of, read by a shorter way: a whole PUBLISH without flags, so of QoS 0, and without properties, with less than
/// 16 KB and a topic in ASCII (3.1.1 §3.3, 5.0 §3.3).
public struct PlainPublish {
    public let topic: Bytes
    public let payload: Bytes
    /// Bytes of the packet.
    public let size: Int

    /// - Returns: nil where the bytes begin with anything else, or are to be looked at more closely: `PacketDecoder` and `PublishView` tell.
    @inlinable @inline(__always)
    public init?(_ bytes: Bytes, hasProperties: Bool, limit: Int) {
        guard bytes.count > 4, bytes[0] == 0x30 else { return nil }
        let (low, high) = (Int(bytes[1]), Int(bytes[2]))
        var at = 2
        var remaining = low
        if low >= 0x80 {
            guard high < 0x80, high > 0 else { return nil }
            remaining = low & 0x7F | high << 7
            at = 3
        }
        size = at + remaining
        guard size <= bytes.count, size <= limit, remaining >= 2 else { return nil }
        let length = Int(bytes[at]) << 8 | Int(bytes[at + 1])
        at += 2
        guard length > 0, at + length <= size else { return nil }
        topic = Bytes(rebasing: bytes[at..<at + length])
        guard TopicFilter.isPlainTopic(topic) else { return nil }
        at += length
        if hasProperties {
            guard at < size, bytes[at] == 0 else { return nil }
            at += 1
        }
        payload = Bytes(rebasing: bytes[at..<size])
    }
}
