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
        HTTPRoute(.post, "/api/v1/explain", parameters: ["worker"]) { [command] call in
            guard let request = try? RecordJSON.decode(ExplainRequest.self, from: call.body) else {
                throw ShuntError(
                    .requestInvalid, "the body is not what explain takes", help: #"send {"topic": "orders/1", "uid": "ada", "payload": "{}"}"#)
            }
            let arguments = try RecordJSON.encode(request)
            return try await command(WorkerCommand(.explain, arguments: arguments, worker: call.parameters["worker"])).response(ExplainRecord.self)
        }
    }

    /// A recording is a trace with payloads, which needs another right.
    private func traces(_ path: String, need: HTTPRoute.Need, payloads: Bool) -> [HTTPRoute] {
        let begin = HTTPRoute(.post, path, parameters: ["worker"], need: need) { [command, record] call in
            guard var request = try? RecordJSON.decode(TraceRequest.self, from: call.body) else {
                throw ShuntError(.requestInvalid, "the body is not what a trace takes", help: #"send {"topic": "orders/#"}"#)
            }
            request.id = String(UInt64.random(in: 1...UInt64.max), radix: 36)
            request.payloads = payloads
            let worker = call.parameters["worker"]
            let answers = await command(WorkerCommand(.traceBegin, arguments: try RecordJSON.encode(request), worker: worker))
            if payloads { record(call.caller, Self.words(request, worker), answers.refusal) }
            return try answers.response(TraceID.self)
        }
        let read = HTTPRoute(.get, path + "/{id}", parameters: ["worker", "after"], need: need) { [command] call in
            let after = try call.integer("after", in: 0...Int.max, default: 0)
            let question = TraceQuestion(id: call.segment, after: after, payloads: payloads)
            let read = WorkerCommand(.traceRead, arguments: try RecordJSON.encode(question), worker: call.parameters["worker"])
            return try await command(read).response(TracePage.self)
        }
        let end = HTTPRoute(.delete, path + "/{id}", need: need) { [command] call in
            let question = TraceQuestion(id: call.segment, after: 0, payloads: payloads)
            return try await command(WorkerCommand(.traceEnd, arguments: try RecordJSON.encode(question))).response(TraceID.self)
        }
        return [begin, read, end]
    }

    private static func words(_ request: TraceRequest, _ worker: String?) -> String {
        let parts = [("uid", request.uid), ("client", request.client), ("worker", worker)]
        return "follow \(request.topic) --payloads" + parts.map { name, value in value.map { " --\(name) \($0)" } ?? "" }.joined()
    }
}
