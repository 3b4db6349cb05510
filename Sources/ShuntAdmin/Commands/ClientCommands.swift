import ArgumentParser
import ShuntCore
import ShuntRegistry

/// `shunt admin clients`: the clients of all workers, as the registry lists them.
struct ClientsCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "clients",
        abstract: "List the clients of all workers, and the sessions of MQTT whose client is away.",
        discussion: """
            By name, worker and session. Options that are given must all be met.

              shunt admin clients
              shunt admin clients meter              by a part of their name or uid
              shunt admin clients --uid meter-7
              shunt admin clients --worker edge-1 --protocol mqtt --away
              shunt admin client meter-7             all that its worker knows of one
              shunt admin kick meter-7               close its connection
            """)

    @OptionGroup var options: AdminOptions
    @OptionGroup var page: PageOptions

    @Argument(help: "Only clients whose client identifier, name of a device or uid contains this; small and capital letters are the same.")
    var search: String?

    @Option(help: "Only clients of this client identifier, or name of a device: the whole of it.")
    var client: String?

    @Option(help: "Only clients of this uid.")
    var uid: String?

    @Option(help: "Only clients of this worker: its host:port or its worker.name, of which the beginning is enough.")
    var worker: String?

    @Option(name: .customLong("protocol"), help: "Only clients that speak this: exchange, mqtt, \"mqtt 3.1.1\" or \"mqtt 5.0\".")
    var spoken: SpokenProtocol?

    @Flag(help: "Only clients that are connected.")
    var connected = false

    @Flag(help: "Only sessions whose client is away.")
    var away = false

    func validate() throws {
        guard !(connected && away) else {
            throw ValidationError("--connected and --away exclude each other: without either, all are listed.")
        }
        guard (search ?? "").unicodeScalars.count <= ClientQuery.maximumSearch else {
            throw ValidationError("The text to search for is too long: give at most \(ClientQuery.maximumSearch) characters.")
        }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        var query = ClientQuery(
            search: search, client: client, uid: uid, worker: worker, state: connected ? .connected : away ? .away : nil,
            protocolName: spoken?.rawValue,
            limit: page.limit, offset: page.offset)
        var (found, json) = try await session.ask(.clients(query), as: ClientPage.self)
        if found.total == 0, let worker {
            query.worker = try await session.worker(worker)
            if query.worker != worker { (found, json) = try await session.ask(.clients(query), as: ClientPage.self) }
        }
        switch session.output {
        case .json: try session.write(json: json)
        case .csv: try session.write(ClientListing.csv(found.clients))
        case .table:
            try session.write(ClientListing.table(await session.named(found.clients, \.worker), now: session.console.now()))
            if found.clients.count < found.total {
                session.note("\(found.clients.count) of \(found.total) clients; the others with --limit and --offset")
            }
        }
    }
}

/// `shunt admin client NAME`: what the workers know of one.
struct ClientCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "client",
        abstract: "Show all that workers know of a client: subscriptions, what waits for it, what is in flight.",
        discussion: """
            The workers are asked, so only a running master can tell: not with --registry.

              shunt admin client meter-7
              shunt admin client meter-7 --subscriptions 1000 --output csv
            """)

    @OptionGroup var options: AdminOptions
    @OptionGroup var only: OneWorkerOption

    @Option(parsing: .unconditional, help: "How many of its subscriptions, the newest, at most \(ClientQuestion.maximumSubscriptions).")
    var subscriptions = ClientQuestion.usualSubscriptions

    @Argument(help: "The client identifier, or the name of a device of the exchange protocol: the whole of it.")
    var name: String

    func validate() throws {
        guard !name.isEmpty else { throw ValidationError("The name is empty: give one that `shunt admin clients` lists.") }
        guard (0...ClientQuestion.maximumSubscriptions).contains(subscriptions) else {
            throw ValidationError("--subscriptions is \(subscriptions): give a number from 0 to \(ClientQuestion.maximumSubscriptions).")
        }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        let worker = try await only.name(session)
        let question = ClientQuestion(client: name, subscriptions: subscriptions)
        let (answers, json) = try await session.ask(.client(question, worker: worker), as: WorkerAnswersRecord<ClientDetailsRecord>.self)
        let found = await session.named(answers)
        let clients = found.workers.flatMap { one in (one.answer?.clients ?? []).map { (worker: one.worker, client: $0) } }
        guard !clients.isEmpty || !found.missing.isEmpty || found.workers.contains(where: { $0.error != nil }) else {
            let place = only.worker.map { "worker \($0) has no" } ?? "no worker has a"
            throw ShuntError(.clientUnknown, "\(place) client '\(name)'", help: "list them with `shunt admin clients`")
        }
        switch session.output {
        case .json: try session.write(json: json)
        case .csv: try session.write(ClientListing.csv(clients))
        case .table:
            try session.console.write(
                clients.map { ClientListing.detail($0.client, worker: $0.worker, now: session.console.now(), width: session.console.width) }
                    .joined(separator: "\n"))
        }
        session.noteRefusals(found)
        session.noteMissing(found, "the client may be there too")
    }
}

/// `shunt admin kick NAME`: closes a client's connections.
struct KickCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "kick",
        abstract: "Have workers close a client's connection.",
        discussion: """
            All clients of the name are closed, at all workers: --worker, --protocol and --session name one of several. When the command ends \
            they are gone, and their name is free. A client may come back at once: `shunt admin ban` keeps it out. A client of MQTT 5.0 is \
            told 0x98. Its session stays, if it outlives connections, unless --end-session is given. Where a worker has not answered the \
            command says so, and exits with 69.

              shunt admin kick meter-7
              shunt admin kick meter-7 --end-session --worker edge-1
              shunt admin kick phone --protocol exchange     not MQTT's of that name
              shunt admin kick --session 0-12-3 --worker edge-1     one without a name
            """)

    @OptionGroup var options: AdminOptions
    @OptionGroup var only: OneWorkerOption

    @Option(help: "The session, as `shunt admin clients` lists it, instead of a name; with --worker.")
    var session: String?

    @Option(name: .customLong("protocol"), help: "Only clients that speak this: exchange, mqtt, \"mqtt 3.1.1\" or \"mqtt 5.0\".")
    var spoken: SpokenProtocol?

    @Flag(help: "End its session of MQTT too: what waits for it is lost.")
    var endSession = false

    @Argument(help: "The client identifier, or the name of a device of the exchange protocol: the whole of it.")
    var name: String?

    func validate() throws {
        guard (name?.isEmpty == false) != (session != nil) else {
            throw ValidationError("Give the client's name, or its --session: one of them.")
        }
        guard let session else { return }
        guard spoken == nil else { throw ValidationError("--protocol is for a name: a session has one protocol.") }
        guard ConnectionID(text: session) != nil else { throw ValidationError("--session is '\(session)': give one as 0-12-3.") }
        guard only.worker != nil else { throw ValidationError("--session needs --worker: each worker has sessions of these names.") }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        let worker = try await only.name(session)
        let question = ClientQuestion(
            client: name, session: self.session, protocolName: spoken?.rawValue, endsSession: endSession ? true : nil)
        let (kicked, json) = try await session.ask(.kick(question, worker: worker), as: KickedClients.self)
        switch session.output {
        case .json: try session.write(json: json)
        case .csv:
            var csv = CSV(header: ["closed", "ended", "workers", "missing"])
            csv.append(["\(kicked.closed)", "\(kicked.ended)", CSV.list(kicked.workers), CSV.list(kicked.missing)])
            try session.write(csv)
        case .table:
            let ended = kicked.ended > 0 ? ", ended \(Humane.count(kicked.ended, "session"))" : ""
            let places = await session.named(kicked.workers, \.self).map { Text.printable($0) }.joined(separator: ", ")
            try session.console.write("closed \(Humane.count(kicked.closed, "client"))\(ended) at \(places)\n")
        }
        try session.requireAnswers(await session.named(kicked.missing, \.self), "the client may be there too")
    }
}

/// What a client speaks, as the registry names it; `mqtt` stands for both of its versions.
enum SpokenProtocol: String, ExpressibleByArgument, CaseIterable {
    case exchange, mqtt
    case mqtt3 = "mqtt 3.1.1"
    case mqtt5 = "mqtt 5.0"

    /// The options' help tells them.
    static var allValueDescriptions: [String: String] { [:] }
}
