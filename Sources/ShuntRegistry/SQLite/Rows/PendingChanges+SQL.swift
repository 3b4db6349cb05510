import GRDB
import ShuntCore

extension PendingChanges {
    /// Writes all of it; the caller's transaction makes it all or nothing.
    func write(to db: Database, keepingEvents: Int) throws {
        try writeWorkers(db)
        try writeStates(db)
        try writeEvents(db, kept: keepingEvents)
        try writeBans(db)
    }

    private func writeWorkers(_ db: Database) throws {
        guard !workers.isEmpty else { return }
        let columns = WorkerColumns.all.joined(separator: ", ")
        let places = Array(repeating: "?", count: WorkerColumns.all.count).joined(separator: ", ")
        let updates = WorkerColumns.all.dropFirst().map { "\($0) = excluded.\($0)" }.joined(separator: ", ")
        let statement = try db.cachedStatement(
            sql: """
                INSERT INTO workers (\(columns), state_at) VALUES (\(places), ?)
                ON CONFLICT (name) DO UPDATE SET
                    state_at = CASE WHEN state = excluded.state THEN state_at ELSE excluded.state_at END,
                    \(updates)
                """)
        for record in workers.values {
            try statement.execute(arguments: WorkerColumns.arguments(record) + [record.heartbeatAt.orZero])
        }
    }

    private func writeStates(_ db: Database) throws {
        guard !states.isEmpty else { return }
        let statement = try db.cachedStatement(sql: "UPDATE workers SET state = ?, state_at = ? WHERE name = ?")
        for (name, change) in states {
            try statement.execute(arguments: [change.state.rawValue, change.at.orZero, name])
        }
    }

    private func writeBans(_ db: Database) throws {
        guard !bans.isEmpty else { return }
        let put = try db.cachedStatement(sql: "INSERT OR REPLACE INTO bans (subject, until, why) VALUES (?, ?, ?)")
        let lift = try db.cachedStatement(sql: "DELETE FROM bans WHERE subject = ?")
        for (subject, update) in bans {
            switch update {
            case .put(let ban): try put.execute(arguments: [subject.description, ban.until?.orZero, ban.why])
            case .lifted: try lift.execute(arguments: [subject.description])
            }
        }
    }

    private func writeEvents(_ db: Database, kept: Int) throws {
        guard !events.isEmpty else { return }
        let statement = try db.cachedStatement(sql: "INSERT INTO events (at, kind, subject, detail) VALUES (?, ?, ?, ?)")
        for event in events {
            try statement.execute(arguments: [event.at.orZero, event.kind.rawValue, event.subject, event.detail])
        }
        try db.cachedStatement(sql: "DELETE FROM events WHERE id <= (SELECT max(id) FROM events) - ?").execute(arguments: [kept])
    }
}

extension Double {
    /// SQLite stores no NaN: it would become NULL, and fail the whole batch.
    var orZero: Double { isFinite ? self : 0 }
}
