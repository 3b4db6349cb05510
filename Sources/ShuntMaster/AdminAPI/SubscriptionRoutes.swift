import ShuntCore
import ShuntHTTP
import ShuntJSON

/// `/api/v1/subscriptions` and `/api/v1/groups`: what the workers' clients subscribe, asked of the workers.
struct SubscriptionRoutes {
    let command: AdminServer.CommandWorkers

    var all: [HTTPRoute] { [subscriptions, groups] }

    private var subscriptions: HTTPRoute {
        HTTPRoute(.get, "/api/v1/subscriptions", parameters: ["filter", "limit", "worker"]) { [command] call in
            let filter = call.parameters["filter"]
            if let filter { try RetainedRequest.check(filter) }
            let question = SubscriptionQuestion(filter: filter, limit: try Self.limit(call))
            let order = WorkerCommand(.subscriptions, arguments: try RecordJSON.encode(question), worker: call.parameters["worker"])
            return try await command(order).response(SubscriptionsRecord.self)
        }
    }

    private var groups: HTTPRoute {
        HTTPRoute(.get, "/api/v1/groups", parameters: ["limit", "worker"]) { [command] call in
            let question = SubscriptionQuestion(limit: try Self.limit(call))
            let order = WorkerCommand(.groups, arguments: try RecordJSON.encode(question), worker: call.parameters["worker"])
            return try await command(order).response(GroupsRecord.self)
        }
    }

    private static func limit(_ call: HTTPCall) throws(ShuntError) -> Int {
        try call.integer("limit", in: 1...SubscriptionQuestion.maximumLimit, default: SubscriptionQuestion.usualLimit)
    }
}
