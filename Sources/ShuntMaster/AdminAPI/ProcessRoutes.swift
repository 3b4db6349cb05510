import ShuntConfig
import ShuntCore
import ShuntHTTP
import ShuntJSON

/// `/api/v1/configuration`, `/api/v1/reload` and `/api/v1/log`: what the master's process and the workers' do alike.
struct ProcessRoutes {
    let command: AdminServer.CommandWorkers
    /// nil where the master's process is a worker's too, which is asked as a worker.
    let own: AdminServer.CommandProcess?
    let record: AdminServer.RecordCommand

    var all: [HTTPRoute] { [configuration, reload, levels, setLevel] }

    /// Seconds that an operator waits for a reload: tests of rules are run before.
    private static let patience = 60.0

    private static func sheet<Record: Codable & Sendable>(_ summary: String, _ type: Record.Type) -> RouteSheet {
        RouteSheet(summary, ProcessAnswersRecord<Record>.self, gives: "What each process says.", errors: .workers)
    }

    private var configuration: HTTPRoute {
        let sheet = Self.sheet("Tells with which settings the master and the workers run.", SettingsRecord.self)
        return HTTPRoute(.get, "/api/v1/configuration", sheet, parameters: [.oneWorker]) { call in
            try await answer(WorkerCommand(.configuration, worker: call.parameters["worker"]), SettingsRecord.self)
        }
    }

    private var reload: HTTPRoute {
        let sheet = Self.sheet("Has the master and the workers read their configuration again.", ReloadRecord.self)
        return HTTPRoute(.post, "/api/v1/reload", sheet, parameters: [.oneWorker], need: .operate) { call in
            let worker = call.parameters["worker"]
            let order = WorkerCommand(.reload, worker: worker, patience: Self.patience)
            return try await answer(order, ReloadRecord.self, noting: "reload" + (worker.map { " --worker \($0)" } ?? ""), by: call.caller)
        }
    }

    private var levels: HTTPRoute {
        let sheet = Self.sheet("Tells how much the master and the workers log.", LogLevelsRecord.self)
        return HTTPRoute(.get, "/api/v1/log", sheet, parameters: [.oneWorker]) { call in
            try await answer(WorkerCommand(.logLevels, worker: call.parameters["worker"]), LogLevelsRecord.self)
        }
    }

    private var setLevel: HTTPRoute {
        let levels = Configuration.Log.Level.allCases.map(\.rawValue)
        let parameters = [
            HTTPParameter(
                "level", .choice(levels), "The lowest level that is written from now on.", wanted: "give one of " + levels.joined(separator: ", ")),
            .choice("subsystem", Configuration.Log.Subsystem.self, "Only of this subsystem."), .oneWorker,
        ]
        let sheet = Self.sheet("Has the master and the workers log more or less, until they read their configuration again.", LogLevelsRecord.self)
        return HTTPRoute(.post, "/api/v1/log", sheet, parameters: parameters, need: .operate) { call in
            let request = LogLevelRequest(level: call.parameters["level"], subsystem: call.parameters["subsystem"])
            let worker = call.parameters["worker"]
            let words = (request.subsystem.map { " --subsystem \($0)" } ?? "") + (worker.map { " --worker \($0)" } ?? "")
            let order = WorkerCommand(.logLevels, arguments: try RecordJSON.encode(request), worker: worker)
            return try await answer(order, LogLevelsRecord.self, noting: "log \(request.level ?? "")" + words, by: call.caller)
        }
    }

    /// - Parameters:
    ///   - words: the command as the event of it has it; nil where it changes nothing.
    ///   - caller: who has given it.
    private func answer<Record: Codable & Sendable>(
        _ order: WorkerCommand, _ type: Record.Type, noting words: String? = nil, by caller: String? = nil
    ) async throws -> HTTPResponse {
        let (command, own) = (command, own)
        async let workers = command(order)
        var master: Result<Record, ShuntError>?
        if order.worker == nil, let own {
            master = await own(order).flatMap { json in
                Result<Record, any Error> { try RecordJSON.decode(type, from: json) }.mapError { ShuntError(.internalError, "\($0)") }
            }
        }
        let given = await workers
        if let words {
            // The master's process is one of those that are to do it.
            let outcome = CommandOutcome(given, beside: master.map { $0.failure })
            record(caller, words + outcome.part, outcome.refusal)
        }
        let answers: WorkerAnswersRecord<Record>
        switch given {
        case .success(let given): answers = WorkerAnswersRecord(given)
        // The master's own answer is one.
        case .failure(let error) where master == nil: throw error
        case .failure: answers = WorkerAnswersRecord(workers: [], missing: [])
        }
        return .json(try RecordJSON.encode(ProcessAnswersRecord(master: master, answers)))
    }
}
