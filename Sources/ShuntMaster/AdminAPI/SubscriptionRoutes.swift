import ShuntCore
import ShuntHTTP
import ShuntJSON

/// `/api/v1/subscriptions`, `/api/v1/groups` and `/api/v1/topics`: what the workers' clients subscribe and publish, asked of the workers.
struct SubscriptionRoutes {
    let command: AdminServer.CommandWorkers

    var all: [HTTPRoute] { [subscriptions, groups, topics] }

    private var subscriptions: HTTPRoute {
        let sheet = RouteSheet(
            "Lists the topic filters with the most subscriptions, of each worker.", WorkerAnswersRecord<SubscriptionsRecord>.self,
            gives: "What each worker says.", errors: .workers + [.filterInvalid])
        let parameters: [HTTPParameter] = [
            HTTPParameter("filter", .topicFilter, "Only filters that this topic filter takes, as if they were topics."),
            .limit(SubscriptionQuestion.maximumLimit), .oneWorker,
        ]
        return HTTPRoute(.get, "/api/v1/subscriptions", sheet, parameters: parameters) { [command] call in
            let filter = call.parameters["filter"]
            if let filter { try RetainedRequest.check(filter) }
            let question = SubscriptionQuestion(filter: filter, limit: call.limit)
            let order = WorkerCommand(.subscriptions, arguments: try RecordJSON.encode(question), worker: call.parameters["worker"])
            return try await command(order).response(SubscriptionsRecord.self)
        }
    }

    private var groups: HTTPRoute {
        let sheet = RouteSheet(
            "Lists the largest consumer groups, of each worker.", WorkerAnswersRecord<GroupsRecord>.self, gives: "What each worker says.",
            errors: .workers)
        let parameters: [HTTPParameter] = [.limit(SubscriptionQuestion.maximumLimit), .oneWorker]
        return HTTPRoute(.get, "/api/v1/groups", sheet, parameters: parameters) { [command] call in
            let question = SubscriptionQuestion(limit: call.limit)
            let order = WorkerCommand(.groups, arguments: try RecordJSON.encode(question), worker: call.parameters["worker"])
            return try await command(order).response(GroupsRecord.self)
        }
    }

    private var topics: HTTPRoute {
        let sheet = RouteSheet(
            "Lists the busiest topics, of each worker.", WorkerAnswersRecord<TopicsRecord>.self, gives: "What each worker says.", errors: .workers)
        let parameters: [HTTPParameter] = [
            .choice("by", TopicQuestion.Measure.self, "What makes a topic busy; `messages` without it."),
            .choice(
                "over", TopicQuestion.Time.self,
                "Whether topics are compared by their last ten to twenty seconds, or by their totals; `now` without it."),
            .limit(TopicQuestion.maximumLimit), .oneWorker,
        ]
        return HTTPRoute(.get, "/api/v1/topics", sheet, parameters: parameters) { [command] call in
            let question = TopicQuestion(by: call.choice("by"), over: call.choice("over"), limit: call.limit)
            let order = WorkerCommand(.topics, arguments: try RecordJSON.encode(question), worker: call.parameters["worker"])
            return try await command(order).response(TopicsRecord.self)
        }
    }
}
