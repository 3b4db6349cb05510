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
        let sheet = RouteSheet("Lists clients by name, worker and session.", ClientPage.self, gives: "A page of the clients.", errors: .registry)
        let parameters: [HTTPParameter] = [
            HTTPParameter("search", .text(most: ClientQuery.maximumSearch), "A part of `client` or `uid`; ASCII letters match in either case."),
            HTTPParameter("client", "Only clients of this name."), HTTPParameter("uid", "Only clients of this uid."), .workerName,
            .choice("state", ClientRecord.State.self, "Only clients in this state."),
            HTTPParameter("protocol", "Only clients of this protocol: `exchange`, `mqtt`, or a whole name such as `mqtt 5.0`."),
            .limit(ClientQuery.maximumLimit), .offset,
        ]
        return HTTPRoute(.get, "/api/v1/clients", sheet, parameters: parameters) { [registry] call in
            let query = ClientQuery(
                search: call.parameters["search"], client: call.parameters["client"], uid: call.parameters["uid"], worker: call.parameters["worker"],
                state: call.choice("state"), protocolName: call.parameters["protocol"], limit: call.limit, offset: call.offset)
            return .json(try RecordJSON.encode(try await registry.clients(query)))
        }
    }

    private var detail: HTTPRoute {
        let sheet = RouteSheet(
            "Tells what workers know of a client.", WorkerAnswersRecord<ClientDetailsRecord>.self, gives: "What each worker says.",
            segment: Self.segment, errors: .workers)
        let subscriptions = HTTPParameter(
            "subscriptions", .integer(0...Int64(ClientQuestion.maximumSubscriptions), usual: Int64(ClientQuestion.usualSubscriptions)),
            "How many subscriptions of each client the answer has at most.")
        return HTTPRoute(.get, "/api/v1/clients/{client}", sheet, parameters: [.oneWorker, subscriptions]) { [command] call in
            var question = ClientQuestion(client: call.segment)
            question.subscriptions = call.integer("subscriptions")
            let order = WorkerCommand(.client, arguments: try RecordJSON.encode(question), worker: call.parameters["worker"])
            return try await command(order).response(ClientDetailsRecord.self)
        }
    }

    private var kick: HTTPRoute {
        let sheet = RouteSheet(
            "Closes a client's connections.", KickedClients.self, gives: "What was closed.", segment: Self.segment,
            errors: .commandedWorkers + [.clientUnknown])
        let speaks = HTTPParameter(
            "protocol", "Only clients of this protocol, of several that have the name: `exchange`, `mqtt`, or a whole name such as `mqtt 5.0`.")
        return HTTPRoute(
            .delete, "/api/v1/clients/{client}", sheet, parameters: [.oneWorker, speaks, Self.endSession], need: .operate
        ) { call in
            let question = ClientQuestion(
                client: call.segment, protocolName: call.parameters["protocol"], endsSession: call.boolean("end_session"))
            return try await close(question, call.parameters["worker"], call.caller)
        }
    }

    private static let segment = "The client's name: the client identifier of MQTT, or the name of a device of the exchange protocol."
    private static let endSession = HTTPParameter("end_session", .boolean, "Whether a session of MQTT ends too, with all that waits for it.")

    /// A client without a name, or one of several that have the same.
    private var kickSession: HTTPRoute {
        let sheet = RouteSheet(
            "Closes one session's connection: of a client without a name, or of one of several that have the same.", KickedClients.self,
            gives: "What was closed.", errors: .commandedWorkers + [.clientUnknown])
        let help = "give ?worker=HOST:PORT&session=0-12-3, as the list of clients has them, or DELETE /api/v1/clients/CLIENT"
        let parameters = [
            HTTPParameter("worker", "The worker's whole name.", wanted: help),
            HTTPParameter("session", "The session, as the list of clients has it.", wanted: help), Self.endSession,
        ]
        return HTTPRoute(.delete, "/api/v1/clients", sheet, parameters: parameters, need: .operate) { call in
            guard let session = call.parameters["session"], ConnectionID(text: session) != nil else {
                throw ShuntError(.requestInvalid, "this is the name of no session", at: "session", help: help)
            }
            let question = ClientQuestion(session: session, endsSession: call.boolean("end_session"))
            return try await close(question, call.parameters["worker"], call.caller)
        }
    }

    private func close(_ question: ClientQuestion, _ worker: String?, _ caller: String?) async throws -> HTTPResponse {
        let answers = await command(WorkerCommand(.kick, arguments: try RecordJSON.encode(question), worker: worker))
        let name = question.client ?? question.session ?? ""
        let speaks = question.protocolName.map { " --protocol \($0)" } ?? ""
        let words = "kick \(name)" + (worker.map { " --worker \($0)" } ?? "") + speaks + (question.endsSession == true ? " --end-session" : "")
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
