import ShuntCore
import ShuntHTTP
import ShuntJSON
import ShuntRegistry

/// `/api/v1/workers/{name}/drain` and `/api/v1/balance`: clients that move to other workers.
struct DrainRoutes {
    let registry: any RegistryReader
    let workers: AdminServer.KnownWorkers
    let command: AdminServer.CommandWorkers
    let balance: AdminServer.BalanceWorker
    let record: AdminServer.RecordCommand

    var all: [HTTPRoute] { [state, drain, undrain, plan, apply] }

    private static let path = "/api/v1/workers/{name}/drain"
    private static let errors: [ErrorCode] = .registry + .commandedWorkers

    private static let rate = HTTPParameter(
        "rate", .integer(1...Int64(DrainRequest.maximumRate), usual: Int64(DrainRequest.usualRate)),
        "Clients that a worker sends away in a second.")

    private static func sheet(_ summary: String) -> RouteSheet {
        RouteSheet(summary, DrainRecord.self, gives: "How far the worker is.", segment: AdminContract.workerSegment, errors: errors)
    }

    private var state: HTTPRoute {
        HTTPRoute(.get, Self.path, Self.sheet("Tells how far a worker is that sends clients to other workers.")) { call in
            let worker = try await shuntWorker(call.segment)
            return try await answer(WorkerCommand(.drainState, worker: worker.name))
        }
    }

    private var drain: HTTPRoute {
        let sheet = Self.sheet("Has a worker take no new clients, and send the present ones to other workers.")
        let parameters = [
            Self.rate,
            HTTPParameter(
                "force_after", .integer(0...1_000_000_000), "Seconds after which clients are sent away too that cannot be without loss."),
            HTTPParameter("exit", .boolean, "Whether the worker's process ends when nobody is left."),
        ]
        return HTTPRoute(.post, Self.path, sheet, parameters: parameters, need: .operate) { call in
            let patience: Int? = call.integer("force_after")
            let request = DrainRequest(rate: call.integer("rate"), forceAfter: patience.map(Double.init), exit: call.boolean("exit"))
            let words =
                "drain \(call.segment)" + (call.parameters["rate"].map { " --rate \($0)" } ?? "") + (patience.map { " --force-after \($0)s" } ?? "")
                + (request.exit == true ? " --exit" : "")
            return try await recorded(call.caller, words) {
                let worker = try await shuntWorker(call.segment)
                return WorkerCommand(.drain, arguments: try RecordJSON.encode(request), worker: worker.name)
            }
        }
    }

    private var undrain: HTTPRoute {
        HTTPRoute(.delete, Self.path, Self.sheet("Has a worker that drains take clients again."), need: .operate) { call in
            try await recorded(call.caller, "undrain \(call.segment)") {
                WorkerCommand(.undrain, worker: try await shuntWorker(call.segment).name)
            }
        }
    }

    private var plan: HTTPRoute {
        let sheet = RouteSheet(
            "Tells which workers have more clients than their share.", BalancePlan.self, gives: "Each live worker's clients.",
            errors: .registry + [.masterStandby])
        return HTTPRoute(.get, "/api/v1/balance", sheet) { _ in
            .json(try RecordJSON.encode(BalancePlan(try await workers().get())))
        }
    }

    private var apply: HTTPRoute {
        let sheet = RouteSheet(
            "Has workers that have more clients than their share send some to others.", BalancePlan.self, gives: "What each live worker does.",
            errors: .registry + [.masterStandby])
        return HTTPRoute(.post, "/api/v1/balance", sheet, parameters: [Self.rate], need: .operate) { [record] call in
            let rate: Int? = call.integer("rate")
            var plan = BalancePlan(try await workers().get())
            for index in plan.workers.indices where plan.workers[index].move > 0 {
                let failure = await move(plan.workers[index], to: plan.mean, rate)
                plan.workers[index].error = failure.map { .init($0) }
            }
            record(call.caller, "balance --apply" + (call.parameters["rate"].map { " --rate \($0)" } ?? ""), nil)
            return .json(try RecordJSON.encode(plan))
        }
    }

    /// - Returns: why the worker does not move its clients.
    private func move(_ worker: BalancePlan.Worker, to mean: Int, _ rate: Int?) async -> ShuntError? {
        guard worker.isShunt else { return await balance(worker.worker, mean) }
        do {
            let request = try RecordJSON.encode(ShedRequest(clients: worker.move, rate: rate))
            return await command(WorkerCommand(.shed, arguments: request, worker: worker.worker)).theOnly(worker.worker).failure
        } catch {
            return ShuntError(.internalError, "\(error)")
        }
    }

    // MARK: Commands to one worker

    private func recorded(
        _ caller: String?, _ words: String, _ make: () async throws -> WorkerCommand
    ) async throws -> HTTPResponse {
        do {
            let response = try await answer(try await make())
            record(caller, words, nil)
            return response
        } catch let error as ShuntError {
            record(caller, words, error)
            throw error
        }
    }

    private func answer(_ order: WorkerCommand) async throws -> HTTPResponse {
        let answer = await command(order).theOnly(order.worker ?? "").flatMap { json in
            guard let record = try? RecordJSON.decode(DrainRecord.self, from: json) else {
                return Result<DrainRecord, ShuntError>.failure(
                    ShuntError(.requestUnsupported, "the worker's answer cannot be read: it has another version of Shunt"))
            }
            return .success(record)
        }
        return .json(try RecordJSON.encode(try answer.get()))
    }

    private func shuntWorker(_ name: String) async throws -> WorkerRecord {
        let worker = try await registry.worker(name)
        guard worker.isShunt else {
            throw ShuntError(
                .requestUnsupported, "\(worker.name) is a worker of message-channel, which does not drain", at: name,
                help: "clients leave it when it ends; `shunt admin balance --apply` has it close connections beyond the mean")
        }
        return worker
    }
}

extension Result where Failure == ShuntError {
    var failure: ShuntError? { if case .failure(let error) = self { error } else { nil } }
}

extension Result<WorkerAnswers, ShuntError> {
    /// The answer of the one worker that was asked.
    func theOnly(_ worker: String) -> Result<[UInt8], ShuntError> {
        flatMap { answers in
            answers.answers.first?.result
                ?? .failure(
                    ShuntError(
                        .connectionLost, "\(worker) has not answered", help: "try again; `shunt admin workers` tells how it is"))
        }
    }
}
