import ShuntCore
public import ShuntRegistry
import Synchronization

/// Tells followers of events as the registry keeps them: one reading of the registry for all of them.
///
/// A follower is a position in the ring of the latest events, so that it costs as much however far it is behind. One that falls out of the
/// ring is told which events it has missed.
public final class EventFeed: Sendable {
    typealias Wakes = AsyncStream<Void>

    private struct State {
        var ring = EventFeed.nothing
        var followers: [Int: Wakes.Continuation] = [:]
        var lastKey = 0
        var isStopped = false
    }

    /// Events that followers may be behind.
    static let kept = 1_000
    /// What there is while nobody follows.
    private static let nothing = EventRing(capacity: kept, registry: "", after: 0)
    /// Seconds between two looks at followers: what is sent to one that nothing happens for, and how soon a token that does not count any
    /// longer ends one. An event or SIGHUP has them looked at at once.
    static let interval = 10.0

    let limit: Int
    private let registry: any RegistryReader
    private let state = Mutex(State())
    private let news: Wakes.Continuation
    private let interval: Double

    /// - Parameter limit: followers at a time.
    public convenience init(_ registry: any RegistryReader, limit: Int) { self.init(registry, limit: limit, interval: Self.interval) }

    init(_ registry: any RegistryReader, limit: Int, interval: Double) {
        (self.registry, self.limit, self.interval) = (registry, limit, interval)
        let (wakes, news) = Wakes.makeStream(bufferingPolicy: .bufferingNewest(1))
        self.news = news
        Task { [weak self] in
            for await _ in wakes { await self?.read() }
        }
        Task { [weak self] in
            while let feed = self, !feed.isStopped {
                let pause = Duration.seconds(feed.interval)
                _ = consume feed
                try? await Task.sleep(for: pause)
                self?.look()
            }
        }
    }

    private var isStopped: Bool { state.withLock { $0.isStopped } }

    var count: Int { state.withLock { $0.followers.count } }

    /// Events have been written to the registry. Never blocks.
    public func eventsWritten() { news.yield() }

    /// Has every follower look whether it still may follow.
    public func look() {
        news.yield()
        for follower in state.withLock({ Array($0.followers.values) }) { follower.yield() }
    }

    /// Ends all followers; none comes after.
    public func stop() {
        let followers = state.withLock { state in
            state.isStopped = true
            defer { state.followers = [:] }
            return Array(state.followers.values)
        }
        news.finish()
        for follower in followers { follower.finish() }
    }

    // MARK: Followers

    /// - Returns: a key, and what wakes the follower; it ends with the feed.
    /// - Throws: `limit.followers`.
    func join() throws(ShuntError) -> (key: Int, wakes: Wakes) {
        let (wakes, wake) = Wakes.makeStream(bufferingPolicy: .bufferingNewest(1))
        let key = state.withLock { state -> Int? in
            guard !state.isStopped, state.followers.count < limit else { return nil }
            state.lastKey += 1
            state.followers[state.lastKey] = wake
            return state.lastKey
        }
        guard let key else {
            throw ShuntError(
                .followerLimit, "\(limit) programs follow the events of this master already",
                help: "try again in a moment, or ask /api/v1/events every few seconds")
        }
        return (key, wakes)
    }

    func leave(_ key: Int) {
        state.withLock { state -> Wakes.Continuation? in
            defer { if state.followers.isEmpty { state.ring = Self.nothing } }
            return state.followers.removeValue(forKey: key)
        }?.finish()
    }

    /// A follower has been sent all events up to `position`, which it has read from the registry.
    /// - Returns: whether all that follows is here, or will be; else the follower has to read on.
    func follow(from position: Int64, registry name: String) -> Bool {
        let isCovered = state.withLock { state in
            if state.ring.registry != name { state.ring = EventRing(capacity: Self.kept, registry: name, after: position) }
            return state.ring.base <= position
        }
        // What has come between is in the registry.
        news.yield()
        return isCovered
    }

    func step(after position: Int64, kind: String?) -> EventRing.Step { state.withLock { $0.ring.step(after: position, kind: kind) } }

    /// Reads what is new, where somebody follows it.
    private func read() async {
        while true {
            let (newest, isWanted) = state.withLock { ($0.ring.newest, !$0.followers.isEmpty && !$0.ring.registry.isEmpty) }
            // What can't be read now is read at the next look.
            guard isWanted, let page = try? await registry.events(EventQuery(after: newest, limit: EventQuery.maximumLimit)) else { return }
            guard !page.events.isEmpty else { return }
            let followers = state.withLock { state -> [Wakes.Continuation] in
                try? state.ring.append(page.events)
                return Array(state.followers.values)
            }
            for follower in followers { follower.yield() }
            guard page.events.count == EventQuery.maximumLimit else { return }
        }
    }
}
