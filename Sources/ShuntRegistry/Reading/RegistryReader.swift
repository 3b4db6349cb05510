import ShuntCore

/// Reads the registry, and never writes. Never waits on the caller's thread.
///
/// Any reading throws `registry.unavailable` or `registry.invalid` where the registry can't be read.
public protocol RegistryReader: Sendable {
    /// Where the registry is, as people know it.
    var path: String { get }

    /// All workers, by name. For the master's start.
    func workers() async throws(ShuntError) -> [WorkerRecord]

    /// A page of workers, by name. A page beyond the end is empty.
    func workers(_ query: WorkerQuery) async throws(ShuntError) -> WorkerPage

    /// The worker of that name, or whose `host:port` it is, or the only one that its operator calls so, or the only one on that
    /// host, or the only one whose name begins so.
    ///
    /// Throws `worker.unknown`, also where several are meant: the error's help lists them.
    func worker(_ name: String) async throws(ShuntError) -> WorkerRecord

    /// Events, oldest first: the newest ones, or those that follow `after`.
    func events(_ query: EventQuery) async throws(ShuntError) -> EventPage

    func counts() async throws(ShuntError) -> RegistryCounts

    /// All device sessions, offline ones too, by uid and device. For the master's start.
    func devices() async throws(ShuntError) -> [DeviceRecord]

    /// A page of device sessions, by uid and device. A page beyond the end is empty.
    func devices(_ query: DeviceSessionQuery) async throws(ShuntError) -> DevicePage

    /// All chats, by id. For the master's start.
    func chats() async throws(ShuntError) -> [ChatRecord]

    /// A page of chats, by id. A page beyond the end is empty.
    func chats(_ query: ChatQuery) async throws(ShuntError) -> ChatPage

    /// The chat of that id. Throws `chat.unknown` where there is none.
    func chat(_ id: String) async throws(ShuntError) -> ChatRecord

    /// A page of clients, by name, worker and session. A page beyond the end is empty.
    func clients(_ query: ClientQuery) async throws(ShuntError) -> ClientPage

    /// A worker's figures over time, or those of all together.
    func history(_ query: HistoryQuery) async throws(ShuntError) -> HistoryDocument

    /// The workers' points of the steps that are not over. For the master's start.
    /// - Parameter now: seconds since 1970.
    func openHistory(now: Double) async throws(ShuntError) -> [HistoryPoint]

    /// All bans, by subject. For the master's start.
    func bans() async throws(ShuntError) -> [Ban]

    /// A page of bans, by subject. A page beyond the end is empty.
    func bans(limit: Int, offset: Int) async throws(ShuntError) -> BanPage

    /// Looks at all of the file.
    func check() async throws(ShuntError) -> RegistryCheck

    /// What one reading SQL statement gives, at most 10,000 rows and 8 MiB, within 5 seconds.
    ///
    /// Throws `registry.read_only` for a statement that would do more than read, `query.invalid` with the database's message and
    /// the place for one that is wrong, `query.limit` for one that takes too long, `registry.unavailable` where others take
    /// long or queries are stopped.
    func query(_ sql: String) async throws(ShuntError) -> QueryResult

    /// Ends queries that run and refuses those that wait or come, so that a process can end. Other reading goes on.
    func stopQueries()
}

extension RegistryReader {
    /// All sessions of a uid, the first ``DeviceSessionQuery/maximumLimit`` of them. Throws `device.unknown` where there is none.
    public func device(_ uid: String) async throws(ShuntError) -> DevicePage {
        let page = try await devices(DeviceSessionQuery(uid: uid, limit: DeviceSessionQuery.maximumLimit))
        guard page.total > 0 else {
            throw ShuntError(
                .deviceUnknown, "there is no device of the uid '\(uid)'", help: "list them with `shunt admin devices`")
        }
        return page
    }
}

extension ShuntError {
    /// There is no chat of that id.
    public static func unknownChat(_ id: String) -> ShuntError {
        ShuntError(.chatUnknown, "there is no chat '\(id)'", help: "list them with `shunt admin chats`")
    }
}
