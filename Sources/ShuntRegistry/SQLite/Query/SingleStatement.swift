import GRDBSQLite
import ShuntCore

/// One prepared statement that reads. It does not outlive the connection it was prepared on.
struct SingleStatement: ~Copyable {
    private let statement: OpaquePointer
    private let connection: OpaquePointer
    private let queryGuard: QueryGuard
    private let sql: String

    /// Throws `query.invalid` unless `sql` is exactly one statement, `registry.read_only` unless it only reads.
    init(_ sql: String, on connection: OpaquePointer, watchedBy queryGuard: QueryGuard) throws(ShuntError) {
        let (prepared, rest) = try Self.prepare(sql, from: 0, on: connection, watchedBy: queryGuard)
        guard let prepared else {
            throw ShuntError(.queryInvalid, "there is no statement", help: "give one, such as SELECT name, state FROM workers")
        }
        do throws(ShuntError) {
            try Self.refuseMore(sql, from: rest, on: connection, watchedBy: queryGuard)
            guard sqlite3_stmt_readonly(prepared) != 0 else { throw Self.readOnly("the statement") }
        } catch {
            sqlite3_finalize(prepared)
            throw error
        }
        statement = prepared
        self.connection = connection
        self.queryGuard = queryGuard
        self.sql = sql
    }

    deinit {
        sqlite3_finalize(statement)
    }

    func fetch() throws(ShuntError) -> QueryResult {
        let count = sqlite3_column_count(statement)
        let columns = (0..<count).map { index in sqlite3_column_name(statement, index).map { String(cString: $0) } ?? "" }
        var result = QueryResult(columns: columns, rows: [], truncated: false)
        var bytes = 0
        while true {
            let code = sqlite3_step(statement)
            guard code == SQLITE_ROW else {
                if code == SQLITE_DONE { return result }
                throw Self.failure(on: connection, in: sql, from: 0, watchedBy: queryGuard)
            }
            guard result.rows.count < ReadOnlyQuery.maximumRows, bytes < ReadOnlyQuery.maximumBytes else {
                result.truncated = true
                return result
            }
            result.rows.append((0..<count).map { value($0, counting: &bytes) })
        }
    }

    private func value(_ index: Int32, counting bytes: inout Int) -> QueryValue {
        bytes += 16
        switch sqlite3_column_type(statement, index) {
        case SQLITE_INTEGER:
            return .integer(sqlite3_column_int64(statement, index))
        case SQLITE_FLOAT:
            let value = sqlite3_column_double(statement, index)
            return value.isFinite ? .real(value) : .text(value < 0 ? "-inf" : "inf")
        case SQLITE_TEXT:
            let text = sqlite3_column_text(statement, index)
            let length = Int(sqlite3_column_bytes(statement, index))
            bytes += length
            return .text(String(decoding: UnsafeBufferPointer(start: text, count: text == nil ? 0 : length), as: UTF8.self))
        case SQLITE_BLOB:
            let blob = sqlite3_column_blob(statement, index)
            let length = Int(sqlite3_column_bytes(statement, index))
            bytes += length
            return .blob(Array(UnsafeRawBufferPointer(start: blob, count: blob == nil ? 0 : length)))
        default:
            return .null
        }
    }

    /// The statement that begins at the byte `from`, nil where only blanks and comments are left, and where what follows begins.
    private static func prepare(
        _ sql: String, from start: Int, on connection: OpaquePointer, watchedBy queryGuard: QueryGuard
    ) throws(ShuntError) -> (statement: OpaquePointer?, rest: Int) {
        var statement: OpaquePointer?
        var sql = sql
        let (code, rest) = sql.withUTF8 { bytes in
            bytes.withMemoryRebound(to: CChar.self) { text in
                guard let base = text.baseAddress else { return (SQLITE_OK, start) }
                var tail: UnsafePointer<CChar>?
                let code = sqlite3_prepare_v2(connection, base + start, Int32(text.count - start), &statement, &tail)
                return (code, tail.map { $0 - base } ?? text.count)
            }
        }
        guard code == SQLITE_OK else { throw failure(on: connection, in: sql, from: start, watchedBy: queryGuard) }
        return (statement, rest)
    }

    private static func refuseMore(
        _ sql: String, from start: Int, on connection: OpaquePointer, watchedBy queryGuard: QueryGuard
    ) throws(ShuntError) {
        var position = start
        let end = sql.utf8.count
        while position < end {
            let more: OpaquePointer?
            let rest: Int
            do {
                (more, rest) = try prepare(sql, from: position, on: connection, watchedBy: queryGuard)
            } catch {
                throw tooMany(sql, position)
            }
            if more != nil {
                sqlite3_finalize(more)
                throw tooMany(sql, position)
            }
            guard rest > position else { return }
            position = rest
        }
    }

    private static func tooMany(_ sql: String, _ position: Int) -> ShuntError {
        ShuntError(
            .queryInvalid, "there is more than one statement", at: place(position, in: sql), help: "send them one at a time")
    }

    private static func readOnly(_ what: String) -> ShuntError {
        ShuntError(
            .registryReadOnly, "queries may only read, and \(what) does more",
            help: "the master alone writes the registry; use SELECT")
    }

    private static func failure(
        on connection: OpaquePointer, in sql: String, from start: Int, watchedBy queryGuard: QueryGuard
    ) -> ShuntError {
        if let refused = queryGuard.refused { return readOnly(refused) }
        if let function = queryGuard.refusedFunction {
            return ShuntError(
                .registryReadOnly, "queries may not call the function \(function)()",
                help: "it does more than read, or one call of it can take too long; change texts and JSON with other tools")
        }
        switch queryGuard.ended {
        case .none: break
        case .late: return QueryLanes.late
        case .stopped: return QueryLanes.stopped
        }
        if let costly = queryGuard.costly { return ShuntError(.queryLimit, costly, help: "give it less, or do that with another tool") }
        let code = sqlite3_errcode(connection) & 0xFF
        let said = String(cString: sqlite3_errmsg(connection))
        switch code {
        case SQLITE_READONLY: return readOnly("the statement")
        case SQLITE_NOMEM:
            return ShuntError(
                .queryLimit, "the query takes more memory, or compiles to more instructions, than it may",
                help: "write a shorter one: less columns, terms or listed values")
        case SQLITE_BUSY, SQLITE_LOCKED:
            return ShuntError(.registryUnavailable, "the registry is locked", help: "ask again in a moment")
        case SQLITE_CORRUPT, SQLITE_NOTADB: return ShuntError(.registryInvalid, "the registry is damaged: \(said)")
        case _ where said.hasSuffix("may not be modified"): return readOnly("the statement")
        default:
            let offset = Int(sqlite3_error_offset(connection))
            return ShuntError(
                .queryInvalid, said, at: offset < 0 ? nil : place(start + offset, in: sql),
                help: "list the tables with SELECT name, sql FROM sqlite_schema")
        }
    }

    /// `line 1, column 8` of a byte offset, columns in characters.
    private static func place(_ offset: Int, in sql: String) -> String {
        let before = String(decoding: sql.utf8.prefix(offset), as: UTF8.self)
        let lines = before.split(separator: "\n", omittingEmptySubsequences: false)
        return "line \(max(lines.count, 1)), column \((lines.last?.count ?? 0) + 1)"
    }
}
