import ShuntCore
import ShuntHTTP
import ShuntJSON

/// `/api/v1/rules`: which rules the workers run, and their deployment.
struct RuleRoutes {
    let command: AdminServer.CommandWorkers
    let record: AdminServer.RecordCommand

    var all: [HTTPRoute] { [list, reload, rollback] }

    private var list: HTTPRoute {
        HTTPRoute(.get, "/api/v1/rules", parameters: ["worker"]) { [command] call in
            try WorkerAnswersJSON.response(await command(WorkerCommand(.rules, worker: call.parameters["worker"])))
        }
    }

    private var reload: HTTPRoute { deployment(.rulesReload, "/api/v1/rules/reload", "rules reload") }

    private var rollback: HTTPRoute { deployment(.rulesRollback, "/api/v1/rules/rollback", "rules rollback") }

    /// Seconds that an operator waits until all loops have switched; tests of rules are run before.
    private static let patience = 60.0

    private func deployment(_ name: WorkerCommand.Name, _ path: String, _ words: String) -> HTTPRoute {
        HTTPRoute(.post, path, parameters: ["worker"], need: .operate) { [command, record] call in
            let worker = call.parameters["worker"]
            let answers = await command(WorkerCommand(name, worker: worker, patience: Self.patience))
            record(call.caller, words + (worker.map { " --worker \($0)" } ?? ""), answers.refusal)
            return try WorkerAnswersJSON.response(answers)
        }
    }
}

extension Result<WorkerAnswers, ShuntError> {
    /// Why a command has not been performed, by the master or by the first worker that refuses; nil where all have done it.
    var refusal: ShuntError? {
        switch self {
        case .failure(let error): error
        case .success(let answers):
            answers.answers.lazy.compactMap { answer in
                if case .failure(let error) = answer.result { error } else { nil }
            }.first
        }
    }
}

/// The answers of workers as JSON: a `WorkerAnswersRecord`, in which each worker's answer stands as it came.
enum WorkerAnswersJSON {
    static func response(_ answers: Result<WorkerAnswers, ShuntError>) throws -> HTTPResponse { .json(try encode(try answers.get())) }

    static func encode(_ answers: WorkerAnswers) throws -> [UInt8] {
        var json = Array(#"{"missing":"#.utf8)
        json += try RecordJSON.encode(answers.missing)
        json += #","workers":["#.utf8
        for (index, answer) in answers.answers.enumerated() {
            if index > 0 { json += ",".utf8 }
            let name = try RecordJSON.encode(answer.worker)
            switch answer.result {
            case .success(let object): json += Array(#"{"answer":"#.utf8) + object + Array(#","worker":"#.utf8) + name + [UInt8(ascii: "}")]
            case .failure(let error):
                let problem = [
                    "code": error.code.rawValue, "message": error.message, "location": error.location, "help": error.help,
                ].compactMapValues { $0 }
                json += Array(#"{"error":"#.utf8) + (try RecordJSON.encode(problem)) + Array(#","worker":"#.utf8) + name + [UInt8(ascii: "}")]
            }
        }
        return json + Array("]}".utf8)
    }
}
