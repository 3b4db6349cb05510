import ExchangeCodec
import ShuntCore

/// What operators ask of the retained messages of all workers.
struct RetainedQuestions: Sendable {
    private struct Sum: Sendable {
        var page: RetainedPage
        var limit: Int
        /// nil: a list is asked for.
        var cleared: Int?
    }

    struct Ended: Equatable, Sendable {
        var id: Int64
        var outcome: RetainedOutcome
    }

    /// Questions that may be under way.
    static let capacity = WorkerQuestions<Sum>.capacity
    /// Bytes of one list, and of all workers' answers for it, about.
    static let listBytes = 4 << 20

    private var questions = WorkerQuestions<Sum>()

    var isFull: Bool { questions.isFull }

    /// As `WorkerQuestions.begin`.
    mutating func begin(_ id: Int64, _ request: RetainedRequest, workers: [ConnectionID: String], missing: [String], now: Double) {
        var sum = Sum(page: RetainedPage(limit: 1, bytes: 0), limit: 0, cleared: 0)
        if case .list(_, _, let limit) = request {
            sum = Sum(page: RetainedPage(limit: limit, bytes: Self.listBytes), limit: limit)
        }
        questions.begin(id, sum, workers: workers, missing: missing, now: now)
    }

    /// A worker has answered.
    /// - Parameter body: nil where it has refused.
    mutating func answered(_ id: Int64, _ connection: ConnectionID, _ body: RetainedAnswerBody?) {
        questions.answered(id, connection) { sum, worker in
            switch (body, sum.cleared) {
            case (.list(let messages, let total, let hasMore), nil):
                let named = messages.prefix(RetainedRequest.maximumLimit).map { message in
                    var message = message
                    message.worker = worker
                    return message
                }
                sum.page.add(named, total: total, hasMore: hasMore)
            case (.cleared(let count), let cleared?):
                let (all, isTooMuch) = cleared.addingReportingOverflow(count)
                sum.cleared = isTooMuch ? .max : all
            default: return false
            }
            return true
        }
    }

    mutating func closed(_ connection: ConnectionID) { questions.closed(connection) }

    mutating func tick(now: Double) { questions.tick(now: now) }

    /// Questions that have ended since.
    mutating func takeEnded() -> [Ended] {
        questions.takeEnded().map { ended in
            let cleared = ended.sum.cleared.map { RetainedOutcome.cleared(ClearedRetained(cleared: $0, missing: ended.missing)) }
            return Ended(
                id: ended.id, outcome: cleared ?? .list(RetainedList(ended.sum.page, limit: ended.sum.limit, missing: ended.missing)))
        }
    }
}
