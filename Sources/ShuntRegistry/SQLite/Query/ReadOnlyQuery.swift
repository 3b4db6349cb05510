import GRDBSQLite
import ShuntCore

/// Runs an operator's SQL on a connection of its own that can only read, with caps on everything.
///
/// It goes to SQLite directly, since GRDB keeps the authorizer for itself. Three things each suffice against writing:
/// the connection is opened read-only, its authorizer allows reading alone, and the statement must say that it is read-only.
final class ReadOnlyQuery: Sendable {
    static let maximumRows = 10_000
    static let maximumBytes = 8 << 20
    static let maximumStatementLength = 64 << 10
    /// Bytes of a text or blob: what one step of SQLite may work on. A device's labels need less than half.
    static let maximumValueLength = 128 << 10
    /// Instructions that a statement compiles to: SQLite looks at the time between two jumps, not between two instructions.
    static let maximumInstructions = 20_000

    private let file: RegistryFile
    private let lanes: QueryLanes

    init(file: RegistryFile, limits: QueryLanes.Limits = .init()) {
        self.file = file
        lanes = QueryLanes(limits)
    }

    func run(_ sql: String) async throws(ShuntError) -> QueryResult {
        guard !sql.utf8.contains(0) else { throw ShuntError(.queryInvalid, "the SQL holds a NUL", help: "take it out") }
        guard sql.utf8.count <= Self.maximumStatementLength else {
            throw ShuntError(.queryInvalid, "the SQL is longer than \(Self.maximumStatementLength) bytes", help: "write less")
        }
        guard QueryExpansion.estimate(sql) != nil else {
            throw ShuntError(
                .queryLimit, "the query's common table expressions make more than \(QueryExpansion.maximum) SELECTs of it",
                help: "name each of them less often, or use less than \(QueryExpansion.maximumExpressions)")
        }
        return try await lanes.run { [file] interrupt in
            Result { () throws(ShuntError) in try Self.runNow(sql, file, interrupt) }
        }
    }

    /// Ends what runs, refuses what waits and what comes.
    func stop() { lanes.stop() }

    private static func runNow(
        _ sql: String, _ file: RegistryFile, _ interrupt: QueryInterrupt
    ) throws(ShuntError) -> QueryResult {
        try file.check()
        let queryGuard = QueryGuard(interrupt)
        let functions = GuardedFunctions(queryGuard)
        // Both are called through unretained pointers until the connection has gone.
        return try withExtendedLifetime((queryGuard, functions)) { () throws(ShuntError) in
            let connection = try open(file)
            interrupt.opened(connection)
            defer {
                interrupt.closing()
                sqlite3_close(connection)
            }
            functions.replace(on: connection)
            queryGuard.watch(connection)
            return try fetch(sql, on: connection, watchedBy: queryGuard)
        }
    }

    /// A function of its own, so that the statement has gone when the connection is closed: SQLite refuses otherwise.
    private static func fetch(
        _ sql: String, on connection: OpaquePointer, watchedBy queryGuard: QueryGuard
    ) throws(ShuntError) -> QueryResult {
        let statement = try SingleStatement(sql, on: connection, watchedBy: queryGuard)
        return try statement.fetch()
    }

    private static func open(_ file: RegistryFile) throws(ShuntError) -> OpaquePointer {
        var handle: OpaquePointer?
        let flags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI | SQLITE_OPEN_EXRESCODE
        let code = sqlite3_open_v2(try file.readablePath(), &handle, flags, nil)
        guard code == SQLITE_OK, let handle else {
            let said = handle.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
            sqlite3_close(handle)
            throw ShuntError(.registryUnavailable, "the registry cannot be opened: \(said)", at: file.path)
        }
        sqlite3_busy_timeout(handle, 2_000)
        sqlite3_exec(handle, "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF", nil, nil, nil)
        let limits: [(Int32, Int)] = [
            (SQLITE_LIMIT_LENGTH, maximumValueLength), (SQLITE_LIMIT_SQL_LENGTH, maximumStatementLength),
            (SQLITE_LIMIT_COLUMN, 200), (SQLITE_LIMIT_EXPR_DEPTH, 100), (SQLITE_LIMIT_COMPOUND_SELECT, 50),
            (SQLITE_LIMIT_ATTACHED, 0), (SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 100), (SQLITE_LIMIT_WORKER_THREADS, 0),
            (SQLITE_LIMIT_VDBE_OP, maximumInstructions),
        ]
        for (limit, value) in limits { sqlite3_limit(handle, limit, Int32(value)) }
        return handle
    }
}
