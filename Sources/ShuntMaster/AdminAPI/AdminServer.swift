public import Logging
public import ShuntCore
public import ShuntHTTP
public import ShuntRegistry

/// What an operator does about a ban.
public enum BanChange: Equatable, Sendable {
    case ban(Ban)
    case unban(BanSubject)
}

/// What an operator does about which master serves.
public enum RoleChange: String, Equatable, Sendable {
    case stepDown = "step-down"
    case serve
}

/// The master's face for operators and their programs: JSON under `/api/v1`.
///
/// Keys are snake_case, times seconds since 1970, errors `application/problem+json` with a `code` from ``ErrorCode``.
/// More commands get files of routes beside ``AdminRoutes``; ``DashboardRoutes`` is the page; who may ask is decided by the
/// configuration's `HTTPAuthority`, before any route.
public enum AdminServer {
    /// Has the worker of the chat of that id close it; gives why it can't be closed. Called on none of the caller's threads.
    public typealias CloseChat = @Sendable (String) async -> ShuntError?

    /// Bans somebody or lifts a ban, and gives the workers that have not confirmed it, or why it can't. Called on none of the caller's threads.
    public typealias ChangeBan = @Sendable (BanChange) async -> Result<[String], ShuntError>

    /// Asks all workers for retained messages, or has them clear some. Called on none of the caller's threads.
    public typealias AskRetained = @Sendable (RetainedRequest) async -> Result<RetainedOutcome, ShuntError>

    /// Asks all workers for clients that they have refused. Called on none of the caller's threads.
    public typealias AskRefused = @Sendable (RefusedQuery) async -> Result<RefusedList, ShuntError>

    /// Has workers do something, and gives their answers. Called on none of the caller's threads.
    public typealias CommandWorkers = @Sendable (WorkerCommand) async -> Result<WorkerAnswers, ShuntError>

    /// Tells a worker of message-channel how many connections it should have, and gives why it can't. Called on none of the caller's threads.
    public typealias BalanceWorker = @Sendable (_ worker: String, _ connections: Int) async -> ShuntError?

    /// Has the master's own process do what it does as workers' processes do. Called on none of the caller's threads.
    public typealias CommandProcess = @Sendable (WorkerCommand) async -> Result<[UInt8], ShuntError>

    /// Has this master make way for another, or serve; gives why it can't. Called on none of the caller's threads.
    public typealias ChangeRole = @Sendable (RoleChange) async -> ShuntError?

    /// Has the registry's file written anew.
    public typealias VacuumRegistry = @Sendable () async -> Result<RegistryVacuum, ShuntError>
    /// What the master knows of its workers at this moment, which the registry says later. Called on none of the caller's threads.
    public typealias KnownWorkers = @Sendable () async -> Result<[WorkerRecord], ShuntError>

    /// Has the registry written all that has happened, and gives why that takes too long. Called on none of the caller's threads.
    public typealias SettleRegistry = @Sendable () async -> ShuntError?

    /// Told of each command: the name of the one who gave it, what it was, and why it was refused, if it was.
    public typealias RecordCommand = @Sendable (_ caller: String?, _ command: String, _ refusal: ShuntError?) -> Void

    /// Returns once it listens. `status` is called for each request for it, on none of the caller's threads.
    /// - Parameters:
    ///   - workers: nil: those of the registry.
    ///   - feed: what tells followers of events; nil: one that looks at the registry now and then.
    public static func start(
        _ configuration: HTTPEndpoint.Configuration, registry: any RegistryReader, status: @escaping @Sendable () -> MasterStatus,
        readiness: @escaping HealthServer.Readiness = { nil }, note: @escaping HealthServer.Note = { nil },
        metrics: @escaping @Sendable () -> String = { "" },
        closeChat: @escaping CloseChat = ShuntError.unknownChat,
        changeBan: @escaping ChangeBan = { _ in .failure(ShuntError(.connectionLost, "no master is there to ban anybody")) },
        retained: @escaping AskRetained = AdminServer.nobody,
        refused: @escaping AskRefused = { _ in .failure(AdminServer.noWorker) },
        command: @escaping CommandWorkers = { _ in .failure(AdminServer.noWorker) },
        balance: @escaping BalanceWorker = { _, _ in AdminServer.noWorker },
        changeRole: @escaping ChangeRole = { _ in ShuntError(.requestUnsupported, "this master has no peers: it serves always") },
        vacuum: @escaping VacuumRegistry = { .failure(ShuntError(.registryReadOnly, "no master is there to write the registry")) },
        workers: KnownWorkers? = nil, settle: @escaping SettleRegistry = { nil }, process: CommandProcess? = nil,
        record: @escaping RecordCommand = { _, _, _ in }, feed: EventFeed? = nil, logger: Logger
    ) async throws(ShuntError) -> HTTPEndpoint {
        let routes =
            AdminRoutes(registry: registry, status: status).all
            + [EventStreamRoutes(registry: registry, feed: feed ?? EventFeed(registry, limit: configuration.maximumConnections)).follow]
            + SessionRoutes(registry: registry, closeChat: closeChat, record: record).all
            + HistoryRoutes(registry: registry, now: { status().now }).all
            + BanRoutes(registry: registry, change: changeBan, record: record, now: { status().now }).all
            + RetainedRoutes(ask: retained, record: record).all + [RefusedRoutes.list(refused)]
            + ClientRoutes(registry: registry, command: command, record: record).all
            + SubscriptionRoutes(command: command).all + [ConditionRoutes(command: command).list]
            + DrainRoutes(
                registry: registry, workers: workers ?? recorded(registry), command: command, balance: balance, record: record
            ).all
            + ProcessRoutes(command: command, own: process, record: record).all
            + RuleRoutes(command: command, record: record).all
            + ExplainRoutes(command: command, record: record).all
            + RegistryRoutes(registry: registry, vacuum: vacuum, record: record).all
            + RoleRoutes(status: status, change: changeRole, record: record).all
        let notes = AnswerNotes(status: status, settle: settle)
        let health = HealthServer.routes(readiness: readiness, note: note) + [HealthServer.metricsRoute(metrics)]
        let described = AdminContract.described(routes.map(notes.added) + health)
        return try await HTTPEndpoint.start(described + DashboardRoutes.all, configuration, logger: logger)
    }

    private static func recorded(_ registry: any RegistryReader) -> KnownWorkers {
        {
            do throws(ShuntError) {
                return .success(try await registry.workers())
            } catch {
                return .failure(error)
            }
        }
    }

    /// The answer where no master's loop is there to ask.
    public static let nobody: AskRetained = { _ in .failure(noWorker) }
    public static let noWorker = ShuntError(.connectionLost, "no worker is connected to this master")
}
