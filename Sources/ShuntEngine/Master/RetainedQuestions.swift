import ExchangeCodec
import ShuntCore

/// What operators ask of the retained messages of all workers: one frame to each worker, their answers put together.
///
/// A value. Each question ends when all have answered, or in time without those that have not.
struct RetainedQuestions: Sendable {
    struct Question: Sendable {
        var page: RetainedPage
        var limit: Int
        /// nil: a list is asked for.
        var cleared: Int?
        /// Who has not answered.
        var waiting: [ConnectionID: String]
        var missing: [String]
        var until: Double
    }

    struct Ended: Equatable, Sendable {
        var id: Int64
        var outcome: RetainedOutcome
    }

    /// Seconds that an operator waits for the workers.
    static let patience = 2.0
    /// Questions that may be under way.
    static let capacity = 16
    /// Bytes of one list, and of all workers' answers for it, about.
    static let listBytes = 4 << 20

    /// By the id of their frames.
    private var questions: [Int64: Question] = [:]
    private var ended: [Ended] = []

    var isFull: Bool { questions.count >= Self.capacity }

    /// - Parameters:
    ///   - id: of the frame that all the workers get.
    ///   - workers: those that are asked.
    ///   - missing: those that can't be.
    mutating func begin(_ id: Int64, _ request: RetainedRequest, workers: [ConnectionID: String], missing: [String], now: Double) {
        var question = Question(
            page: RetainedPage(limit: 1, bytes: 0), limit: 0, cleared: 0, waiting: workers, missing: missing, until: now + Self.patience)
        if case .list(_, _, let limit) = request {
            question.page = RetainedPage(limit: limit, bytes: Self.listBytes)
            (question.limit, question.cleared) = (limit, nil)
        }
        questions[id] = question
        settle(id)
    }

    /// A worker has answered.
    /// - Parameter body: nil where it has refused.
    mutating func answered(_ id: Int64, _ connection: ConnectionID, _ body: RetainedAnswerBody?) {
        guard var question = questions[id], let worker = question.waiting.removeValue(forKey: connection) else { return }
        switch (body, question.cleared) {
        case (.list(let messages, let total, let hasMore), nil):
            let named = messages.prefix(RetainedRequest.maximumLimit).map { message in
                var message = message
                message.worker = worker
                return message
            }
            question.page.add(named, total: total, hasMore: hasMore)
        case (.cleared(let count), let cleared?):
            let (sum, isTooMuch) = cleared.addingReportingOverflow(count)
            question.cleared = isTooMuch ? .max : sum
        default: question.missing.append(worker)
        }
        questions[id] = question
        settle(id)
    }

    /// A worker's connection has gone, and its answers with it.
    mutating func closed(_ connection: ConnectionID) {
        for id in questions.keys where questions[id]?.waiting[connection] != nil { answered(id, connection, nil) }
    }

    mutating func tick(now: Double) {
        // Longer than any operator waits: the clock was set back.
        for (id, question) in questions where now >= question.until || question.until - now > Self.patience {
            questions[id]?.missing += question.waiting.values
            questions[id]?.waiting = [:]
            settle(id)
        }
    }

    private mutating func settle(_ id: Int64) {
        guard let question = questions[id], question.waiting.isEmpty else { return }
        questions[id] = nil
        let missing = question.missing.sorted()
        ended.append(
            Ended(
                id: id,
                outcome: question.cleared.map { .cleared(ClearedRetained(cleared: $0, missing: missing)) }
                    ?? .list(RetainedList(question.page, limit: question.limit, missing: missing))))
    }

    /// Questions that have ended since.
    mutating func takeEnded() -> [Ended] {
        defer { ended = [] }
        return ended
    }
}
