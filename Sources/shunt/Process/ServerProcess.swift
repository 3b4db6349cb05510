import ArgumentParser
import Glibc
import Logging
import ShuntConfig
import ShuntCore
import ShuntHTTP
import ShuntJSON
import ShuntLog
import ShuntMaster
import ShuntReactor
import ShuntWorker
import Synchronization

/// A master, a worker, or both, from start to end.
struct ServerProcess {
    enum Kind: String {
        case dev, master, worker
        var hasMaster: Bool { self != .worker }
        var hasWorker: Bool { self != .master }
        var label: String { self == .master ? "shunt.master" : "shunt.worker" }
    }

    let kind: Kind
    let options: ProcessOptions
    private let logger: Logger
    private var configuration: Configuration
    private var master: Master?
    private var worker: Worker?
    private var health: HTTPEndpoint?
    private var clusterTLS: ClusterTLS?
    private let descriptors: DescriptorBudget
    /// The configuration as it was read last: some of it counts from the next start on.
    private var next: Configuration
    /// Has the process be told something.
    private let add: @Sendable (Signals.Event) -> Void

    /// Runs until it is told to end.
    static func run(_ kind: Kind, _ options: ProcessOptions) async throws {
        do {
            if let path = options.readyFile {
                try ReadyFile.check(path)
                if !options.check { ReadyFile.remove(path) }
            }
            let configuration = try options.load()
            if options.check { return try check(kind, configuration) }
            ProcessLimits.prepare()
            // From here on signals are handled in turn, also while the process still starts.
            let (events, add) = Signals.extensible()
            ShuntLog.bootstrap(configuration: configuration.log, named: name(of: kind, configuration))
            var process = ServerProcess(kind, options, configuration, add)
            do {
                try await process.start()
                try await process.serve(events)
            } catch {
                await process.stop()
                ShuntLog.flush()
                throw (error as? ShuntError).map(configuration.placed) ?? error
            }
        } catch let errors as ConfigurationErrors {
            throw fail(errors.errors)
        } catch let error as ShuntError {
            throw fail([error])
        }
    }

    private init(
        _ kind: Kind, _ options: ProcessOptions, _ configuration: Configuration, _ add: @escaping @Sendable (Signals.Event) -> Void
    ) {
        (next, self.add) = (configuration, add)
        self.kind = kind
        self.options = options
        self.configuration = configuration
        logger = Logger(label: kind.label)
        descriptors = .ofProcess(endpoints: kind == .dev ? 2 : 1)
    }

    /// A process that is both at once has neither name.
    private static func name(of kind: Kind, _ configuration: Configuration) -> LogProcess? {
        switch kind {
        case .dev: nil
        case .master: LogProcess(kind: "master", name: configuration.master.name)
        case .worker: LogProcess(kind: "worker", name: configuration.worker.name)
        }
    }

    /// Warns as the process itself would.
    private static func check(_ kind: Kind, _ configuration: Configuration) throws {
        ShuntLog.bootstrap(configuration: configuration.log, named: name(of: kind, configuration))
        defer { ShuntLog.flush() }
        let logger = Logger(label: kind.label)
        warn(of: configuration, logger)
        for warning in try ProcessSecrets(kind, configuration).warnings { logger.warning("\(warning)") }
        _ = try ClusterTLS(kind, configuration) { logger.warning("\($0)") }
        let rules = kind.hasWorker ? try Worker.check(configuration, besideMaster: kind == .dev) : nil
        let about =
            switch rules {
            case nil: ""
            case 0?: ", and enables no rules"
            case 1?: ", and its rule loads"
            case let count?: ", and its \(count) rules load"
            }
        print("The configuration is right\(about).")
        try CommandLineProcess.flushOutput()
    }

    private static func warn(of configuration: Configuration, _ logger: Logger) {
        for warning in configuration.warnings { logger.warning("\(warning)") }
    }

    // MARK: Life

    private mutating func start() async throws {
        Self.warn(of: configuration, logger)
        guard descriptors.limit >= fewestDescriptors else { throw tooFewDescriptors }
        let secrets = try ProcessSecrets(kind, configuration)
        for warning in secrets.warnings { logger.warning("\(warning)") }
        clusterTLS = try ClusterTLS(kind, configuration) { [logger] in logger.warning("\($0)") }
        if let own = secrets.master {
            let started = try await startMaster(own)
            master = started
            // The worker of the same process has one master, wherever it really listens.
            if kind == .dev, let address = HostPort(started.exchangeAddress) { configuration.worker.masters = [address] }
        }
        if kind.hasWorker {
            let boot = String(UInt64.random(in: 0...UInt64.max), radix: 36)
            let started = try Worker(
                configuration, clusterToken: secrets.cluster, clusterTLS: clusterTLS?.client, version: Shunt.version, boot: boot,
                descriptors: descriptors)
            worker = started
            for name in ProcessCommand.names {
                started.commands.set(name) { [add] arguments, done in ProcessCommand(name: name, arguments: arguments, done: done).submit(add) }
            }
            let http = configuration.worker.http.listen
            var endpoint = HTTPEndpoint.Configuration(host: http.host, port: http.port)
            endpoint.maximumConnections = descriptors.httpConnections
            endpoint.hosts = AllowedHosts(
                configuration.worker.http.hosts + [http.host, configuration.worker.advertise, ProcessEnvironment.hostName],
                key: "worker.http.hosts")
            do throws(ShuntError) {
                health = try await HealthServer.start(
                    endpoint, readiness: { started.readiness },
                    note: { started.note }, metrics: { started.metrics }, logger: Logger(label: "shunt.worker"))
            } catch {
                throw ShuntError(error.code, error.message, at: "worker.http.listen: \(error.location ?? "")", help: error.help)
            }
        }
        guard descriptors.room > 0 else { throw tooFewDescriptors }
        if let path = options.readyFile { try ReadyFile.write(to: path, process: kind.rawValue, listeners: listeners) }
        ProcessLimits.settle()
        try announce()
        tellRoomForClients()
        tellManager(.ready(status: Self.isServing))
    }

    private func startMaster(_ secrets: MasterSecrets) async throws(ShuntError) -> Master {
        do throws(ShuntError) {
            return try await Master.start(
                configuration, secrets: secrets, clusterTLS: clusterTLS?.server, peerTLS: clusterTLS?.client, version: Shunt.version,
                hostName: ProcessEnvironment.hostName, descriptors: descriptors, process: kind.hasWorker ? nil : perform, clock: wallClock)
        } catch {
            switch error.code {
            case .registryInvalid, .registryUnavailable, .registryReadOnly:
                throw configuration.placed(error, at: "master.registry.path")
            default: throw error
            }
        }
    }

    /// Has this process perform a command, after what it has been told before.
    private var perform: @Sendable (WorkerCommand) async -> Result<[UInt8], ShuntError> {
        { [add] command in
            await withCheckedContinuation { answer in
                ProcessCommand(name: command.name, arguments: command.arguments) { answer.resume(returning: $0) }.submit(add)
            }
        }
    }

    private mutating func serve(_ events: AsyncStream<Signals.Event>) async throws {
        for await event in events {
            switch event {
            case .reload: _ = reloadAsTold()
            case .command(let command): command.done(outcome(of: command))
            case .stop:
                tellManager(.stopping)
                logger.info("ending")
                await stop()
                ShuntLog.flush()
                return
            }
        }
    }

    private mutating func stop() async {
        if let path = options.readyFile { ReadyFile.removeOwn(path) }
        worker?.stop()
        await health?.stop()
        await master?.stop(name: configuration.master.name)
        (worker, health, master) = (nil, nil, nil)
    }

    private mutating func outcome(of command: ProcessCommand) -> Result<[UInt8], ShuntError> {
        switch command.name {
        case .configuration: return ProcessCommand.answer(SettingsRecord(running: configuration, next: next))
        case .reload: return reloadAsTold().flatMap { ProcessCommand.answer($0) }
        case .logLevels:
            do throws(ShuntError) {
                try (try? RecordJSON.decode(LogLevelRequest.self, from: command.arguments))?.apply()
                return ProcessCommand.answer(LogLevelsRecord(levels: ShuntLog.levels))
            } catch {
                return .failure(error)
            }
        default: return .failure(ShuntError(.requestUnsupported, "a process does not perform \(command.name.rawValue)"))
        }
    }

    private mutating func reloadAsTold() -> Result<ReloadRecord, ShuntError> {
        tellManager(.reloading)
        let outcome = reload()
        let isTaken = if case .success = outcome { true } else { false }
        tellManager(.ready(status: isTaken ? Self.isServing : Self.isServingAsBefore))
        return outcome
    }

    /// Reads the configuration again; a wrong one changes nothing.
    private mutating func reload() -> Result<ReloadRecord, ShuntError> {
        var errors: [ShuntError] = []
        do {
            var new = try options.load()
            Self.warn(of: new, logger)
            if new.hasLost(fileOf: configuration), let file = options.config {
                throw ShuntError(
                    .configMissing, "the file is empty, and was not before", at: file,
                    help: "signal again when it is written; {} stands for all defaults")
            }
            if kind == .dev { new.worker.masters = configuration.worker.masters }
            let secrets = try ProcessSecrets(kind, new)
            for warning in secrets.warnings { logger.warning("\(warning)") }
            let changes = Configuration.changes(from: configuration, to: new)
            let rules = try worker?.apply(new, isCancelled: { Signals.isStopRequested.load(ordering: .relaxed) })
            clusterTLS?.reload(logger)
            if let own = secrets.master { master?.apply(new, secrets: own) }
            ShuntLog.apply(new.log)
            for change in changes.live { logger.notice("changed", metadata: ["key": "\(change)"]) }
            for change in changes.restart {
                logger.warning("stays until the next start", metadata: ["key": "\(change)"])
            }
            configuration.takeLive(from: new)
            next = new
            func list(_ names: [String]) -> String { names.isEmpty ? "none" : names.joined(separator: ", ") }
            logger.notice(
                "read the configuration again",
                metadata: [
                    "changed": "\(changes.live.count)", "waiting for a restart": "\(changes.restart.count)",
                    "rules loaded anew": "\(list(rules?.anew ?? []))", "trials changed": "\(list(rules?.trials ?? []))",
                    "rules ended": "\(list(rules?.gone ?? []))",
                ])
            worker?.noteConfiguration(nil)
            return .success(ReloadRecord(changed: changes.live.map(\.description), waiting: changes.restart.map(\.description)))
        } catch let all as ConfigurationErrors {
            errors = all.errors
        } catch let error as ShuntError {
            errors = error.all
        } catch {
            errors = [ShuntError(.internalError, "\(error)")]
        }
        for error in errors { logger.error("the configuration stays as it was: \(error)") }
        worker?.noteConfiguration(errors.first)
        return .failure(errors.first ?? ShuntError(.configInvalid, "the configuration is wrong"))
    }

    // MARK: What it says

    private static let isServing = "serving"
    private static let isServingAsBefore = "serving; the new configuration is wrong and was not taken, the log says why"

    /// A manager that can't be told is no reason to end.
    private func tellManager(_ state: ServiceManager.State) {
        if let problem = ServiceManager.tell(state) { logger.warning("can't tell the service manager", metadata: ["why": "\(problem)"]) }
    }

    private var listeners: [(name: String, address: String)] {
        var all: [(name: String, address: String)] = []
        if let master { all += [("master.exchange", master.exchangeAddress), ("master.admin", master.adminAddress)] }
        if let worker {
            all += worker.listeners.sorted { $0.key < $1.key }.map { ("worker.\($0.key)", $0.value) }
        }
        if let health { all.append(("worker.http", HostPort(health.host, health.port).description)) }
        return all
    }

    /// One screen for a person at a terminal; a log line for everyone else.
    private func announce() throws(ShuntError) {
        var about: Logger.Metadata = ["version": "\(Shunt.version)", "configuration": "\(options.config ?? "none")"]
        if kind.hasMaster { about["master"] = "\(configuration.master.name)" }
        if kind.hasWorker { (about["worker"], about["rules"]) = ("\(configuration.worker.name)", "\(ruleNames)") }
        logger.info("started", metadata: about)
        master?.announce(name: configuration.master.name)
        for listener in listeners { logger.info("listening", metadata: ["name": "\(listener.name)", "address": "\(listener.address)"]) }
        guard kind == .dev, let master, let worker else { return }
        print(Welcome.text(configuration, master: master, worker: worker, health: health.map { HostPort($0.host, $0.port).description } ?? ""))
        try CommandLineProcess.flushOutput()
    }

    /// The system may allow fewer clients than the configuration.
    private func tellRoomForClients() {
        let (room, wanted) = (descriptors.room, configuration.limits.connections)
        guard room < wanted else { return }
        // The default is as high as a machine may allow, and says nothing about how many clients there will be.
        let isChosen = wanted != Configuration.Limits().connections
        logger.log(
            level: isChosen || room < Self.fewClients ? .warning : .info, "the system allows fewer clients than limits.connections",
            metadata: ["clients": "\(room)", "limit": "\(descriptors)", "help": "\(DescriptorBudget.remedy)"])
    }

    /// The descriptors that the process opens at its start, and some more: a library ends the process if there are too few.
    private var fewestDescriptors: Int { 48 + (kind.hasWorker ? 3 * Worker.loopCount(configuration) : 0) }

    private var tooFewDescriptors: ShuntError {
        ShuntError(
            .descriptorLimit, "the system allows \(descriptors.limit) file descriptors, which leaves none for clients",
            help: DescriptorBudget.remedy)
    }

    /// Fewer clients than this cause a warning.
    private static let fewClients = 4000

    /// The names of the rules that run: those of their folders.
    private var ruleNames: String {
        let names = worker?.ruleNames ?? []
        return names.isEmpty ? "none" : names.joined(separator: ", ")
    }
}
