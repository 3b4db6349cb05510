import ShuntCore
import ShuntRegistry

/// Workers as tables, as CSV, and one in detail.
enum WorkerListing {
    static func table(_ workers: [WorkerRecord], now: Double) -> Table {
        Table(
            columns: [
                .init(title: "WORKER"), .init(title: "NAME", rank: 8), .init(title: "STATE", isWhole: true, rank: 10),
                .init(title: "CONNECTIONS", isNumber: true, rank: 7),
                .init(title: "SUBSCRIPTIONS", isNumber: true, rank: 4), .init(title: "REQUESTS", isNumber: true, rank: 5),
                .init(title: "DELIVERIES", isNumber: true, rank: 6), .init(title: "RECEIVED", isNumber: true, rank: 3),
                .init(title: "HEARTBEAT", isNumber: true, rank: 9), .init(title: "UP", isNumber: true, rank: 2),
                .init(title: "VERSION", rank: 1),
            ],
            rows: workers.map { worker in
                let figures = worker.figures
                return [
                    .init(worker.name), .init(worker.configuredName.isEmpty ? "-" : worker.configuredName),
                    .init(worker.state.rawValue, worker.state.tone), .init("\(figures.connections)"),
                    .init("\(figures.subscriptions)"), .init("\(figures.requests)"), .init("\(figures.deliveries)"),
                    .init(Humane.bytes(figures.requestBytes)), .init(Humane.age(of: worker.heartbeatAt, now: now)),
                    .init(Humane.duration(now - worker.startedAt)), .init(worker.version),
                ]
            })
    }

    /// Every field as the registry has it.
    static func csv(_ workers: [WorkerRecord]) -> CSV {
        var csv = CSV(
            header: ["name", "host", "port", "state", "machine", "version", "listeners", "started_at", "heartbeat_at", "configured_name", "stuck"]
                + WorkerFigures.columns.map(\.name))
        for worker in workers {
            csv.append(
                [
                    worker.name, worker.host, "\(worker.port)", worker.state.rawValue, worker.machine, worker.version,
                    listeners(worker).map { "\($0.name)=\($0.address)" }.joined(separator: " "), "\(worker.startedAt)",
                    "\(worker.heartbeatAt)", worker.configuredName, CSV.list(worker.stuck),
                ] + WorkerFigures.columns.map { "\(worker.figures[keyPath: $0.value])" })
        }
        return csv
    }

    /// A line for each field, whole where the terminal is wide enough.
    static func detail(_ worker: WorkerRecord, now: Double, width: Int?) -> String {
        let figures = worker.figures
        var fields: [(name: String, value: String)] = [
            ("worker", worker.name), ("name", worker.configuredName.isEmpty ? "-" : worker.configuredName),
            ("state", worker.state.rawValue), ("address", "\(worker.host):\(worker.port)"),
            ("machine", worker.machine.isEmpty ? "-" : worker.machine),
            ("version", worker.version.isEmpty ? "-" : worker.version),
            ("started", "\(Humane.time(worker.startedAt)), \(Humane.age(of: worker.startedAt, now: now))"),
            ("heartbeat", "\(Humane.time(worker.heartbeatAt)), \(Humane.age(of: worker.heartbeatAt, now: now))"),
        ]
        fields += listeners(worker).map { ("listener \($0.name)", $0.address) }
        fields += [
            (
                "connections",
                "\(figures.connections) open, \(figures.connectionsAccepted) accepted, \(figures.connectionErrors) errors"
            ),
            ("subscriptions", "\(figures.subscriptions)"),
            ("requests", "\(figures.requests), \(Humane.bytes(figures.requestBytes))"),
            (
                "responses",
                "\(figures.responses), \(Humane.bytes(figures.responseBytes)); "
                    + "\(figures.responsesSucceeded) succeeded, \(figures.responsesFailed) failed"
            ),
            ("time per response", meanTime(figures)),
            ("deliveries", "\(figures.deliveries)"),
            ("held producers", "\(figures.heldProducers)"),
            ("stuck consumers", (["\(figures.stuckConsumers)"] + worker.stuck).joined(separator: "; ")),
            ("mqtt clients", "\(figures.mqttClients)"),
            ("mqtt sessions", "\(figures.mqttSessions), \(figures.mqttAbsent) of them away (mqtt.sessions)"),
            ("mqtt queued", "\(figures.mqttQueued) messages; \(Humane.bytes(figures.mqttHeldBytes)) held (mqtt.memory)"),
            ("mqtt retained", "\(Humane.count(figures.mqttRetained, "message")) with those of $SYS, \(Humane.bytes(figures.mqttRetainedBytes))"),
        ]
        return FieldList.text(fields, width: width)
    }

    private static func listeners(_ worker: WorkerRecord) -> [(name: String, address: String)] {
        worker.listeners.sorted { $0.key < $1.key }.map { (name: $0.key, address: $0.value) }
    }

    private static func meanTime(_ figures: WorkerFigures) -> String {
        guard figures.responses > 0, figures.responseMilliseconds >= 0 else { return "-" }
        // A worker may report any number: a time beyond a day means nothing, and may not fit an Int.
        let hundredths = Int((min(Double(figures.responseMilliseconds) / Double(figures.responses), 86_400_000) * 100).rounded())
        return "\(hundredths / 100).\(hundredths % 100 < 10 ? "0" : "")\(hundredths % 100) ms"
    }

}

extension WorkerRecord.State {
    var tone: Table.Tone {
        switch self {
        case .live: .good
        case .draining: .warning
        case .left, .unknown: .plain
        case .lost: .bad
        }
    }
}
