import GRDBSQLite

// Unsafe: SQLite hands back, uncounted, the object that was given to it, which outlives the statement.

/// Watches one statement: what it asks to do, and whether it is to end. SQLite calls it from inside.
final class QueryGuard {
    /// Reading alone: all other pragmas write, or change how the connection works.
    private static let readingPragmas: Set<String> = [
        "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list",
        "database_list", "compile_options", "function_list", "quick_check", "integrity_check",
    ]
    /// Reading where no value is given.
    private static let readableSettings: Set<String> = [
        "application_id", "user_version", "schema_version", "page_count", "page_size", "freelist_count", "journal_mode",
        "encoding", "auto_vacuum",
    ]

    private let interrupt: QueryInterrupt
    /// The first thing that the statement asked for and may not do.
    private(set) var refused: String?
    /// The first function that it asked for and that no query may call.
    private(set) var refusedFunction: String?
    /// Why a call of a function was refused: it could take too long.
    private(set) var costly: String?

    init(_ interrupt: QueryInterrupt) {
        self.interrupt = interrupt
    }

    /// Why the statement was ended.
    var ended: QueryInterrupt.Reason { interrupt.reason }

    var mayGoOn: Bool { interrupt.reason == .none }

    func refuse(costly reason: String) {
        if costly == nil { costly = reason }
    }

    /// Makes `connection` ask this guard. The guard must outlive the connection.
    func watch(_ connection: OpaquePointer) {
        let context = Unmanaged.passUnretained(self).toOpaque()
        sqlite3_set_authorizer(
            connection,
            { context, action, first, second, _, _ in
                guard let context else { return SQLITE_DENY }
                let queryGuard = Unmanaged<QueryGuard>.fromOpaque(context).takeUnretainedValue()
                return queryGuard.authorize(action, first.map { String(cString: $0) }, second.map { String(cString: $0) })
            }, context)
        sqlite3_progress_handler(
            connection, 100,
            { context in
                guard let context else { return 1 }
                return Unmanaged<QueryGuard>.fromOpaque(context).takeUnretainedValue().mayGoOn ? 0 : 1
            }, context)
    }

    private func authorize(_ action: Int32, _ first: String?, _ second: String?) -> Int32 {
        switch action {
        case SQLITE_SELECT, SQLITE_READ, SQLITE_RECURSIVE: return SQLITE_OK
        // What SQLite asks when a table-valued function (json_each, pragma_table_info) is first used. A true update of the
        // schema table is refused by SQLite itself.
        case SQLITE_UPDATE where first == "sqlite_master": return SQLITE_OK
        case SQLITE_FUNCTION where AllowedFunctions.all.contains(second?.lowercased() ?? ""): return SQLITE_OK
        case SQLITE_FUNCTION:
            if refusedFunction == nil { refusedFunction = second ?? "" }
            return SQLITE_DENY
        case SQLITE_PRAGMA where mayRun(pragma: first?.lowercased() ?? "", hasValue: second != nil): return SQLITE_OK
        default:
            if refused == nil { refused = Self.name(action, first, second) }
            return SQLITE_DENY
        }
    }

    private func mayRun(pragma: String, hasValue: Bool) -> Bool {
        Self.readingPragmas.contains(pragma) || (!hasValue && Self.readableSettings.contains(pragma))
    }

    private static func name(_ action: Int32, _ first: String?, _ second: String?) -> String {
        let subject = first.map { " \($0)" } ?? ""
        return switch action {
        case SQLITE_INSERT: "INSERT INTO" + subject
        case SQLITE_UPDATE: "UPDATE" + subject
        case SQLITE_DELETE: "DELETE FROM" + subject
        case SQLITE_ATTACH: "ATTACH"
        case SQLITE_DETACH: "DETACH"
        case SQLITE_PRAGMA: "PRAGMA" + subject + (second.map { " = \($0)" } ?? "")
        case SQLITE_TRANSACTION, SQLITE_SAVEPOINT: "a transaction"
        case SQLITE_ALTER_TABLE: "ALTER TABLE" + (second.map { " \($0)" } ?? "")
        case SQLITE_REINDEX, SQLITE_ANALYZE: "maintenance"
        default: "a change of the schema"
        }
    }
}
