/// A broadcast under way in a worker: the loop that it came in on, and its number there.
public struct BroadcastID: Hashable, Sendable {
    public var loop: UInt8
    public var number: UInt32
}

/// What became of a broadcast.
public struct BroadcastTally: Equatable, Sendable {
    /// Devices that the filter takes.
    public var matched = 0
    /// Of these, whose connection took the message.
    public var sent = 0
    /// Of these, whose connection was too slow for it.
    public var slow = 0
    /// Of these, which a rule has kept it from.
    public var dropped = 0

    public init(matched: Int = 0, sent: Int = 0, slow: Int = 0, dropped: Int = 0) {
        self.matched = matched
        self.sent = sent
        self.slow = slow
        self.dropped = dropped
    }

    static func += (left: inout Self, right: Self) {
        left.matched += right.matched
        left.sent += right.sent
        left.slow += right.slow
        left.dropped += right.dropped
    }

    /// For the sender: `3 matched, 2 sent, 1 not sent (too slow)`, or `… 2 not sent (1 too slow, 1 dropped by a rule)`.
    public var text: String {
        let reasons = [(slow, "too slow"), (dropped, "dropped by a rule"), (matched - sent - slow - dropped, "gone")]
            .filter { $0.0 > 0 }
        let words = reasons.count == 1 ? reasons.map(\.1) : reasons.map { "\($0.0) \($0.1)" }
        let why = words.isEmpty ? "" : " (" + words.joined(separator: ", ") + ")"
        return "\(matched) matched, \(sent) sent, \(matched - sent) not sent" + why
    }
}
