import Dispatch
import ShuntCore
import Synchronization

/// Runs operators' queries, a few at once, and answers each in time, whatever SQLite does.
///
/// A query that is late is interrupted. SQLite looks at that between two steps: one that is inside a long step is answered
/// nevertheless and its thread left to end by itself. While too many such threads run, no other query starts.
final class QueryLanes: Sendable {
    typealias Outcome = Result<QueryResult, ShuntError>
    typealias Work = @Sendable (QueryInterrupt) -> Outcome

    struct Limits: Sendable {
        /// How long a query may run, and how long it may wait for its turn.
        var time: Duration = .seconds(5)
        /// How long an interrupted query has to end by itself.
        var grace: Duration = .milliseconds(250)
        var atOnce = 2
        var waiting = 16
        /// Threads that run on after their query was answered.
        var abandoned = 2
    }

    private struct Query: Sendable {
        let work: Work
        let interrupt = QueryInterrupt()
        let continuation: CheckedContinuation<Outcome, Never>
    }

    private struct State: Sendable {
        var lastNumber = 0
        /// In the order in which they came.
        var waiting: [(number: Int, query: Query)] = []
        var running: [Int: Query] = [:]
        var abandoned = 0
        var isStopped = false
    }

    private let limits: Limits
    private let state = Mutex(State())
    private let clock = DispatchQueue(label: "shunt.registry.query.clock")

    init(_ limits: Limits = Limits()) {
        self.limits = limits
    }

    /// - Throws: what the work throws; `query.limit` where it is late; `registry.unavailable` where its turn does not come, or
    ///   the lanes are stopped.
    func run(_ work: @escaping Work) async throws(ShuntError) -> QueryResult {
        let outcome: Outcome = await withCheckedContinuation { continuation in
            let query = Query(work: work, continuation: continuation)
            let refusal: ShuntError? = state.withLock { state in
                if state.isStopped { return Self.stopped }
                guard state.waiting.count < limits.waiting else { return Self.busy("\(limits.waiting) queries are waiting already") }
                state.lastNumber += 1
                state.waiting.append((state.lastNumber, query))
                let number = state.lastNumber
                after(limits.time) { $0.giveUpWaiting(number) }
                return nil
            }
            if let refusal { return continuation.resume(returning: .failure(refusal)) }
            startNext()
        }
        return try outcome.get()
    }

    /// Ends what runs and refuses what waits and what comes.
    func stop() {
        let (waiting, running) = state.withLock { state in
            state.isStopped = true
            defer { (state.waiting, state.running, state.abandoned) = ([], [:], state.abandoned + state.running.count) }
            return (state.waiting.map(\.query), Array(state.running.values))
        }
        for query in running { query.interrupt.end(.stopped) }
        for query in waiting + running { query.continuation.resume(returning: .failure(Self.stopped)) }
    }

    private func startNext() {
        while let (number, query) = takeNext() {
            after(limits.time) { [interrupt = query.interrupt] _ in interrupt.end(.late) }
            after(limits.time + limits.grace) { $0.abandon(number) }
            let isRunning = QueryThread.start { self.finish(number, query.work(query.interrupt)) }
            if !isRunning { finish(number, .failure(Self.busy("the system gives no thread for the query"))) }
        }
    }

    private func takeNext() -> (Int, Query)? {
        state.withLock { state in
            guard !state.waiting.isEmpty, state.running.count < limits.atOnce,
                state.running.count + state.abandoned < limits.atOnce + limits.abandoned
            else { return nil }
            let (number, query) = state.waiting.removeFirst()
            state.running[number] = query
            return (number, query)
        }
    }

    private func finish(_ number: Int, _ outcome: Outcome) {
        let query = state.withLock { state in
            let query = state.running.removeValue(forKey: number)
            // Answered before.
            if query == nil { state.abandoned -= 1 }
            return query
        }
        query?.continuation.resume(returning: outcome)
        startNext()
    }

    private func abandon(_ number: Int) {
        let query = state.withLock { state in
            let query = state.running.removeValue(forKey: number)
            if query != nil { state.abandoned += 1 }
            return query
        }
        guard let query else { return }
        query.continuation.resume(returning: .failure(Self.late))
        startNext()
    }

    private func giveUpWaiting(_ number: Int) {
        let query = state.withLock { state in
            state.waiting.firstIndex { $0.number == number }.map { state.waiting.remove(at: $0).query }
        }
        query?.continuation.resume(returning: .failure(Self.busy("other queries take long")))
    }

    private func after(_ time: Duration, _ body: @escaping @Sendable (QueryLanes) -> Void) {
        let (seconds, attoseconds) = time.components
        let nanoseconds = Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000)
        clock.asyncAfter(deadline: .now() + .nanoseconds(nanoseconds)) { [weak self] in
            if let self { body(self) }
        }
    }

    static let late = ShuntError(
        .queryLimit, "the query took longer than it may", help: "narrow it with WHERE, or end the recursion with a LIMIT")
    static let stopped = ShuntError(.registryUnavailable, "the master ends", help: "ask again when it runs")

    private static func busy(_ what: String) -> ShuntError {
        ShuntError(.registryUnavailable, what, help: "ask again in a moment")
    }
}
