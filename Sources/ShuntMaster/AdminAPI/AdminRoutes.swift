import ShuntCore
import ShuntHTTP
import ShuntJSON
import ShuntRegistry

/// `/api/v1`: what each path gives.
struct AdminRoutes {
    let registry: any RegistryReader
    let status: @Sendable () -> MasterStatus

    var all: [HTTPRoute] {
        [getStatus, listWorkers, getWorker, listEvents, postQuery, getQuery]
    }

    private var getStatus: HTTPRoute {
        let sheet = RouteSheet("Tells how the master is.", StatusDocument.self, gives: "How the master is.", errors: .registry)
        return HTTPRoute(.get, "/api/v1/status", sheet) { [registry, status] _ in
            let status = status()
            let counts = try await registry.counts()
            let document = StatusDocument(
                version: status.version, startedAt: status.startedAt, uptimeSeconds: status.uptimeSeconds,
                workers: counts.workers, events: counts.events, devices: counts.devices, chats: counts.chats, clients: counts.clients,
                registry: .init(path: registry.path, writer: status.writer, problem: status.problem.map { "\($0)" }), master: status.role,
                certificates: status.certificates)
            return .json(try RecordJSON.encode(document))
        }
    }

    private var listWorkers: HTTPRoute {
        let sheet = RouteSheet("Lists workers by name.", WorkerPage.self, gives: "A page of the workers.", errors: .registry)
        let parameters: [HTTPParameter] = [
            .choice("state", WorkerRecord.State.self, "Only workers in this state."), .limit(WorkerQuery.maximumLimit), .offset,
        ]
        return HTTPRoute(.get, "/api/v1/workers", sheet, parameters: parameters) { [registry] call in
            let query = WorkerQuery(state: call.choice("state"), limit: call.limit, offset: call.offset)
            return .json(try RecordJSON.encode(try await registry.workers(query)))
        }
    }

    private var getWorker: HTTPRoute {
        let sheet = RouteSheet(
            "Gives one worker.", WorkerRecord.self, gives: "The worker.",
            segment: AdminContract.workerSegment,
            errors: .registry + [.workerUnknown])
        return HTTPRoute(.get, "/api/v1/workers/{name}", sheet) { [registry] call in
            .json(try RecordJSON.encode(try await registry.worker(call.segment)))
        }
    }

    private var listEvents: HTTPRoute {
        let sheet = RouteSheet("Lists events, the oldest first.", EventPage.self, gives: "A page of the events.", errors: .registry)
        let parameters: [HTTPParameter] = [
            .limit(EventQuery.maximumLimit),
            HTTPParameter("after", .integer(0...Int64.max), "Events that follow the one of this id; without it the newest ones come."),
            HTTPParameter("since", .integer(0...Int64.max), "Only events from this time on, in seconds since 1970."),
            .choice("kind", EventRecord.Kind.self, "Only events of this kind."),
        ]
        return HTTPRoute(.get, "/api/v1/events", sheet, parameters: parameters) { [registry] call in
            let since: Int64? = call.integer("since")
            let query = EventQuery(
                after: call.integer("after"), since: since.map(Double.init), kind: call.choice("kind"), limit: call.limit)
            return .json(try RecordJSON.encode(try await registry.events(query)))
        }
    }

    private var postQuery: HTTPRoute {
        let body = HTTPBody(AdminContract.request(QueryRequest.self), example: #"{"sql": "SELECT name FROM workers"}"#)
        return HTTPRoute(.post, "/api/v1/query", Self.querySheet, body: body) { [registry] call in
            .json(try RecordJSON.encode(try await registry.query(call.record(QueryRequest.self).sql)))
        }
    }

    private var getQuery: HTTPRoute {
        let sql = HTTPParameter(
            "sql", .text(least: 1), "One SQLite statement that only reads.", wanted: "give ?sql=SELECT…, or POST {\"sql\": \"SELECT …\"}")
        return HTTPRoute(.get, "/api/v1/query", Self.querySheet, parameters: [sql]) { [registry] call in
            .json(try RecordJSON.encode(try await registry.query(call.parameters["sql"] ?? "")))
        }
    }

    private static let querySheet = RouteSheet(
        "Runs one SQLite statement over the registry.", QueryResult.self, gives: "The rows.",
        errors: .registry + [.queryInvalid, .queryLimit, .registryReadOnly])
}
