import GRDB
import ShuntCore

extension SQLiteReader {
    /// All devices, by uid and name.
    func devices() async throws(ShuntError) -> [DeviceRecord] {
        try await readSessions { db in
            let rows = try Row.fetchCursor(db, sql: "SELECT \(Self.deviceColumns) FROM devices ORDER BY uid, device")
            return try Array(rows.map(DeviceColumns.record))
        }
    }

    func chats() async throws(ShuntError) -> [ChatRecord] {
        try await readSessions { db in
            let rows = try Row.fetchCursor(db, sql: "SELECT \(Self.chatColumns) FROM chats ORDER BY chat")
            return try Array(rows.map(ChatColumns.record))
        }
    }

    /// By uid and by worker it takes an index; by tag or state alone it looks at all.
    func devices(_ query: DeviceSessionQuery) async throws(ShuntError) -> DevicePage {
        let limit = min(max(query.limit, 0), DeviceSessionQuery.maximumLimit)
        let offset = max(query.offset, 0)
        return try await readSessions { db in
            let conditions = Conditions(query)
            let total = try Int.fetchOne(
                db, sql: "SELECT count(*) FROM devices" + conditions.sql, arguments: conditions.arguments)
            let rows = try Row.fetchCursor(
                db, sql: "SELECT \(Self.deviceColumns) FROM devices\(conditions.sql) ORDER BY uid, device LIMIT ? OFFSET ?",
                arguments: conditions.arguments + [limit, offset])
            return DevicePage(
                devices: try Array(rows.map(DeviceColumns.record)), total: total ?? 0, offset: offset, limit: limit)
        }
    }

    func chats(_ query: ChatQuery) async throws(ShuntError) -> ChatPage {
        let limit = min(max(query.limit, 0), ChatQuery.maximumLimit)
        let offset = max(query.offset, 0)
        return try await readSessions { db in
            let conditions = Conditions([("worker = ?", query.worker)])
            let total = try Int.fetchOne(db, sql: "SELECT count(*) FROM chats" + conditions.sql, arguments: conditions.arguments)
            let rows = try Row.fetchCursor(
                db, sql: "SELECT \(Self.chatColumns) FROM chats\(conditions.sql) ORDER BY chat LIMIT ? OFFSET ?",
                arguments: conditions.arguments + [limit, offset])
            return ChatPage(chats: try Array(rows.map(ChatColumns.record)), total: total ?? 0, offset: offset, limit: limit)
        }
    }

    func chat(_ id: String) async throws(ShuntError) -> ChatRecord {
        try await readSessions { db in
            let row = try Row.fetchOne(db, sql: "SELECT \(Self.chatColumns) FROM chats WHERE chat = ?", arguments: [id])
            guard let row else { throw ShuntError.unknownChat(id) }
            return try ChatColumns.record(row)
        }
    }

    private static let deviceColumns = DeviceColumns.all.joined(separator: ", ")
    private static let chatColumns = ChatColumns.all.joined(separator: ", ")

    /// A file that no master of this version has opened yet has no tables of sessions.
    func readSessions<T: Sendable>(_ body: @Sendable @escaping (Database) throws -> T) async throws(ShuntError) -> T {
        let path = path
        return try await read { db in
            let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
            guard version >= RegistrySchema.withSessions else {
                throw ShuntError(
                    .registryUnavailable, "the registry has schema \(version), which has no devices and chats", at: path,
                    help: "start a master of this version once: it brings the file up to date")
            }
            return try body(db)
        }
    }
}

/// `WHERE` with what is given, and nothing else, so that SQLite can take an index.
struct Conditions {
    private(set) var sql = ""
    private(set) var arguments = StatementArguments()

    init(_ given: [(sql: String, value: (any DatabaseValueConvertible)?)]) {
        for (condition, value) in given {
            guard let value else { continue }
            sql += (sql.isEmpty ? " WHERE " : " AND ") + condition
            arguments += [value]
        }
    }

    init(_ query: DeviceSessionQuery) {
        self.init([
            ("uid = ?", query.uid), ("worker = ?", query.worker), ("online = ?", query.isOnline),
            ("EXISTS (SELECT 1 FROM json_each(tags) WHERE value = ?)", query.tag),
        ])
    }
}
