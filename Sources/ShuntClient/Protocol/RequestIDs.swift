/// Chooses the ids of one connection's requests: consecutive, so that a request is found by its distance from the first.
///
/// An id is `seconds(32) | counter(32)`. Like message-channel's ids (§7) it is unique enough to tell records apart, and nothing relies on
/// it across connections.
struct RequestIDs: Equatable, Sendable {
    private(set) var next: Int64

    /// - Parameters:
    ///   - seconds: since 1970, when the connection begins.
    ///   - salt: where the counter starts; random, so that two clients of one second rarely choose the same ids.
    init(seconds: Int64, salt: UInt32) {
        next = Int64(truncatingIfNeeded: UInt64(UInt32(truncatingIfNeeded: seconds) & 0x7FFF_FFFF) << 32 | UInt64(salt))
    }

    mutating func take() -> Int64 {
        defer { next &+= 1 }
        return next
    }
}
