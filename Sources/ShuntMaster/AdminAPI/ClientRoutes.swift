import ShuntCore
import ShuntHTTP
import ShuntJSON
import ShuntRegistry

/// `/api/v1/clients`: the registry's list, what workers know of one, and the end of one.
struct ClientRoutes {
    let registry: any RegistryReader
    let command: AdminServer.CommandWorkers
    let record: AdminServer.RecordCommand

    var all: [HTTPRoute] { [list, detail, kick, kickSession] }

    private var list: HTTPRoute {
        let parameters = ["search", "client", "uid", "worker", "state", "protocol", "limit", "offset"]
        return HTTPRoute(.get, "/api/v1/clients", parameters: parameters) { [registry] call in
            let search = call.parameters["search"]
            guard (search ?? "").unicodeScalars.count <= ClientQuery.maximumSearch else {
                throw ShuntError(
                    .requestInvalid, "the text to search for is too long", at: "search",
                    help: "give a part of the client identifier or of the uid, at most \(ClientQuery.maximumSearch) characters")
            }
            let query = ClientQuery(
                search: search, client: call.parameters["client"], uid: call.parameters["uid"], worker: call.parameters["worker"],
                state: try call.choice("state"), protocolName: call.parameters["protocol"],
                limit: try call.integer("limit", in: 1...ClientQuery.maximumLimit, default: 100),
                offset: try call.integer("offset", in: 0...Int.max, default: 0))
            return .json(try RecordJSON.encode(try await registry.clients(query)))
        }
    }

    private var detail: HTTPRoute {
        HTTPRoute(.get, "/api/v1/clients/{client}", parameters: ["worker", "subscriptions"]) { [command] call in
            var question = ClientQuestion(client: call.segment)
            question.subscriptions = try call.integer("subscriptions", in: 0...ClientQuestion.maximumSubscriptions)
            let order = WorkerCommand(.client, arguments: try RecordJSON.encode(question), worker: call.parameters["worker"])
            return try await command(order).response(ClientDetailsRecord.self)
        }
    }

    private var kick: HTTPRoute {
        HTTPRoute(.delete, "/api/v1/clients/{client}", parameters: ["worker", "end_session"], need: .operate) { call in
            let question = ClientQuestion(client: call.segment, endsSession: try call.boolean("end_session"))
            return try await close(question, call.parameters["worker"], call.caller)
        }
    }

    /// A client without a name, or one of several that have the same.
    private var kickSession: HTTPRoute {
        HTTPRoute(.delete, "/api/v1/clients", parameters: ["worker", "session", "end_session"], need: .operate) { call in
            guard let session = call.parameters["session"], let worker = call.parameters["worker"], ConnectionID(text: session) != nil else {
                throw ShuntError(
                    .requestInvalid, "no session of a worker is named", at: "session",
                    help: "give ?worker=HOST:PORT&session=0-12-3, as the list of clients has them, or DELETE /api/v1/clients/CLIENT")
            }
            return try await close(ClientQuestion(session: session, endsSession: try call.boolean("end_session")), worker, call.caller)
        }
    }

    private func close(_ question: ClientQuestion, _ worker: String?, _ caller: String?) async throws -> HTTPResponse {
        let answers = await command(WorkerCommand(.kick, arguments: try RecordJSON.encode(question), worker: worker))
        let name = question.client ?? question.session ?? ""
        let words = "kick \(name)" + (worker.map { " --worker \($0)" } ?? "") + (question.endsSession == true ? " --end-session" : "")
        do {
            let kicked = try Self.sum(answers, name)
            record(caller, words, nil)
            return .json(try RecordJSON.encode(kicked))
        } catch let error as ShuntError {
            record(caller, words, error)
            throw error
        }
    }

    /// - Throws: `client.unknown` where no worker has such a client, `connection.lost` where one may have it that has not answered.
    static func sum(_ answers: Result<WorkerAnswers, ShuntError>, _ name: String) throws(ShuntError) -> KickedClients {
        let answers = try answers.get()
        var kicked = KickedClients(closed: 0, ended: 0, workers: [], missing: answers.missing)
        var failure: ShuntError?
        for answer in answers.answers {
            switch answer.result {
            case .failure(let error): failure = failure ?? ShuntError(error.code, error.message, at: answer.worker, help: error.help)
            case .success(let json):
                guard let one = try? RecordJSON.decode(KickedRecord.self, from: json) else {
                    failure = failure ?? ShuntError(.requestUnsupported, "the answer cannot be read", at: answer.worker)
                    continue
                }
                (kicked.closed, kicked.ended) = (kicked.closed + one.closed, kicked.ended + one.ended)
                if one.closed + one.ended > 0 { kicked.workers.append(answer.worker) }
            }
        }
        if let failure { throw failure }
        guard kicked.workers.isEmpty else { return kicked }
        guard kicked.missing.isEmpty else {
            throw ShuntError(
                .connectionLost,
                "no worker that has answered has the client '\(name)', and these have not: "
                    + kicked.missing.joined(separator: ", "), help: "try again; `shunt admin workers` tells how they are")
        }
        throw ShuntError(.clientUnknown, "no worker has a client '\(name)' to close", help: "list them with `shunt admin clients`")
    }
}
