import ShuntConfig
import ShuntCore
import ShuntHTTP
import ShuntJSON
import ShuntRegistry
import ShuntTLSNIO

/// A question to the admin API.
enum AdminRequest: Equatable, Sendable {
    case status
    /// How all workers are at this moment.
    case conditions
    case workers(WorkerQuery)
    case worker(String)
    case events(EventQuery)
    /// The figures of one worker over time, or of all together.
    case history(HistoryRequest, worker: String?)
    case query(String)
    case devices(DeviceSessionQuery)
    case device(uid: String)
    case clients(ClientQuery)
    /// What one worker, or all, know of a client.
    case client(ClientQuestion, worker: String?)
    case kick(ClientQuestion, worker: String?)
    case subscriptions(SubscriptionQuestion, worker: String?)
    case groups(SubscriptionQuestion, worker: String?)
    case topics(TopicQuestion, worker: String?)
    case chats(ChatQuery)
    case chat(String)
    case closeChat(String)
    case retained(RetainedRequest)
    case refused(RefusedQuery)
    case bans(limit: Int, offset: Int)
    case ban(BanRequest)
    case unban(String)
    case drain(String, DrainRequest)
    case undrain(String)
    case drainState(String)
    case balance
    /// Of the master's process and of all workers', or of one worker's.
    case configuration(worker: String?)
    case reload(worker: String?)
    case log(LogLevelRequest, worker: String?)
    case applyBalance(rate: Int?)
    /// Which master serves: `step-down` or `serve`, at the master that is asked.
    case changeRole(String)
    case checkRegistry
    case vacuumRegistry
    /// The rules of one worker, or of all.
    case rules(worker: String?)
    case deployRules(RuleDeployment, worker: String?)
    case explain(ExplainRequest, worker: String?)
    case trace(TraceCall)

    /// Seconds that the answer may take: longer than the master waits for the database, the workers or its own process.
    var patience: Int {
        switch self {
        // Workers run the tests of rules first; the master tells one worker after the other to give clients away.
        case .reload, .deployRules, .applyBalance: 75
        // All of a file is read, or written, which may be of many clients.
        case .checkRegistry, .vacuumRegistry: 300
        default: 15
        }
    }
}

/// A request about a trace; of payloads it is a recording.
enum TraceCall: Equatable, Sendable {
    case begin(TraceRequest, worker: String?)
    case read(TraceQuestion, worker: String)
    case end(TraceQuestion)
}

/// What an operator does about the rules' versions.
enum RuleDeployment: String, Sendable {
    case reload, rollback
}

/// A source of answers, in the admin API's JSON.
protocol AdminSource: Sendable {
    /// The name of the source, for people.
    var name: String { get }

    func answer(_ request: AdminRequest) async throws(ShuntError) -> [UInt8]
}

/// The registry's file. The ages of its records tell whether a master still writes it.
struct RegistrySource: AdminSource {
    private let reader: any RegistryReader
    private let now: @Sendable () -> Double

    /// Seconds without a heartbeat after which a worker is shown as lost, whatever state the file has: the default of
    /// `master.heartbeat.live_for`. A running master writes sooner.
    static let liveFor = 20.0

    init(path: String, now: @escaping @Sendable () -> Double) throws(ShuntError) {
        self.now = now
        do throws(ShuntError) {
            reader = try Registry.openReader(path: path)
        } catch {
            guard error.code == .registryUnavailable, error.help?.contains("registry.path") == true else { throw error }
            throw ShuntError(
                error.code, error.message, at: error.location,
                help: "give the file of a master with --registry: its configuration says where, as master.registry.path")
        }
    }

    var name: String { reader.path }

    func answer(_ request: AdminRequest) async throws(ShuntError) -> [UInt8] {
        switch request {
        case .workers(let query): try encode(await workers(query))
        case .worker(let name): try encode(aged(await reader.worker(name)))
        case .events(let query): try encode(await reader.events(query))
        case .history(let request, let worker): try encode(await history(request, worker))
        case .query(let sql): try encode(await reader.query(sql))
        case .devices(let query): try encode(await reader.devices(query))
        case .device(let uid): try encode(await reader.device(uid))
        case .clients(let query): try encode(await reader.clients(query))
        case .chats(let query): try encode(await reader.chats(query))
        case .chat(let id): try encode(await reader.chat(id))
        case .bans(let limit, let offset): try encode(await reader.bans(limit: limit, offset: offset))
        case .checkRegistry: try encode(await reader.check())
        case .balance: try encode(BalancePlan(await reader.workers().map(aged)))
        default: throw refusal(of: request)
        }
    }

    /// Why the file does not answer what only a running master can.
    private func refusal(of request: AdminRequest) -> ShuntError {
        let (code, why): (ErrorCode, String) =
            switch request {
            case .ban, .unban: (.registryReadOnly, "only a running master bans anybody, the registry's file is read and no more")
            case .closeChat: (.registryReadOnly, "only a running master closes chats, the registry's file is read and no more")
            case .retained: (.requestUnsupported, "retained messages are with the workers, the registry's file has none")
            case .client, .kick:
                (.requestUnsupported, "the workers are asked about a client, and close it: the registry's file lists clients and no more")
            case .configuration, .reload, .log: (.requestUnsupported, "only running processes know their settings, the registry's file does not")
            case .drain, .undrain, .drainState, .applyBalance:
                (.requestUnsupported, "only a running master has workers move their clients, the registry's file is read and no more")
            case .subscriptions, .groups: (.requestUnsupported, "only workers know what is subscribed, the registry's file does not")
            case .topics: (.requestUnsupported, "only workers count what topics carry, the registry's file does not")
            case .explain, .trace: (.requestUnsupported, "only workers know what becomes of messages, the registry's file does not")
            case .status, .conditions: (.requestUnsupported, "only a running master knows how it and its workers are")
            case .vacuumRegistry:
                (.registryReadOnly, "only a running master writes its registry anew, the registry's file is read and no more")
            case .changeRole: (.registryReadOnly, "only a running master makes way or serves, the registry's file is read and no more")
            case .rules, .deployRules: (.requestUnsupported, "the workers have the rules, the registry's file has none")
            case .refused: (.requestUnsupported, "the workers know whom they have refused, the registry's file does not")
            default: (.requestUnsupported, "only a running master can answer this")
            }
        return ShuntError(code, why, at: name, help: "leave --registry away, and say where the master is with --master host:port")
    }

    private func workers(_ query: WorkerQuery) async throws(ShuntError) -> WorkerPage {
        let all = try await reader.workers().map(aged).filter { query.state == nil || $0.state == query.state }
        let limit = min(max(query.limit, 0), WorkerQuery.maximumLimit)
        let offset = max(query.offset, 0)
        return WorkerPage(workers: Array(all.dropFirst(offset).prefix(limit)), total: all.count, offset: offset, limit: limit)
    }

    private func history(_ request: HistoryRequest, _ worker: String?) async throws(ShuntError) -> HistoryDocument {
        if let figures = request.figures { try HistoryDocument.check(figures) }
        return try await reader.history(
            HistoryQuery(
                worker: worker == nil ? nil : reader.worker(worker ?? "").name, since: Double(request.since), until: Double(request.until),
                step: request.step, figures: request.figures))
    }

    private func aged(_ worker: WorkerRecord) -> WorkerRecord {
        guard !worker.state.isAway, now() - worker.heartbeatAt > Self.liveFor else { return worker }
        var worker = worker
        worker.state = .lost
        return worker
    }

    private func encode(_ value: some Encodable) throws(ShuntError) -> [UInt8] {
        do {
            return try RecordJSON.encode(value)
        } catch {
            throw ShuntError(.internalError, "the answer cannot be written as JSON: \(error)", at: name)
        }
    }
}

/// A master's admin API.
struct APISource: AdminSource {
    let address: HostPort
    /// What shows who asks; nil for nothing.
    var token: AdminToken?
    /// nil: plain HTTP.
    var tls: TLSClient?
    /// Gets the remarks that come with answers.
    var note: @Sendable (String) -> Void = { _ in }

    var name: String { address.description }

    func answer(_ request: AdminRequest) async throws(ShuntError) -> [UInt8] {
        let (method, target, body) = Self.encode(request)
        let answer = try await HTTPClient.send(method, target, body: body, token: token?.text, patience: request.patience, to: address, tls: tls)
        if let remark = answer.note { note(remark) }
        if answer.status == 200, answer.contentType == "application/json" { return answer.body }
        throw refusal(in: answer)
    }

    /// Whether a request changes nothing.
    func isReading(_ request: AdminRequest) -> Bool { Self.encode(request).method == "GET" }

    /// Follows events behind a place, `REGISTRY:ID`.
    /// - Parameter take: called with one event after the other; false ends it.
    /// - Throws: `master.unavailable` where the stream has ended.
    func follow(
        after place: String, kind: EventRecord.Kind?, _ take: (ServerSentEvent) async throws(ShuntError) -> Bool
    ) async throws(ShuntError) {
        let target = "/api/v1/events/stream" + (kind.map { "?kind=" + QueryString.encode($0.rawValue) } ?? "")
        let answer = try await HTTPClient.follow(target, after: place, token: token?.text, to: address, tls: tls, take)
        if let answer { throw refusal(in: answer) }
    }

    private func refusal(in answer: HTTPClient.Answer) -> ShuntError {
        if answer.contentType == ProblemDetails.mediaType, let problem = try? RecordJSON.decode(ProblemDetails.self, from: answer.body) {
            return explained(problem.error)
        }
        return ShuntError(
            .masterUnavailable, "what answers there is not a Shunt master (HTTP status \(answer.status))", at: name,
            help: "give the master's admin address with --master (master.admin.listen in its configuration)")
    }

    /// What the operator can do where the master wants to know who asks, or does not let that one.
    private func explained(_ error: ShuntError) -> ShuntError {
        var error = error
        switch (error.code, token) {
        case (.accessCredentials, nil):
            error.location = name
            error.help = "give the file of your token with --token-file, or the token in the environment's \(AdminToken.variable)"
        case (.accessCredentials, let token?):
            error.location = name
            error.help = "the token came from \(token.origin): see whether master.admin.tokens_file has it"
        case (.accessDenied, let token?):
            error.location = name
            error.help = "the token came from \(token.origin): a command needs one whose role is operate"
        default: break
        }
        return error
    }

    private static func encode(_ request: AdminRequest) -> (method: String, target: String, body: [UInt8]) {
        func parameter(_ name: String, _ value: String?) -> String { value.map { "&\(name)=" + QueryString.encode($0) } ?? "" }
        func only(_ worker: String?) -> String { worker.map { "?worker=" + QueryString.encode($0) } ?? "" }
        switch request {
        case .status: return ("GET", "/api/v1/status", [])
        case .conditions: return ("GET", "/api/v1/conditions", [])
        case .workers(let query):
            let state = parameter("state", query.state?.rawValue)
            return ("GET", "/api/v1/workers?limit=\(query.limit)&offset=\(query.offset)" + state, [])
        case .worker(let name):
            return ("GET", "/api/v1/workers/" + QueryString.encode(name), [])
        case .events(let query):
            let after = parameter("after", query.after.map { "\($0)" })
            let kind = parameter("kind", query.kind?.rawValue)
            let since = parameter("since", query.since.map { "\(Int64($0.rounded(.down)))" })
            return ("GET", "/api/v1/events?limit=\(query.limit)" + after + since + kind, [])
        case .history(let request, let worker): return request.encoded(worker: worker)
        case .query(let sql):
            // A dictionary of strings can always be encoded.
            return ("POST", "/api/v1/query", (try? RecordJSON.encode(["sql": sql])) ?? [])
        case .devices(let query):
            let filter =
                parameter("uid", query.uid) + parameter("tag", query.tag) + parameter("worker", query.worker)
                + parameter("online", query.isOnline.map { "\($0)" })
            return ("GET", "/api/v1/devices?limit=\(query.limit)&offset=\(query.offset)" + filter, [])
        case .device(let uid):
            return ("GET", "/api/v1/devices/" + QueryString.encode(uid), [])
        case .clients, .client, .kick, .subscriptions, .groups, .topics: return encodeClients(request)
        case .chats(let query):
            return ("GET", "/api/v1/chats?limit=\(query.limit)&offset=\(query.offset)" + parameter("worker", query.worker), [])
        case .chat(let id):
            return ("GET", "/api/v1/chats/" + QueryString.encode(id), [])
        case .closeChat(let id):
            return ("DELETE", "/api/v1/chats/" + QueryString.encode(id), [])
        case .retained(.list(let filter, let after, let limit)):
            let place = parameter("after", after?.description)
            return ("GET", "/api/v1/retained?limit=\(limit)" + parameter("filter", filter) + place, [])
        case .refused(let query):
            let filter = parameter("address", query.addresses?.description) + parameter("user", query.user)
            return ("GET", "/api/v1/refused?limit=\(query.limit)" + filter, [])
        case .bans(let limit, let offset): return ("GET", "/api/v1/bans?limit=\(limit)&offset=\(offset)", [])
        // Texts and a whole number can always be encoded.
        case .ban(let request): return ("POST", "/api/v1/bans", (try? RecordJSON.encode(request)) ?? [])
        case .unban(let subject): return ("DELETE", "/api/v1/bans?subject=" + QueryString.encode(subject), [])
        case .drain, .undrain, .drainState, .balance, .applyBalance, .configuration, .reload, .log: return encodeWorkers(request)
        case .changeRole(let change): return ("POST", "/api/v1/" + change, [])
        case .checkRegistry: return ("GET", "/api/v1/registry/check", [])
        case .vacuumRegistry: return ("POST", "/api/v1/registry/vacuum", [])
        case .rules(let worker): return ("GET", "/api/v1/rules" + only(worker), [])
        case .deployRules(let deployment, let worker): return ("POST", "/api/v1/rules/\(deployment.rawValue)" + only(worker), [])
        case .explain(let request, let worker): return ("POST", "/api/v1/explain" + only(worker), (try? RecordJSON.encode(request)) ?? [])
        case .trace(let call): return encode(call)
        case .retained(.clear(let filter)):
            return ("DELETE", "/api/v1/retained?filter=" + QueryString.encode(filter), [])
        }
    }

    /// What workers, or all processes, are to do.
    private static func encodeWorkers(_ request: AdminRequest) -> (method: String, target: String, body: [UInt8]) {
        func only(_ worker: String?) -> String { worker.map { "?worker=" + QueryString.encode($0) } ?? "" }
        func drain(_ worker: String) -> String { "/api/v1/workers/" + QueryString.encode(worker) + "/drain" }
        switch request {
        case .drainState(let worker): return ("GET", drain(worker), [])
        case .undrain(let worker): return ("DELETE", drain(worker), [])
        case .drain(let worker, let request):
            let given = [
                request.rate.map { "rate=\($0)" }, request.forceAfter.map { "force_after=\(Int($0))" }, request.exit.map { "exit=\($0)" },
            ].compactMap { $0 }
            return ("POST", drain(worker) + (given.isEmpty ? "" : "?" + given.joined(separator: "&")), [])
        case .configuration(let worker): return ("GET", "/api/v1/configuration" + only(worker), [])
        case .reload(let worker): return ("POST", "/api/v1/reload" + only(worker), [])
        case .log(let request, let worker):
            guard let level = request.level else { return ("GET", "/api/v1/log" + only(worker), []) }
            let more = [("subsystem", request.subsystem), ("worker", worker)].compactMap { name, value in
                value.map { "&\(name)=" + QueryString.encode($0) }
            }
            return ("POST", "/api/v1/log?level=" + level + more.joined(), [])
        case .balance: return ("GET", "/api/v1/balance", [])
        case .applyBalance(let rate): return ("POST", "/api/v1/balance" + (rate.map { "?rate=\($0)" } ?? ""), [])
        default: return ("GET", "/api/v1/workers", [])
        }
    }

    private static func encodeClients(_ request: AdminRequest) -> (method: String, target: String, body: [UInt8]) {
        func query(_ pairs: [(String, String?)]) -> String {
            let given = pairs.compactMap { name, value in value.map { "\(name)=" + QueryString.encode($0) } }
            return given.isEmpty ? "" : "?" + given.joined(separator: "&")
        }
        switch request {
        case .clients(let asked):
            let filter = [
                ("limit", "\(asked.limit)"), ("offset", "\(asked.offset)"), ("search", asked.search), ("client", asked.client), ("uid", asked.uid),
                ("worker", asked.worker), ("state", asked.state?.rawValue), ("protocol", asked.protocolName),
            ]
            return ("GET", "/api/v1/clients" + query(filter), [])
        case .client(let question, let worker):
            let name = QueryString.encode(question.client ?? "")
            return ("GET", "/api/v1/clients/\(name)" + query([("worker", worker), ("subscriptions", question.subscriptions.map { "\($0)" })]), [])
        case .kick(let question, let worker):
            let name = question.client.map { "/" + QueryString.encode($0) } ?? ""
            let rest = [
                ("worker", worker), ("session", question.session), ("protocol", question.protocolName),
                ("end_session", question.endsSession.map { "\($0)" }),
            ]
            return ("DELETE", "/api/v1/clients" + name + query(rest), [])
        case .subscriptions(let question, let worker):
            let filter = [("filter", question.filter), ("limit", question.limit.map { "\($0)" }), ("worker", worker)]
            return ("GET", "/api/v1/subscriptions" + query(filter), [])
        case .groups(let question, let worker):
            return ("GET", "/api/v1/groups" + query([("limit", question.limit.map { "\($0)" }), ("worker", worker)]), [])
        case .topics(let question, let worker):
            let given = [
                ("by", question.by?.rawValue), ("over", question.over?.rawValue), ("limit", question.limit.map { "\($0)" }), ("worker", worker),
            ]
            return ("GET", "/api/v1/topics" + query(given), [])
        default: return ("GET", "/api/v1/clients", [])
        }
    }

    private static func encode(_ call: TraceCall) -> (method: String, target: String, body: [UInt8]) {
        func path(_ payloads: Bool) -> String { payloads ? "/api/v1/recordings" : "/api/v1/traces" }
        switch call {
        case .begin(let request, let worker):
            let only = worker.map { "?worker=" + QueryString.encode($0) } ?? ""
            return ("POST", path(request.payloads == true) + only, (try? RecordJSON.encode(request)) ?? [])
        case .read(let question, let worker):
            let place = QueryString.encode(question.id) + "?after=\(question.after)&worker=" + QueryString.encode(worker)
            return ("GET", path(question.payloads) + "/" + place, [])
        case .end(let question): return ("DELETE", path(question.payloads) + "/" + QueryString.encode(question.id), [])
        }
    }
}
