import ShuntCore
import ShuntRegistry

/// Events as a table, as CSV, and as lines that come one after the other.
enum EventReport {
    static func table(_ events: [StoredEvent]) -> Table {
        Table(
            columns: [
                .init(title: "TIME", isWhole: true), .init(title: "ID", isNumber: true, rank: 1),
                .init(title: "KIND", isWhole: true, rank: 4), .init(title: "SUBJECT", rank: 3),
                .init(title: "DETAIL", rank: 2),
            ],
            rows: events.map { event in
                [
                    .init(Humane.time(event.at)), .init("\(event.id)"), .init(event.kind, tone(event)), .init(event.subject),
                    .init(event.detail),
                ]
            })
    }

    static func csv(_ events: [StoredEvent], header: Bool) -> CSV {
        var csv = CSV(header: header ? ["id", "at", "kind", "subject", "detail"] : nil)
        for event in events { csv.append(["\(event.id)", "\(event.at)", event.kind, event.subject, event.detail]) }
        return csv
    }

    /// One JSON object a line.
    static func jsonLines(_ events: [StoredEvent]) throws(ShuntError) -> String {
        do {
            return try events.map { String(decoding: try RegistryJSON.encode($0), as: UTF8.self) + "\n" }.joined()
        } catch {
            throw ShuntError(.internalError, "an event cannot be written as JSON: \(error)")
        }
    }

    /// Columns of fixed width, since what comes later is not known yet.
    static func lines(_ events: [StoredEvent], width: Int?) -> String {
        events.map { event in
            let fields = [
                Humane.time(event.at), Text.pad(Text.printable(event.kind), to: 15),
                Text.pad(Text.printable(event.subject), to: 21),
                Text.printable(event.detail),
            ]
            let line = fields.joined(separator: "  ")
            return (width.map { Text.cut(line, to: $0) } ?? line) + "\n"
        }.joined()
    }

    private static func tone(_ event: StoredEvent) -> Table.Tone {
        switch EventRecord.Kind(rawValue: event.kind) {
        case .workerLost: .bad
        case .workerSkewed: .warning
        case .workerJoined, .workerReturned: .good
        case .masterStarted, .masterStopped, .workerLeft, nil: .plain
        }
    }
}
