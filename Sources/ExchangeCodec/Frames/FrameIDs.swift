/// Ids of the frames that a server starts: seconds, a flag that no client's generator makes (§7), and a counter.
public struct FrameIDs: Sendable {
    private var count: UInt64 = 0

    public init() {}

    /// - Parameter now: seconds since 1970.
    public mutating func next(now: Double) -> Int64 {
        count &+= 1
        return Int64(bitPattern: UInt64(max(0, now)) << 32 | 63 << 16 | count & 0xFFFF)
    }
}
