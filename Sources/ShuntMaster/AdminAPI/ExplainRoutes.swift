import ShuntCore
import ShuntHTTP
import ShuntJSON

/// `/api/v1/explain`, `/api/v1/traces`, `/api/v1/recordings`: what would become of a message, and what becomes of those that come.
struct ExplainRoutes {
    let command: AdminServer.CommandWorkers
    let record: AdminServer.RecordCommand

    var all: [HTTPRoute] {
        [explain] + traces("/api/v1/traces", need: .read, payloads: false) + traces("/api/v1/recordings", need: .operate, payloads: true)
    }

    private var explain: HTTPRoute {
        let sheet = RouteSheet(
            "Tells what would become of a message. Nothing is sent.", WorkerAnswersRecord<ExplainRecord>.self, gives: "What each worker says.",
            errors: .workers)
        let body = HTTPBody(
            AdminContract.request(ExplainRequest.self), example: #"{"topic": "orders/1", "uid": "ada", "payload": "{}"}"#)
        return HTTPRoute(.post, "/api/v1/explain", sheet, parameters: [.oneWorker], body: body) { [command] call in
            let arguments = try RecordJSON.encode(call.record(ExplainRequest.self))
            return try await command(WorkerCommand(.explain, arguments: arguments, worker: call.parameters["worker"])).response(ExplainRecord.self)
        }
    }

    /// A recording is a trace with payloads, which needs another right.
    private func traces(_ path: String, need: HTTPRoute.Need, payloads: Bool) -> [HTTPRoute] {
        let what = payloads ? "recording: a trace with payloads" : "trace"
        let begins = RouteSheet(
            "Begins a \(what).", WorkerAnswersRecord<TraceID>.self, gives: "Its id, at each worker that has begun it.", errors: .workers)
        let topic = HTTPBody(AdminContract.request(TraceRequest.self, omitting: ["id"]), example: #"{"topic": "orders/#"}"#)
        let begin = HTTPRoute(.post, path, begins, parameters: [.oneWorker], body: topic, need: need) { [command, record] call in
            var request = try call.record(TraceRequest.self)
            request.id = String(UInt64.random(in: 1...UInt64.max), radix: 36)
            request.payloads = payloads
            let worker = call.parameters["worker"]
            let answers = await command(WorkerCommand(.traceBegin, arguments: try RecordJSON.encode(request), worker: worker))
            if payloads { record(call.caller, Self.words(request, worker), answers.refusal) }
            return try answers.response(TraceID.self)
        }
        let segment = "The id, as its beginning was answered."
        let after = HTTPParameter("after", .integer(0...Int64.max, usual: 0), "The number of the last message that was read.")
        let reads = RouteSheet(
            "Reads the messages of a \(what).", WorkerAnswersRecord<TracePage>.self, gives: "What each worker says.", segment: segment,
            errors: .workers + [.notFound])
        let read = HTTPRoute(.get, path + "/{id}", reads, parameters: [.oneWorker, after], need: need) { [command] call in
            let question = TraceQuestion(id: call.segment, after: call.integer("after") ?? 0, payloads: payloads)
            let read = WorkerCommand(.traceRead, arguments: try RecordJSON.encode(question), worker: call.parameters["worker"])
            return try await known(command(read)).response(TracePage.self)
        }
        let ends = RouteSheet(
            "Ends a \(what).", WorkerAnswersRecord<TraceID>.self, gives: "What each worker says.", segment: segment,
            errors: .workers + [.notFound])
        let end = HTTPRoute(.delete, path + "/{id}", ends, need: need) { [command] call in
            let question = TraceQuestion(id: call.segment, after: 0, payloads: payloads)
            return try await known(command(WorkerCommand(.traceEnd, arguments: try RecordJSON.encode(question)))).response(TraceID.self)
        }
        return [begin, read, end]
    }

    /// - Returns: `not_found` where all workers have answered, and none has the trace.
    private func known(_ answers: Result<WorkerAnswers, ShuntError>) -> Result<WorkerAnswers, ShuntError> {
        guard case .success(let all) = answers, all.missing.isEmpty, let first = all.answers.first?.result.failure else { return answers }
        return all.answers.allSatisfy { $0.result.failure?.code == .notFound } ? .failure(first) : answers
    }

    private static func words(_ request: TraceRequest, _ worker: String?) -> String {
        let parts = [("uid", request.uid), ("client", request.client), ("worker", worker)]
        return "follow \(request.topic) --payloads" + parts.map { name, value in value.map { " --\(name) \($0)" } ?? "" }.joined()
    }
}
