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
        HTTPRoute(.get, "/api/v1/status") { [registry, status] _ in
            let status = status()
            let counts = try await registry.counts()
            let document = StatusDocument(
                version: status.version, startedAt: status.startedAt, uptimeSeconds: status.uptimeSeconds,
                workers: counts.workers, events: counts.events, devices: counts.devices, chats: counts.chats, clients: counts.clients,
                registry: .init(path: registry.path, writer: status.writer), master: status.role)
            return .json(try RecordJSON.encode(document))
        }
    }

    private var listWorkers: HTTPRoute {
        HTTPRoute(.get, "/api/v1/workers", parameters: ["state", "limit", "offset"]) { [registry] call in
            let query = WorkerQuery(
                state: try call.choice("state"),
                limit: try call.integer("limit", in: 1...WorkerQuery.maximumLimit, default: 100),
                offset: try call.integer("offset", in: 0...Int.max, default: 0))
            return .json(try RecordJSON.encode(try await registry.workers(query)))
        }
    }

    private var getWorker: HTTPRoute {
        HTTPRoute(.get, "/api/v1/workers/{name}") { [registry] call in
            .json(try RecordJSON.encode(try await registry.worker(call.segment)))
        }
    }

    private var listEvents: HTTPRoute {
        HTTPRoute(.get, "/api/v1/events", parameters: ["limit", "after", "since", "kind"]) { [registry] call in
            let query = EventQuery(
                after: try call.integer("after", in: 0...Int64.max),
                since: try call.integer("since", in: 0...Int64.max).map(Double.init),
                kind: try call.choice("kind"),
                limit: try call.integer("limit", in: 1...EventQuery.maximumLimit, default: 100))
            return .json(try RecordJSON.encode(try await registry.events(query)))
        }
    }

    private var postQuery: HTTPRoute {
        HTTPRoute(.post, "/api/v1/query") { [registry] call in
            guard let fields = try? RecordJSON.decode([String: String].self, from: call.body), fields.count == 1,
                let sql = fields["sql"]
            else {
                throw ShuntError(.requestInvalid, "the body is not what a query takes", help: #"send {"sql": "SELECT …"}"#)
            }
            return .json(try RecordJSON.encode(try await registry.query(sql)))
        }
    }

    private var getQuery: HTTPRoute {
        HTTPRoute(.get, "/api/v1/query", parameters: ["sql"]) { [registry] call in
            guard let sql = call.parameters["sql"] else {
                throw ShuntError(
                    .requestInvalid, "there is no SQL", at: "sql", help: "give ?sql=SELECT…, or POST {\"sql\": \"SELECT …\"}")
            }
            return .json(try RecordJSON.encode(try await registry.query(sql)))
        }
    }
}
