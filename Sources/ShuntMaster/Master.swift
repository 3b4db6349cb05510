import ExchangeCodec
import Logging
import ShuntAccess
import ShuntConfig
import ShuntCore
import ShuntEngine
import ShuntHTTP
import ShuntReactor
import ShuntRegistry
public import ShuntTLS
import Synchronization

/// A running master: the exchange port, the registry and the admin API.
public final class Master: Sendable {
    /// The addresses that it listens on, with the real port if the configuration says 0.
    public let exchangeAddress: String
    public let adminAddress: String
    private let loop: LoopThread<MasterLoop>
    private let registry: Registry
    private let admin: HTTPEndpoint
    private let door: AdminDoor
    private let feed: EventFeed
    private let clock: @Sendable () -> Double
    private let version: String
    private let startedAt: Double
    private let isAnnounced = Atomic(false)
    private let adminTLS: AdminTLS?
    private let logger = Logger(label: "shunt.master")

    /// Opens the registry and the listeners.
    /// - Parameters:
    ///   - hostName: the machine's own name.
    ///   - descriptors: those of the process.
    ///   - clock: seconds since 1970.
    ///   - secrets: those of this configuration.
    ///   - clusterTLS: what workers come by; nil: plain bytes.
    ///   - peerTLS: how other masters are spoken to; nil: by plain bytes.
    ///   - process: has this process do what operators ask of processes; nil where it is a worker's too.
    /// - Throws: `registry.*`, `address.*`, `tls.invalid`; nothing is left running.
    public static func start(
        _ configuration: Configuration, secrets: MasterSecrets, clusterTLS: ReloadableTLS? = nil, peerTLS: ReloadableTLS? = nil,
        version: String, hostName: String, descriptors: DescriptorBudget, process: AdminServer.CommandProcess?,
        clock: @escaping @Sendable () -> Double
    ) async throws(ShuntError) -> Master {
        var writing = RegistryWriter.Configuration()
        writing.batchInterval = configuration.master.registry.batch
        writing.eventsKept = configuration.master.registry.eventsKeep
        writing.historyKept = configuration.master.registry.history.steps
        let registry = try Registry.open(
            path: configuration.master.registry.path, writing: writing, logger: Logger(label: "shunt.registry"))
        do throws(ShuntError) {
            return try await Master(
                configuration, secrets, clusterTLS, peerTLS, registry: registry, version: version, hostName: hostName, descriptors: descriptors,
                process: process,
                clock: clock)
        } catch {
            try? await registry.close()
            throw error
        }
    }

    private init(
        _ configuration: Configuration, _ secrets: MasterSecrets, _ clusterTLS: ReloadableTLS?, _ peerTLS: ReloadableTLS?, registry: Registry,
        version: String, hostName: String, descriptors: DescriptorBudget, process: AdminServer.CommandProcess?,
        clock: @escaping @Sendable () -> Double
    ) async throws(ShuntError) {
        let master = configuration.master
        adminTLS = try AdminTLS(configuration, logger)
        self.registry = registry
        self.clock = clock
        self.version = version
        let known = try await KnownBefore(registry.reader, now: clock())
        let socket = try ListeningSocket(master.exchange.listen, name: "master.exchange.listen")
        exchangeAddress = socket.address.description
        let now = clock()
        startedAt = now
        let masters = try MasterPeers(configuration, secrets.cluster, listening: HostPort(exchangeAddress) ?? master.exchange.listen, peerTLS)
        let standby = masters?.standby(configuration, known, now: now)
        let engine = EngineSettings(configuration, secrets.cluster, needsCertificate: clusterTLS != nil, standby)
        let writer = registry.writer
        let figures = MasterFigures()
        let loop = try LoopThread(index: 0, name: "master", limits: ConnectionLimits(configuration)) { [logger] loop in
            MasterLoop(
                loop: loop, socket: socket, descriptors: descriptors, engine: engine.make(), tls: clusterTLS, masters: masters, known: known,
                writer: writer, figures: figures, logger: logger)
        }
        self.loop = loop
        let door = Self.door(secrets.tokens, writer, clock)
        self.door = door
        let feed = EventFeed(registry.reader, limit: descriptors.httpConnections)
        self.feed = feed
        writer.whenEventsAreWritten { feed.eventsWritten() }
        do throws(ShuntError) {
            let endpoint = Self.endpoint(configuration, hostName, descriptors, adminTLS, door)
            let certificates = { @Sendable [adminTLS] in Self.certificates(adminTLS, clusterTLS) }
            admin = try await AdminServer.start(
                endpoint, registry: registry.reader,
                status: Self.status(version, since: now, registry, figures, clock, certificates),
                readiness: { registry.problem }, note: { figures.note },
                metrics: { figures.metrics(writer, door, certificates(), version: version, now: clock()) },
                closeChat: { chat in await Self.ask(loop) { $0.closeChat(chat, $1) } },
                changeBan: { change in await Self.change(change, loop) },
                retained: { request in await Self.ask(loop) { $0.ask(request, $1) } },
                refused: { query in await Self.ask(loop) { $0.ask(query, $1) } },
                command: { command in await Self.ask(loop) { $0.command(command, $1) } },
                balance: { worker, mean in await Self.ask(loop) { $0.balance(worker, mean, $1) } },
                changeRole: { change in await Self.ask(loop) { $0.change(change, $1) } }, vacuum: { await Self.vacuum(writer) },
                workers: { await Self.ask(loop) { $0.workers($1) } },
                settle: { await writer.settle(within: Self.registryPatience) }, process: process,
                record: Self.recorder(writer, clock), feed: feed, logger: Logger(label: "shunt.admin"))
        } catch {
            feed.stop()
            loop.post { $0.stop() }
            loop.join()
            throw ShuntError(error.code, error.message, at: "master.admin.listen: \(error.location ?? "")", help: error.help)
        }
        adminAddress = HostPort(admin.host, admin.port).description
    }

    private static func vacuum(_ writer: RegistryWriter) async -> Result<RegistryVacuum, ShuntError> {
        do throws(ShuntError) { return .success(try await writer.vacuum()) } catch { return .failure(error) }
    }

    /// What the master shows to operators, and to workers.
    private static func certificates(_ admin: AdminTLS?, _ cluster: ReloadableTLS?) -> [WorkerCondition.Certificate] {
        typealias Certificate = WorkerCondition.Certificate
        let own = (admin?.expiries ?? []).map { Certificate(listener: Certificate.admin, file: $0.file, expiresAt: $0.at) }
        return own + (cluster?.context.expiries ?? []).map { Certificate(listener: Certificate.cluster, file: $0.file, expiresAt: $0.at) }
    }

    private static func endpoint(
        _ configuration: Configuration, _ hostName: String, _ descriptors: DescriptorBudget, _ tls: AdminTLS?, _ door: AdminDoor
    ) -> HTTPEndpoint.Configuration {
        let admin = configuration.master.admin
        var endpoint = HTTPEndpoint.Configuration(host: admin.listen.host, port: admin.listen.port)
        endpoint.tls = tls?.server
        endpoint.maximumConnections = descriptors.httpConnections
        endpoint.hosts = AllowedHosts(admin.hosts + [admin.listen.host, hostName], key: "master.admin.hosts")
        endpoint.authority = door
        return endpoint
    }

    private static func status(
        _ version: String, since startedAt: Double, _ registry: Registry, _ figures: MasterFigures, _ clock: @escaping @Sendable () -> Double,
        _ certificates: @escaping @Sendable () -> [WorkerCondition.Certificate]
    ) -> @Sendable () -> MasterStatus {
        {
            MasterStatus(
                version: "shunt \(version)", startedAt: startedAt, uptimeSeconds: clock() - startedAt, writer: registry.writer.figures,
                problem: registry.problem,
                role: figures.role, certificates: certificates())
        }
    }

    private static func door(_ tokens: AdminTokens?, _ writer: RegistryWriter, _ clock: @escaping @Sendable () -> Double) -> AdminDoor {
        let record: AdminDoor.RecordRefusals = { source, what in
            writer.submit([.event(EventRecord(at: clock(), kind: .adminRefused, subject: source, detail: what))])
        }
        return AdminDoor(tokens, record: record, logger: Logger(label: "shunt.admin"))
    }

    /// Has the loop do something, and waits for what it gives.
    private static func ask<Answer: Sendable>(
        _ loop: LoopThread<MasterLoop>, _ question: @escaping @Sendable (MasterLoop, @escaping @Sendable (Answer) -> Void) -> Void
    ) async -> Answer {
        await withCheckedContinuation { done in loop.post { question($0) { done.resume(returning: $0) } } }
    }

    /// Bans somebody, or lifts a ban: once that is done, no client that is banned is at a worker. It holds whether the registry can be written or
    /// not; the answer's note tells of a registry that could not be.
    /// - Returns: workers that have not confirmed it.
    private static func change(_ change: BanChange, _ loop: LoopThread<MasterLoop>) async -> Result<[String], ShuntError> {
        if let error = await ask(loop, { $0.change(change, $1) }) { return .failure(error) }
        return await ask(loop) { $0.command(WorkerCommand(.holdBans), $1) }.map { answers in
            (answers.missing + answers.answers.filter { $0.result.failure != nil }.map(\.worker)).sorted()
        }
    }

    /// How long an operator waits for the registry's disk.
    private static let registryPatience = Duration.seconds(5)

    /// Tells the registry that the whole process has started.
    public func announce(name: String) {
        isAnnounced.store(true, ordering: .relaxed)
        tell(.masterStarted, name, "shunt \(version)", at: startedAt)
    }

    /// Tells the registry and the log of operators' commands.
    private static func recorder(_ writer: RegistryWriter, _ clock: @escaping @Sendable () -> Double) -> AdminServer.RecordCommand {
        let logger = Logger(label: "shunt.admin")
        return { caller, command, refusal in
            let by = caller ?? "anybody"
            let detail = String(command.prefix(200)) + (refusal.map { ": refused, \($0.code.rawValue)" } ?? "")
            writer.submit([.event(EventRecord(at: clock(), kind: .command, subject: by, detail: detail))])
            logger.notice("a command", metadata: ["by": "\(by)", "command": "\(detail)"])
        }
    }

    /// Applies what may change while it runs: limits, and who may ask the admin API; reads the admin API's certificate again.
    public func apply(_ configuration: Configuration, secrets: MasterSecrets) {
        door.set(secrets.tokens)
        feed.look()
        let limits = ConnectionLimits(configuration)
        let frame = configuration.limits.frame
        loop.post { $0.setLimits(limits, frame: frame) }
        adminTLS?.reload()
    }

    /// Closes everything, after the registry has written its changes.
    public func stop(name: String) async {
        registry.reader.stopQueries()
        feed.stop()
        // The admin API asks the loop.
        await admin.stop()
        loop.post { $0.stop() }
        loop.join()
        if isAnnounced.load(ordering: .relaxed) { tell(.masterStopped, name, "as told", at: clock()) }
        do {
            try await registry.close()
        } catch {
            let lost = registry.writer.figures
            logger.error(
                "the registry lacks what could not be written",
                metadata: [
                    "error": "\(error)", "workers": "\(lost.pendingWorkers)", "devices": "\(lost.pendingDevices)",
                    "chats": "\(lost.pendingChats)", "events": "\(lost.pendingEvents)",
                ])
        }
    }

    private func tell(_ kind: EventRecord.Kind, _ name: String, _ detail: String, at time: Double) {
        registry.writer.submit([.event(EventRecord(at: time, kind: kind, subject: name, detail: detail))])
    }
}

/// The arguments of the master's engine, which is made on its loop.
private struct EngineSettings: Sendable {
    private let liveFor: Double
    private let keepDevices: Double
    private let deviceMemory: Int
    private let frameLimit: Int
    private let secret: LinkSecret?
    private let needsCertificate: Bool
    private let unproved: [AddressRange]
    private let listsClients: Bool
    private let historySteps: [HistoryStep]
    private let standby: Standby?

    init(_ configuration: Configuration, _ token: ClusterToken?, needsCertificate: Bool, _ standby: Standby?) {
        self.needsCertificate = needsCertificate
        self.standby = standby
        secret = token.map { LinkSecret($0) }
        unproved = configuration.cluster.allowJava ? configuration.cluster.javaFrom : []
        liveFor = configuration.master.heartbeat.liveFor.inSeconds
        keepDevices = configuration.devices.keep.inSeconds
        deviceMemory = configuration.devices.memory
        frameLimit = configuration.limits.frame
        listsClients = configuration.master.registry.clients
        historySteps = configuration.master.registry.history.steps
    }

    func make() -> MasterEngine {
        let engine = MasterEngine(
            liveFor: liveFor, keepDevices: keepDevices, deviceMemory: deviceMemory, frameLimit: frameLimit, secret: secret,
            needsCertificate: needsCertificate, unproved: unproved, standby: standby)
        engine.listsClients = listsClients
        engine.historySteps = historySteps
        return engine
    }
}

extension ConnectionLimits {
    /// The limits of the master's port: it has one loop, and sends only answers.
    fileprivate init(_ configuration: Configuration) {
        let limits = configuration.limits
        self.init(
            outBuffer: limits.outBuffer, buffers: limits.buffers, frameSeconds: max(1, Int(limits.frameTime.inSeconds)),
            connections: limits.connections, peerSeconds: limits.peerSeconds)
    }
}

extension MasterPeers {
    /// Whether this master serves, from its start on.
    fileprivate func standby(_ configuration: Configuration, _ known: KnownBefore, now: Double) -> Standby {
        let restored = known.workers.count { !$0.state.isAway }
        return Standby(own: own, others: others, restored: restored, liveFor: configuration.master.heartbeat.liveFor.inSeconds, now: now)
    }
}

extension Duration {
    fileprivate var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
