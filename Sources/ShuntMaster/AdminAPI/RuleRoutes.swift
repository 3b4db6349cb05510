import ShuntCore
import ShuntHTTP
import ShuntJSON

/// `/api/v1/rules`: which rules the workers run, and their deployment.
struct RuleRoutes {
    let command: AdminServer.CommandWorkers
    let record: AdminServer.RecordCommand

    var all: [HTTPRoute] { [list, reload, rollback] }

    private var list: HTTPRoute {
        let sheet = RouteSheet(
            "Tells which rules the workers run.", WorkerAnswersRecord<RuleSetRecord>.self, gives: "What each worker says.", errors: .workers)
        return HTTPRoute(.get, "/api/v1/rules", sheet, parameters: [.oneWorker]) { [command] call in
            try await command(WorkerCommand(.rules, worker: call.parameters["worker"])).response(RuleSetRecord.self)
        }
    }

    private var reload: HTTPRoute {
        deployment(.rulesReload, "/api/v1/rules/reload", "rules reload", "Has workers read their rules' files again.")
    }

    private var rollback: HTTPRoute {
        deployment(.rulesRollback, "/api/v1/rules/rollback", "rules rollback", "Has workers run the version before of their rules.")
    }

    /// Seconds that an operator waits until all loops have switched; tests of rules are run before.
    private static let patience = 60.0

    private func deployment(_ name: WorkerCommand.Name, _ path: String, _ words: String, _ summary: String) -> HTTPRoute {
        let sheet = RouteSheet(
            summary, WorkerAnswersRecord<RuleDeploymentRecord>.self, gives: "What has come of it at each worker, once all loops have switched.",
            errors: .workers)
        return HTTPRoute(.post, path, sheet, parameters: [.oneWorker], need: .operate) { [command, record] call in
            let worker = call.parameters["worker"]
            let answers = await command(WorkerCommand(name, worker: worker, patience: Self.patience))
            let outcome = CommandOutcome(answers)
            record(call.caller, words + (worker.map { " --worker \($0)" } ?? "") + outcome.part, outcome.refusal)
            return try answers.response(RuleDeploymentRecord.self)
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

extension Result<WorkerAnswers, ShuntError> {
    /// The answers as the admin API gives them.
    func response<Record: Codable & Sendable>(_ type: Record.Type) throws -> HTTPResponse {
        .json(try RecordJSON.encode(WorkerAnswersRecord<Record>(try get())))
    }
}

extension WorkerAnswersRecord {
    init(_ answers: WorkerAnswers) { self.init(answers) { try? RecordJSON.decode(Answer.self, from: $0) } }
}
