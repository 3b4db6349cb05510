import ExchangeCodec
import ShuntCore

/// Retained messages are the workers' alone: the master asks all that are Shunt's own, and keeps nothing of the answers.
extension MasterEngine {
    /// An operator asks for the retained messages of all workers.
    /// - Returns: the question's number, by which `takeRetained` gives the outcome, within two seconds.
    /// - Throws: `filter.invalid`, `limit.memory` while too many ask.
    public func ask(_ request: RetainedRequest, now: Double) throws(ShuntError) -> Int64 {
        try RetainedRequest.check(request.filter)
        guard !retained.isFull else {
            throw ShuntError(
                .memoryLimit, "\(RetainedQuestions.capacity) questions for retained messages are under way", help: "try again in a moment")
        }
        let id = ids.next(now: now)
        let (asked, missing) = askable()
        for (connection, worker) in asked {
            let body = Self.body(of: request, to: worker, bytes: RetainedQuestions.listBytes / asked.count)
            actions.append(.send(connection, Frame.retained(id: id, body).encoded()))
        }
        retained.begin(id, request, workers: asked, missing: missing, now: now)
        return id
    }

    /// What has come of questions since.
    public func takeRetained() -> [(id: Int64, outcome: RetainedOutcome)] { retained.takeEnded().map { ($0.id, $0.outcome) } }

    private static func body(of request: RetainedRequest, to worker: String, bytes: Int) -> RetainedRequestBody {
        switch request {
        case .clear(let filter): .clear(filter: filter)
        case .list(let filter, let after, let limit):
            .list(
                RetainedQuery(
                    filter: filter, after: after?.topic,
                    // Of one topic the workers stand in the order of their names.
                    includesAfter: after.map { $0.worker.utf8.lexicographicallyPrecedes(worker.utf8) } ?? false, limit: limit,
                    bytes: min(bytes, RetainedQuery.maximumBytes)))
        }
    }
}
