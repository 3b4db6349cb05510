import Dispatch
import GRDBSQLite
import ShuntCore
import Synchronization

/// Runs an operator's SQL on a connection of its own that can only read, with caps on everything.
///
/// It goes to SQLite directly, since GRDB keeps the authorizer for itself. Three things each suffice against writing:
/// the connection is opened read-only, its authorizer allows reading alone, and the statement must say that it is read-only.
final class ReadOnlyQuery: Sendable {
    static let maximumRows = 10_000
    static let maximumBytes = 8 << 20
    static let maximumStatementLength = 64 << 10
    static let maximumValueLength = 256 << 10
    static let maximumWaiting = 16
    static let timeLimit: Duration = .seconds(5)

    private let file: RegistryFile
    private let timeLimit: Duration
    private let queue = DispatchQueue(label: "shunt.registry.query")
    private let waiting = Mutex(0)

    init(file: RegistryFile, timeLimit: Duration = ReadOnlyQuery.timeLimit) {
        self.file = file
        self.timeLimit = timeLimit
    }

    func run(_ sql: String) async throws(ShuntError) -> QueryResult {
        let isFree = waiting.withLock { waiting in
            guard waiting < Self.maximumWaiting else { return false }
            waiting += 1
            return true
        }
        guard isFree else {
            throw ShuntError(
                .registryUnavailable, "\(Self.maximumWaiting) queries are waiting already", help: "ask again in a moment")
        }
        defer { waiting.withLock { $0 -= 1 } }
        let result: Result<QueryResult, ShuntError> = await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: Result { () throws(ShuntError) in try self.runNow(sql) }) }
        }
        return try result.get()
    }

    private func runNow(_ sql: String) throws(ShuntError) -> QueryResult {
        guard !sql.utf8.contains(0) else { throw ShuntError(.queryInvalid, "the SQL holds a NUL", help: "take it out") }
        guard sql.utf8.count <= Self.maximumStatementLength else {
            throw ShuntError(.queryInvalid, "the SQL is longer than \(Self.maximumStatementLength) bytes", help: "write less")
        }
        try file.check()
        let queryGuard = QueryGuard(deadline: .now + timeLimit)
        // The guard is called through an unretained pointer until the connection has gone.
        return try withExtendedLifetime(queryGuard) { () throws(ShuntError) in
            let connection = try open()
            defer { sqlite3_close(connection) }
            queryGuard.watch(connection)
            return try fetch(sql, on: connection, watchedBy: queryGuard)
        }
    }

    /// A function of its own, so that the statement has gone when the connection is closed: SQLite refuses otherwise.
    private func fetch(
        _ sql: String, on connection: OpaquePointer, watchedBy queryGuard: QueryGuard
    ) throws(ShuntError) -> QueryResult {
        let statement = try SingleStatement(sql, on: connection, watchedBy: queryGuard)
        return try statement.fetch()
    }

    private func open() throws(ShuntError) -> OpaquePointer {
        var handle: OpaquePointer?
        let flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI | SQLITE_OPEN_EXRESCODE
        let code = sqlite3_open_v2(file.readablePath, &handle, flags, nil)
        guard code == SQLITE_OK, let handle else {
            let said = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            sqlite3_close(handle)
            throw ShuntError(.registryUnavailable, "the registry cannot be opened: \(said)", at: file.path)
        }
        sqlite3_busy_timeout(handle, 2_000)
        sqlite3_exec(handle, "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF", nil, nil, nil)
        let limits: [(Int32, Int)] = [
            (SQLITE_LIMIT_LENGTH, Self.maximumValueLength), (SQLITE_LIMIT_SQL_LENGTH, Self.maximumStatementLength),
            (SQLITE_LIMIT_COLUMN, 200), (SQLITE_LIMIT_EXPR_DEPTH, 100), (SQLITE_LIMIT_COMPOUND_SELECT, 50),
            (SQLITE_LIMIT_ATTACHED, 0), (SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 200), (SQLITE_LIMIT_WORKER_THREADS, 0),
        ]
        for (limit, value) in limits { sqlite3_limit(handle, limit, Int32(value)) }
        return handle
    }
}
