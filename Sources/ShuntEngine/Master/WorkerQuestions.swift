import ShuntCore

/// What operators ask all workers: one frame to each worker, their answers put together in a `Sum`.
///
/// A value. Each question ends when all have answered, or in time without those that have not.
struct WorkerQuestions<Sum: Sendable>: Sendable {
    private struct Question: Sendable {
        var sum: Sum
        /// Who has not answered.
        var waiting: [ConnectionID: String]
        var missing: [String]
        var until: Double
        var patience: Double
    }

    struct Ended: Sendable {
        var id: Int64
        var sum: Sum
        /// Workers whose answers are not in it, in order.
        var missing: [String]
    }

    /// Seconds that an operator waits for the workers.
    static var patience: Double { 2 }
    /// Questions that may be under way.
    static var capacity: Int { 16 }

    /// By the id of their frames.
    private var questions: [Int64: Question] = [:]
    private var ended: [Ended] = []

    var isFull: Bool { questions.count >= Self.capacity }

    /// - Parameters:
    ///   - id: of the frame that all the workers get.
    ///   - workers: those that are asked.
    ///   - missing: those that can't be.
    ///   - patience: seconds to wait for the answers.
    mutating func begin(
        _ id: Int64, _ sum: Sum, workers: [ConnectionID: String], missing: [String], patience: Double = Self.patience, now: Double
    ) {
        questions[id] = Question(sum: sum, waiting: workers, missing: missing, until: now + patience, patience: patience)
        settle(id)
    }

    /// A worker has answered.
    /// - Parameter add: adds the answer; returns false where it can't be read.
    mutating func answered(_ id: Int64, _ connection: ConnectionID, _ add: (inout Sum, _ worker: String) -> Bool) {
        guard var question = questions[id], let worker = question.waiting.removeValue(forKey: connection) else { return }
        if !add(&question.sum, worker) { question.missing.append(worker) }
        questions[id] = question
        settle(id)
    }

    /// A worker's connection has gone, and its answers with it.
    mutating func closed(_ connection: ConnectionID) {
        for id in questions.keys where questions[id]?.waiting[connection] != nil { answered(id, connection) { _, _ in false } }
    }

    mutating func tick(now: Double) {
        // Longer than any operator waits: the clock was set back.
        for (id, question) in questions where now >= question.until || question.until - now > question.patience {
            questions[id]?.missing += question.waiting.values
            questions[id]?.waiting = [:]
            settle(id)
        }
    }

    private mutating func settle(_ id: Int64) {
        guard let question = questions[id], question.waiting.isEmpty else { return }
        questions[id] = nil
        ended.append(Ended(id: id, sum: question.sum, missing: question.missing.sorted()))
    }

    /// Questions that have ended since.
    mutating func takeEnded() -> [Ended] {
        defer { ended = [] }
        return ended
    }
}
