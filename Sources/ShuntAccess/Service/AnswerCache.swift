/// The answers of a service that still count, and who waits for one: a question that is under way is not asked again. The caller gives the time.
public struct AnswerCache<Waiter: Sendable>: Sendable {
    public enum Step: Equatable, Sendable {
        case answer(ServiceAnswer)
        /// The service is to be asked. The waiter is kept until `answered`.
        case ask
        /// It is asked already. The waiter is kept.
        case wait
        /// Too many wait.
        case full
    }

    private struct Known: Sendable {
        let answer: ServiceAnswer
        /// Seconds of a clock that never goes back.
        let until: Double
    }

    private let seconds: Double
    private let mostWaiters: Int
    private var answers: BoundedTable<QuestionKey, Known>
    private var waiters: [QuestionKey: [Waiter]] = [:]
    private var waiting = 0

    /// - Parameters:
    ///   - seconds: how long an answer counts; 0: each client is asked for.
    ///   - capacity: the most answers that are kept; the one that came first makes way.
    ///   - mostWaiters: the most clients that wait.
    public init(seconds: Double, capacity: Int = 4096, mostWaiters: Int = 10_000) {
        (self.seconds, self.mostWaiters) = (seconds, mostWaiters)
        answers = BoundedTable(capacity: capacity)
    }

    /// - Parameters:
    ///   - now: seconds of a clock that never goes back.
    ///   - time: seconds since 1970, for answers that end.
    public mutating func ask(_ key: QuestionKey, _ waiter: Waiter, now: Double, time: Double) -> Step {
        if let known = answers[key], known.until > now, known.answer.expiresAt > time { return .answer(known.answer) }
        guard waiting < mostWaiters else { return .full }
        waiting += 1
        waiters[key, default: []].append(waiter)
        return waiters[key]?.count == 1 ? .ask : .wait
    }

    /// - Parameter answer: nil where there is none, which is not kept.
    /// - Returns: who waits for it.
    public mutating func answered(_ key: QuestionKey, _ answer: ServiceAnswer?, now: Double) -> [Waiter] {
        if let answer, seconds > 0 { answers.set(key, to: Known(answer: answer, until: now + seconds)) }
        let waiters = waiters.removeValue(forKey: key) ?? []
        waiting -= waiters.count
        return waiters
    }

    /// Gives up the answers that no longer count: now and then.
    public mutating func forget(now: Double) { answers.remove { $0.until <= now } }
}
