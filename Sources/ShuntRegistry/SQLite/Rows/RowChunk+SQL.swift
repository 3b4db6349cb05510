import GRDB
import ShuntCore

extension RowChunk<DeviceUpdate> {
    /// Within the caller's transaction.
    func write(to db: Database) throws {
        if let lost {
            try db.cachedStatement(sql: "UPDATE devices SET online = 0, last_seen_at = ? WHERE worker = ? AND online = 1")
                .execute(arguments: [lost.at.orZero, lost.worker])
        }
        guard !rows.isEmpty else { return }
        let put = try db.cachedStatement(sql: Upsert.sql(into: "devices", DeviceColumns.all, key: ["uid", "device"]))
        let leave = try db.cachedStatement(sql: "UPDATE devices SET online = 0, last_seen_at = ? WHERE uid = ? AND device = ?")
        let remove = try db.cachedStatement(sql: "DELETE FROM devices WHERE uid = ? AND device = ?")
        for (key, update) in rows {
            switch update {
            case .put(let record): try put.execute(arguments: DeviceColumns.arguments(record))
            case .left(let time): try leave.execute(arguments: [time.orZero, key.uid.text, key.device.text])
            case .removed: try remove.execute(arguments: [key.uid.text, key.device.text])
            }
        }
    }
}

extension RowChunk<ChatUpdate> {
    /// Within the caller's transaction.
    func write(to db: Database) throws {
        if let lost {
            try db.cachedStatement(sql: "DELETE FROM chats WHERE worker = ?").execute(arguments: [lost.worker])
        }
        guard !rows.isEmpty else { return }
        let put = try db.cachedStatement(sql: Upsert.sql(into: "chats", ChatColumns.all, key: ["chat"]))
        let remove = try db.cachedStatement(sql: "DELETE FROM chats WHERE chat = ?")
        for (chat, update) in rows {
            switch update {
            case .put(let record): try put.execute(arguments: ChatColumns.arguments(record))
            case .closed: try remove.execute(arguments: [chat.text])
            }
        }
    }
}

extension RowChunk<ClientUpdate> {
    /// Within the caller's transaction.
    func write(to db: Database) throws {
        if let lost {
            try db.cachedStatement(sql: "DELETE FROM clients WHERE worker = ? AND list <> ?")
                .execute(arguments: [lost.worker, Int64(exactly: lost.at) ?? ClientUpdate.noList])
        }
        guard !rows.isEmpty else { return }
        let put = try db.cachedStatement(sql: Upsert.sql(into: "clients", ClientColumns.all + ["list"], key: ["worker", "session"]))
        let remove = try db.cachedStatement(sql: "DELETE FROM clients WHERE worker = ? AND session = ?")
        for (key, update) in rows {
            switch update {
            case .put(let record, let list): try put.execute(arguments: ClientColumns.arguments(record) + [list])
            case .gone: try remove.execute(arguments: [key.worker.text, key.session.text])
            }
        }
    }
}

enum Upsert {
    static func sql(into table: String, _ columns: [String], key: [String]) -> String {
        let places = columns.map { _ in "?" }.joined(separator: ", ")
        let updates = columns.filter { !key.contains($0) }.map { "\($0) = excluded.\($0)" }.joined(separator: ", ")
        return """
            INSERT INTO \(table) (\(columns.joined(separator: ", "))) VALUES (\(places))
            ON CONFLICT (\(key.joined(separator: ", "))) DO UPDATE SET \(updates)
            """
    }
}
