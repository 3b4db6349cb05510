import ShuntCore
import ShuntHTTP

/// `/api/v1/conditions`: how workers are at this moment.
struct ConditionRoutes {
    let command: AdminServer.CommandWorkers

    var list: HTTPRoute {
        let sheet = RouteSheet(
            "Tells how workers are at this moment.", WorkerAnswersRecord<WorkerCondition>.self, gives: "What each worker says.", errors: .workers)
        return HTTPRoute(.get, "/api/v1/conditions", sheet, parameters: [.oneWorker]) { [command] call in
            try await command(WorkerCommand(.condition, worker: call.parameters["worker"])).response(WorkerCondition.self)
        }
    }
}
