/// Whether a worker has left the same message unanswered for too long.
struct AnswerWatch: Equatable, Sendable {
    let timeout: Duration
    private var oldest: Int64?
    private var since = Duration.zero

    init(timeout: Duration) { self.timeout = timeout }

    /// - Parameter oldest: the oldest message without an answer, if there is one.
    mutating func isSilent(oldest current: Int64?, at now: Duration) -> Bool {
        guard let current, current == oldest else {
            oldest = current
            since = now
            return false
        }
        return now - since >= timeout
    }
}
