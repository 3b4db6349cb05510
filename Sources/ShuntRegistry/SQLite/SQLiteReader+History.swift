import GRDB
import ShuntCore

extension SQLiteReader {
    /// A page of the history; each series has a place for every step.
    func history(_ query: HistoryQuery) async throws(ShuntError) -> HistoryDocument {
        let path = path
        return try await read { db in
            guard try Self.hasHistory(db) else {
                throw ShuntError(
                    .registryUnavailable, "the registry has a schema without history", at: path,
                    help: "start a master of this version once: it brings the file up to date")
            }
            let rows =
                if let worker = query.worker {
                    // The table is in the order of time: the worker's own points are looked up one by one.
                    try Row.fetchCursor(
                        db,
                        sql: """
                            WITH RECURSIVE times(at) AS (SELECT ?1 UNION ALL SELECT at + ?3 FROM times WHERE at < ?2)
                            SELECT h.* FROM times AS t CROSS JOIN worker_history AS h
                            WHERE h.step = ?3 AND h.at = t.at AND h.worker = ?4
                            """, arguments: [query.start, query.last, query.step.rawValue, worker])
                } else {
                    try Row.fetchCursor(
                        db, sql: "SELECT * FROM cluster_history WHERE step = ? AND at BETWEEN ? AND ? ORDER BY at",
                        arguments: [query.step.rawValue, query.start, query.last])
                }
            return HistoryDocument(query, try Self.points(rows))
        }
    }

    func openHistory(now: Double) async throws(ShuntError) -> [HistoryPoint] {
        try await read { db in
            guard try Self.hasHistory(db) else { return [] }
            return try HistoryStep.allCases.flatMap { step in
                try Self.points(
                    try Row.fetchCursor(
                        db, sql: "SELECT * FROM worker_history WHERE step = ? AND at = ?", arguments: [step.rawValue, step.start(of: now)]))
            }
        }
    }

    private static func hasHistory(_ db: Database) throws -> Bool {
        try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0 >= RegistrySchema.withHistory
    }

    private static func points(_ rows: RowCursor) throws -> [HistoryPoint] {
        var points: [HistoryPoint] = []
        while let row = try rows.next() {
            if let point = try HistoryColumns.point(row) { points.append(point) }
        }
        return points
    }
}
