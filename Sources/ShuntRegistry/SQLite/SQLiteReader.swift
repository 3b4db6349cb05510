import Dispatch
import GRDB
import ShuntCore

/// Reads a registry's file: beside the master's writer, or straight from the file, whether a master has it open, has closed it, or was
/// killed.
///
/// SQLite runs on queues of its own, never on the caller's thread.
struct SQLiteReader: RegistryReader {
    private enum Access: Sendable {
        case pool(DatabasePool)
        /// Opened anew for each reading: a master may start, stop or be replaced between two.
        case file
    }

    private static let fileQueue = DispatchQueue(label: "shunt.registry.reader")

    private let file: RegistryFile
    private let access: Access
    private let statements: ReadOnlyQuery

    init(pool: DatabasePool, path: String) {
        file = RegistryFile(opened: path)
        access = .pool(pool)
        statements = ReadOnlyQuery(file: file)
    }

    /// Throws what ``Registry/openReader(path:)`` throws.
    init(path: String) throws(ShuntError) {
        file = try RegistryFile(path)
        try file.check()
        access = .file
        statements = ReadOnlyQuery(file: file)
    }

    var path: String { file.path }

    func check() async throws(ShuntError) -> RegistryCheck {
        try await read { db in RegistryCheck(path: path, bytes: try RegistryFile.bytes(db), faults: try RegistryFile.faults(db)) }
    }

    func workers() async throws(ShuntError) -> [WorkerRecord] {
        try await read { db in
            try Row.fetchAll(db, sql: "SELECT * FROM workers ORDER BY name").map(WorkerColumns.record)
        }
    }

    func workers(_ query: WorkerQuery) async throws(ShuntError) -> WorkerPage {
        let limit = min(max(query.limit, 0), WorkerQuery.maximumLimit)
        let offset = max(query.offset, 0)
        return try await read { db in
            let total = try Int.fetchOne(
                db, sql: "SELECT count(*) FROM workers WHERE state = coalesce(?, state)", arguments: [query.state?.rawValue])
            let rows = try Row.fetchAll(
                db, sql: "SELECT * FROM workers WHERE state = coalesce(?, state) ORDER BY name LIMIT ? OFFSET ?",
                arguments: [query.state?.rawValue, limit, offset])
            return WorkerPage(workers: try rows.map(WorkerColumns.record), total: total ?? 0, offset: offset, limit: limit)
        }
    }

    func worker(_ name: String) async throws(ShuntError) -> WorkerRecord {
        try await read { db in
            let hasNames = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0 >= RegistrySchema.withWorkerNames
            var ways = [
                (sql: "name = ?1 OR host || ':' || port = ?1 ORDER BY name <> ?1 LIMIT 1", what: "are called"),
                (sql: "host = ?1 ORDER BY name LIMIT 6", what: "are on the host"),
                (sql: "substr(name, 1, length(?1)) = ?1 ORDER BY name LIMIT 6", what: "have a name that begins with"),
            ]
            if hasNames {
                ways.insert((sql: "configured_name = ?1 ORDER BY name LIMIT 6", what: "are called"), at: 1)
                ways.append(
                    (sql: "substr(configured_name, 1, length(?1)) = ?1 ORDER BY name LIMIT 6", what: "are called by what begins with"))
            }
            for (sql, what) in ways where !name.isEmpty {
                let rows = try Row.fetchAll(db, sql: "SELECT * FROM workers WHERE " + sql, arguments: [name])
                guard let first = rows.first else { continue }
                guard rows.count > 1 else { return try WorkerColumns.record(first) }
                // One that has come back at another port is meant, rather than what it was before.
                let present = try rows.map(WorkerColumns.record).filter { !$0.state.isAway }
                if present.count == 1, rows.count < 6 { return present[0] }
                let names = try rows.prefix(5).map { try $0.decode(String.self, forColumn: "name") }.joined(separator: ", ")
                throw ShuntError(
                    .workerUnknown, "more than one worker: \(rows.count > 5 ? "more than 5" : "\(rows.count)") \(what) '\(name)'",
                    help: "give one of these, as host:port: " + names + (rows.count > 5 ? ", …" : ""))
            }
            throw ShuntError(
                .workerUnknown, "there is no worker '\(name)'",
                help: "give its host:port or its worker.name, of which the beginning is enough; list them with `shunt admin workers`")
        }
    }

    func events(_ query: EventQuery) async throws(ShuntError) -> EventPage {
        let limit = min(max(query.limit, 0), EventQuery.maximumLimit)
        return try await read { db in
            let rows = try Row.fetchAll(
                db,
                sql: """
                    SELECT * FROM events
                    WHERE id > ? AND at >= coalesce(?, at) AND kind = coalesce(?, kind)
                    ORDER BY id \(query.after == nil ? "DESC" : "ASC") LIMIT ?
                    """,
                arguments: [query.after ?? 0, query.since, query.kind?.rawValue, limit])
            let events = try rows.map { row in
                StoredEvent(
                    id: try row.decode(Int64.self, forColumn: "id"), at: try row.decode(Double.self, forColumn: "at"),
                    kind: try row.decode(String.self, forColumn: "kind"),
                    subject: try row.decode(String.self, forColumn: "subject"),
                    detail: try row.decode(String.self, forColumn: "detail"))
            }
            let newest = try Int64.fetchOne(db, sql: "SELECT max(id) FROM events") ?? 0
            // A full page may have more behind it; otherwise all there is has been looked at.
            let isFull = query.after != nil && events.count == limit
            return EventPage(
                events: query.after == nil ? events.reversed() : events,
                nextAfter: isFull ? events.last?.id ?? query.after ?? 0 : max(newest, query.after ?? 0),
                oldest: try Int64.fetchOne(db, sql: "SELECT min(id) FROM events") ?? 0,
                registry: try String.fetchOne(
                    db, sql: "SELECT value FROM meta WHERE key IN ('registry_id', 'created_at') ORDER BY key DESC LIMIT 1") ?? "")
        }
    }

    func counts() async throws(ShuntError) -> RegistryCounts {
        try await readSessions { db in
            var workers = Dictionary(uniqueKeysWithValues: WorkerRecord.State.allCases.map { ($0.rawValue, 0) })
            for row in try Row.fetchAll(db, sql: "SELECT state, count(*) AS n FROM workers GROUP BY state") {
                workers[try row.decode(String.self, forColumn: "state")] = try row.decode(Int.self, forColumn: "n")
            }
            func count(_ table: String) throws -> Int { try Int.fetchOne(db, sql: "SELECT count(*) FROM \(table)") ?? 0 }
            let hasClients = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0 >= RegistrySchema.withClients
            return RegistryCounts(
                workers: workers, events: try count("events"), devices: try count("devices"), chats: try count("chats"),
                clients: hasClients ? try count("clients") : 0)
        }
    }

    func query(_ sql: String) async throws(ShuntError) -> QueryResult {
        try await statements.run(sql)
    }

    func stopQueries() { statements.stop() }

    func read<T: Sendable>(_ body: @Sendable @escaping (Database) throws -> T) async throws(ShuntError) -> T {
        do {
            switch access {
            case .pool(let pool):
                return try await pool.read(body)
            case .file:
                return try await withCheckedThrowingContinuation { continuation in
                    Self.fileQueue.async {
                        continuation.resume(with: Result { try readFile(body) })
                    }
                }
            }
        } catch {
            throw SQLiteFailure.describe(error, path: path)
        }
    }

    private func readFile<T>(_ body: (Database) throws -> T) throws -> T {
        let connection = try file.openForReading()
        defer { try? connection.close() }
        return try connection.read(body)
    }
}
