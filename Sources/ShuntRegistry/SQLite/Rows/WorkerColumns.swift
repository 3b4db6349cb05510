import GRDB
import ShuntCore
import ShuntJSON

/// A worker's row: the columns, in one order for writing and reading.
enum WorkerColumns {
    static let all =
        ["name", "host", "port", "state", "machine", "version", "listeners", "started_at", "heartbeat_at", "configured_name", "stuck"]
        + WorkerFigures.columns.map(\.name)

    static func arguments(_ record: WorkerRecord) throws -> StatementArguments {
        let listeners = String(decoding: try RecordJSON.encode(record.listeners), as: UTF8.self)
        var arguments: StatementArguments = [
            record.name, record.host, record.port, record.state.rawValue, record.machine, record.version, listeners,
            record.startedAt.orZero, record.heartbeatAt.orZero, record.configuredName,
            RecordJSON.array(of: record.stuck),
        ]
        arguments += StatementArguments(WorkerFigures.columns.map { record.figures[keyPath: $0.value] })
        return arguments
    }

    /// Decodes without trapping, whatever someone has done to the table.
    static func record(_ row: Row) throws -> WorkerRecord {
        let stateName = try row.decode(String.self, forColumn: "state")
        guard let state = WorkerRecord.State(rawValue: stateName) else {
            throw ShuntError(
                .registryInvalid, "a worker has the state '\(stateName)', which this program does not know",
                help: "states are " + WorkerRecord.State.allCases.map(\.rawValue).joined(separator: ", "))
        }
        let listeners = try row.decode(String.self, forColumn: "listeners")
        var record = WorkerRecord(
            name: try row.decode(String.self, forColumn: "name"),
            host: try row.decode(String.self, forColumn: "host"),
            port: try row.decode(Int.self, forColumn: "port"),
            state: state,
            machine: try row.decode(String.self, forColumn: "machine"),
            version: try row.decode(String.self, forColumn: "version"),
            listeners: (try? RecordJSON.decode([String: String].self, from: Array(listeners.utf8))) ?? [:],
            startedAt: try row.decode(Double.self, forColumn: "started_at"),
            heartbeatAt: try row.decode(Double.self, forColumn: "heartbeat_at"))
        // A file that no master of this version has opened yet has not all columns.
        if row.hasColumn("configured_name") { record.configuredName = try row.decode(String.self, forColumn: "configured_name") }
        if row.hasColumn("stuck") { record.stuck = RecordJSON.strings(in: try row.decode(String.self, forColumn: "stuck")) }
        for (name, value) in WorkerFigures.columns where row.hasColumn(name) {
            record.figures[keyPath: value] = try row.decode(Int.self, forColumn: name)
        }
        return record
    }
}
