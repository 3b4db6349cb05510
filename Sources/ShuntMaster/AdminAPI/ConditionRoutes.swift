import ShuntCore
import ShuntHTTP

/// `/api/v1/conditions`: how workers are at this moment.
struct ConditionRoutes {
    let command: AdminServer.CommandWorkers

    var list: HTTPRoute {
        HTTPRoute(.get, "/api/v1/conditions", parameters: ["worker"]) { [command] call in
            try await command(WorkerCommand(.condition, worker: call.parameters["worker"])).response(WorkerCondition.self)
        }
    }
}
