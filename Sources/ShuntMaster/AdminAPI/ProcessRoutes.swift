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

    private var configuration: HTTPRoute {
        HTTPRoute(.get, "/api/v1/configuration", parameters: ["worker"]) { call in
            try await answer(WorkerCommand(.configuration, worker: call.parameters["worker"]), SettingsRecord.self)
        }
    }

    private var reload: HTTPRoute {
        HTTPRoute(.post, "/api/v1/reload", parameters: ["worker"], need: .operate) { call in
            let worker = call.parameters["worker"]
            record(call.caller, "reload" + (worker.map { " --worker \($0)" } ?? ""), nil)
            return try await answer(WorkerCommand(.reload, worker: worker, patience: Self.patience), ReloadRecord.self)
        }
    }

    private var levels: HTTPRoute {
        HTTPRoute(.get, "/api/v1/log", parameters: ["worker"]) { call in
            try await answer(WorkerCommand(.logLevels, worker: call.parameters["worker"]), LogLevelsRecord.self)
        }
    }

    private var setLevel: HTTPRoute {
        HTTPRoute(.post, "/api/v1/log", parameters: ["level", "subsystem", "worker"], need: .operate) { call in
            guard let level: Configuration.Log.Level = try call.choice("level") else {
                throw ShuntError(
                    .requestInvalid, "no level is given", at: "level",
                    help: "give one of " + Configuration.Log.Level.allCases.map(\.rawValue).joined(separator: ", "))
            }
            let subsystem: Configuration.Log.Subsystem? = try call.choice("subsystem")
            let worker = call.parameters["worker"]
            let request = LogLevelRequest(level: level.rawValue, subsystem: subsystem?.rawValue)
            let words = subsystem.map { " --subsystem \($0.rawValue)" } ?? ""
            record(call.caller, "log \(level.rawValue)" + words + (worker.map { " --worker \($0)" } ?? ""), nil)
            return try await answer(
                WorkerCommand(.logLevels, arguments: try RecordJSON.encode(request), worker: worker), LogLevelsRecord.self)
        }
    }

    private func answer<Record: Codable & Sendable>(_ order: WorkerCommand, _ type: Record.Type) async throws -> HTTPResponse {
        let (command, own) = (command, own)
        async let workers = command(order)
        var master: Result<Record, ShuntError>?
        if order.worker == nil, let own {
            master = await own(order).flatMap { json in
                Result<Record, any Error> { try RecordJSON.decode(type, from: json) }.mapError { ShuntError(.internalError, "\($0)") }
            }
        }
        let answers: WorkerAnswersRecord<Record>
        switch await workers {
        case .success(let given): answers = WorkerAnswersRecord(given)
        // The master's own answer is one.
        case .failure(let error) where master == nil: throw error
        case .failure: answers = WorkerAnswersRecord(workers: [], missing: [])
        }
        return .json(try RecordJSON.encode(ProcessAnswersRecord(master: master, answers)))
    }
}
