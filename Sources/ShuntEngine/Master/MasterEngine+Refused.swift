import ExchangeCodec
import ShuntCore

/// Which clients were refused is known to the workers alone: the master asks all that are Shunt's own, and keeps nothing of the answers.
extension MasterEngine {
    /// An operator asks for the clients that all workers have refused.
    /// - Returns: the question's number, by which `takeRefused` gives the list, within two seconds.
    /// - Throws: `limit.memory` while too many ask.
    public func ask(_ query: RefusedQuery, now: Double) throws(ShuntError) -> Int64 {
        guard !refused.isFull else {
            throw ShuntError(.memoryLimit, "too many questions for refused clients are under way", help: "try again in a moment")
        }
        let id = ids.next(now: now)
        let (asked, missing) = askable()
        for connection in asked.keys { actions.append(.send(connection, Frame.refused(id: id, RefusedRequestBody(query)).encoded())) }
        refused.begin(id, RefusedList(limit: query.limit), workers: asked, missing: missing, now: now)
        return id
    }

    /// The workers that can be asked, by their connections, and those that can't.
    func askable() -> (asked: [ConnectionID: String], missing: [String]) {
        var asked: [ConnectionID: String] = [:]
        var missing: [String] = []
        for (worker, connection) in directory.commanded() {
            if let connection, asked[connection] == nil { asked[connection] = worker } else { missing.append(worker) }
        }
        return (asked, missing)
    }

    /// A connection has gone, and with it what its worker might have answered.
    func leaveQuestions(_ connection: ConnectionID) {
        retained.closed(connection)
        refused.closed(connection)
        commands.closed(connection)
    }

    /// A worker that has fallen silent answers no more, though its connection may still be there.
    func leaveQuestions(ofLost changes: [RegistryChange]) {
        for case .workerState(let worker, .lost, _) in changes { directory.connection(of: worker).map(leaveQuestions) }
    }

    func tickQuestions(now: Double) {
        retained.tick(now: now)
        refused.tick(now: now)
        commands.tick(now: now)
    }

    /// What has come of questions since.
    public func takeRefused() -> [(id: Int64, list: RefusedList)] {
        refused.takeEnded().map { ended in
            var list = ended.sum
            list.missing = ended.missing
            return (ended.id, list)
        }
    }

    /// A worker has answered a question, of whichever kind: their numbers differ.
    func answered(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID) {
        let value = frame.isError || frame.compression != .none ? nil : frame.value(in: start)
        retained.answered(frame.id, connection, value.flatMap { try? RetainedAnswerBody(decoding: $0) })
        refused.answered(frame.id, connection) { list, worker in
            guard let body = value.flatMap({ try? RefusedAnswerBody(decoding: $0) }) else { return false }
            list.add(body.refused, total: body.total, of: worker)
            return true
        }
        commands.answered(frame.id, connection) { answers, worker in
            guard let result = Self.result(of: frame, value, start) else { return false }
            answers.append(WorkerAnswers.Answer(worker: worker, result: result))
            return true
        }
    }
}
