/// Names one client connection of one worker: the loop that owns it, its slot in that loop's table,
/// and the slot's generation, so that an id that outlives its connection never names the next one.
public struct ConnectionID: Hashable, Sendable, CustomStringConvertible {
    public let raw: UInt64

    @inlinable
    public init(raw: UInt64) { self.raw = raw }

    /// - Parameters:
    ///   - loop: the owning loop, 0…255.
    ///   - slot: the place in that loop's table, 0…8,388,607.
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

    /// Whether it names a session, which outlives its connections, and not one of these.
    @inlinable public var isSession: Bool { raw & 1 << 55 != 0 }
    /// A session's place in its loop's table.
    @inlinable public var sessionSlot: Int { Int(raw >> 32 & 0x7F_FFFF) }

    /// Names a session that outlives its connections: the upper half of the slots is theirs.
    /// - Parameter slot: 0…8,388,607.
    @inlinable
    public init(loop: UInt8, session slot: UInt32, generation: UInt32) {
        self.init(loop: loop, slot: slot & 0x7F_FFFF | 0x80_0000, generation: generation)
    }

    /// What `description` gives; nil for any other text.
    public init?(text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 3, let loop = UInt8(parts[0]), let slot = UInt32(parts[1]), slot <= 0xFF_FFFF, let generation = UInt32(parts[2])
        else { return nil }
        self.init(loop: loop, slot: slot, generation: generation)
        guard description == text else { return nil }
    }

    public var description: String { "\(loop)-\(slot)-\(generation)" }
}
