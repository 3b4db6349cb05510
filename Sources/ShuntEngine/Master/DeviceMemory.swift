import ShuntCore

/// What the master's devices take of its memory, and what was not kept since it would have been too much.
public struct DeviceMemory: Equatable, Sendable {
    /// Estimated bytes of all sessions, and of what they may take (`devices.memory`).
    public internal(set) var bytes = 0
    public internal(set) var limit: Int
    /// Offline sessions that went before their time.
    public internal(set) var evicted = 0
    /// Sessions that are kept without their tags and aliases.
    public internal(set) var stripped = 0
    /// Sessions that are not kept at all.
    public internal(set) var refused = 0

    init(limit: Int) {
        self.limit = limit
    }

    /// Whether so much more has room.
    func hasRoom(for more: Int) -> Bool { bytes + more <= limit }

    /// Bytes of one session: its places in arrays and dictionaries, as measured, and its texts.
    static func cost(of record: DeviceRecord) -> Int {
        var cost = 512
        for text in [record.uid, record.device, record.worker, record.address] { cost += bytes(of: text) }
        return cost + bytes(of: record.tags) + bytes(of: record.alias)
    }

    private static func bytes(of texts: [String]) -> Int {
        texts.isEmpty ? 0 : texts.reduce(32 + 16 * texts.count) { $0 + bytes(of: $1) }
    }

    /// Short texts lie where they are used.
    private static func bytes(of text: String) -> Int {
        let count = text.utf8.count
        return count <= 15 ? 0 : (count + 32 + 16) & ~15
    }
}
