import GRDB
import ShuntCore

/// A row of the history: the columns, in one order for writing. The tables of workers and of their sum differ in one, the third.
enum HistoryColumns {
    private static let figures = WorkerFigures.columns
    private static let common = ["heartbeats", "seconds"] + figures.map(\.name)
    static let ofWorker = ["step", "at", "worker"] + common
    static let ofCluster = ["step", "at", "workers"] + common

    static func arguments(_ point: HistoryPoint) -> StatementArguments {
        var arguments: StatementArguments = [point.step.rawValue, point.at]
        if let worker = point.worker { arguments += [worker] } else { arguments += [point.workers] }
        arguments += [point.heartbeats, point.seconds.orZero]
        arguments += StatementArguments(figures.map { point.figures[keyPath: $0.value] })
        return arguments
    }

    /// Decodes without trapping, whatever someone has done to the table; nil where the step is none.
    static func point(_ row: Row) throws -> HistoryPoint? {
        guard let step = HistoryStep(rawValue: try row.decode(Int.self, forColumn: "step")) else { return nil }
        var point = HistoryPoint(
            worker: row.hasColumn("worker") ? try row.decode(String.self, forColumn: "worker") : nil, step: step,
            at: try row.decode(Int.self, forColumn: "at"),
            workers: row.hasColumn("workers") ? try row.decode(Int.self, forColumn: "workers") : 1,
            heartbeats: try row.decode(Int.self, forColumn: "heartbeats"), seconds: try row.decode(Double.self, forColumn: "seconds"),
            figures: .init())
        for (name, value) in figures where row.hasColumn(name) {
            point.figures[keyPath: value] = try row.decode(Int.self, forColumn: name)
        }
        return point
    }
}

extension RowChunk<HistoryUpdate> {
    /// Within the caller's transaction.
    func write(to db: Database) throws {
        guard !rows.isEmpty else { return }
        let own = try db.cachedStatement(sql: Self.put(into: "worker_history", HistoryColumns.ofWorker, key: ["step", "at", "worker"]))
        let sum = try db.cachedStatement(sql: Self.put(into: "cluster_history", HistoryColumns.ofCluster, key: ["step", "at"]))
        for (_, update) in rows {
            try (update.point.worker == nil ? sum : own).execute(arguments: HistoryColumns.arguments(update.point))
        }
    }

    /// When the newest step began that is written here, in seconds since 1970.
    var newest: Int? { rows.map(\.key.at).max() }

    /// Where the clock was set back, the point stays that is made of more.
    private static func put(into table: String, _ columns: [String], key: [String]) -> String {
        Upsert.sql(into: table, columns, key: key) + " WHERE excluded.heartbeats >= \(table).heartbeats"
    }
}

/// Old points go a step's at a time, as new ones are written: a transaction is never longer than all workers are many.
struct HistoryTrim {
    /// The steps that are kept. Of others all goes.
    var steps: [HistoryStep]

    /// Within the caller's transaction.
    /// - Parameter newest: when the newest step began that is written with it; nil where none is.
    func trim(_ db: Database, newest: Int?) throws {
        for step in HistoryStep.allCases {
            if !steps.contains(step) {
                try trim(db, step, "ASC") { _ in true }
            } else if let newest {
                try trim(db, step, "ASC") { $0 < newest - step.kept }
                // The clock was ahead.
                try trim(db, step, "DESC") { $0 > newest + Self.patience }
            }
        }
    }

    /// Points of a coarse step begin before the newest of a fine one; none begins later but by a clock that was wrong.
    private static let patience = HistoryStep.hour.seconds

    private func trim(_ db: Database, _ step: HistoryStep, _ order: String, where isOver: (Int) -> Bool) throws {
        for table in ["worker_history", "cluster_history"] {
            let first = try db.cachedStatement(sql: "SELECT at FROM \(table) WHERE step = ? ORDER BY at \(order) LIMIT 1")
            guard let at = try Int.fetchOne(first, arguments: [step.rawValue]), isOver(at) else { continue }
            try db.cachedStatement(sql: "DELETE FROM \(table) WHERE step = ? AND at = ?").execute(arguments: [step.rawValue, at])
        }
    }
}
