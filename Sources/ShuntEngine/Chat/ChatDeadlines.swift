import ShuntCore

/// When chats have to be looked at again, to the second. Each chat is entered at most once.
///
/// A chat whose deadline moves on, as it does with every message, is left where it is; it is looked at when its old second
/// comes, and entered again for its new one.
struct ChatDeadlines: Sendable {
    private var chats: [Int: Set<ExactText>] = [:]
    private var second = Int.min
    /// Those whose second has come, the next one last.
    private var ready: [ExactText] = []

    var isEmpty: Bool { chats.isEmpty && ready.isEmpty }

    mutating func schedule(_ chat: ExactText, at second: Int) { chats[second, default: []].insert(chat) }

    mutating func cancel(_ chat: ExactText, at second: Int) {
        chats[second]?.remove(chat)
        if chats[second]?.isEmpty == true { chats[second] = nil }
    }

    /// The next chats whose second has come, by second and id. Chats that ended meanwhile may be among them.
    mutating func due(now: Double, limit: Int) -> [ExactText] {
        let present = Self.clamped(now.rounded(.down))
        if present != second {
            second = present
            let due = chats.keys.filter { $0 <= present }.sorted().flatMap { chats.removeValue(forKey: $0)?.sorted() ?? [] }
            if !due.isEmpty { ready = due.reversed() + ready }
        }
        let next = ready.suffix(limit)
        ready.removeLast(next.count)
        return next.reversed()
    }

    /// The first second at which a moment has passed.
    static func second(atOrAfter moment: Double) -> Int { clamped(moment.rounded(.up)) }

    private static func clamped(_ seconds: Double) -> Int { Int(min(max(seconds, -1e15), 1e15)) }
}
