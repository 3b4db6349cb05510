/// Names one client connection of one worker: the loop that owns it, its slot in that loop's table,
/// and the slot's generation, so that an id that outlives its connection never names the next one.
public struct ConnectionID: Hashable, Sendable, CustomStringConvertible {
    public let raw: UInt64

    @inlinable
    public init(raw: UInt64) { self.raw = raw }

    /// - Parameters:
    ///   - loop: the owning loop, 0…255.
    ///   - slot: the place in that loop's table, 0…16,777,215.
    ///   - generation: counts the connections that have had this slot.
    @inlinable
    public init(loop: UInt8, slot: UInt32, generation: UInt32) {
        raw = UInt64(loop) << 56 | UInt64(slot & 0xFF_FFFF) << 32 | UInt64(generation)
    }

    /// No connection.
    @inlinable public static var none: ConnectionID { ConnectionID(raw: .max) }

    @inlinable public var loop: UInt8 { UInt8(truncatingIfNeeded: raw >> 56) }
    @inlinable public var slot: Int { Int(raw >> 32 & 0xFF_FFFF) }
    @inlinable public var generation: UInt32 { UInt32(truncatingIfNeeded: raw) }

    public var description: String { "\(loop)-\(slot)-\(generation)" }
}
