/// Messages that wait for somebody who is not there: in order, bounded by number and bytes.
struct ChatHolding: Equatable, Sendable {
    private var messages: [ChatPayload] = []
    /// Where the oldest one is; what is before it has been dropped.
    private var first = 0
    private(set) var bytes = 0

    var count: Int { messages.count - first }
    var isEmpty: Bool { count == 0 }
    /// Oldest first.
    var all: ArraySlice<ChatPayload> { messages[first...] }

    /// What a message takes up, its bookkeeping included, so that empty ones are bounded too.
    static func cost(_ payload: ChatPayload) -> Int { payload.bytes.count + 64 }

    /// Holds a message; the oldest make way.
    /// - Parameter budget: bytes that the loop has left; changed by what this takes and gives back.
    /// - Returns: whether it is held, and the others that were dropped for it.
    mutating func hold(
        _ payload: ChatPayload, _ limits: ChatSettings.Limits, budget: inout Int
    ) -> (isHeld: Bool, dropped: [ChatPayload]) {
        let cost = Self.cost(payload)
        guard cost <= limits.heldBytes, limits.heldMessages > 0, cost <= budget + bytes else { return (false, []) }
        var dropped: [ChatPayload] = []
        while !isEmpty, count >= limits.heldMessages || bytes + cost > limits.heldBytes || cost > budget {
            dropped.append(dropOldest(&budget))
        }
        messages.append(payload)
        bytes += cost
        budget -= cost
        return (true, dropped)
    }

    /// - Returns: what was held, oldest first.
    mutating func takeAll(budget: inout Int) -> ArraySlice<ChatPayload> {
        let taken = all
        budget += bytes
        self = ChatHolding()
        return taken
    }

    private mutating func dropOldest(_ budget: inout Int) -> ChatPayload {
        let dropped = messages[first]
        let cost = Self.cost(dropped)
        messages[first].bytes = []
        first += 1
        bytes -= cost
        budget += cost
        if first > 64, first * 2 > messages.count {
            messages.removeFirst(first)
            first = 0
        }
        return dropped
    }
}
