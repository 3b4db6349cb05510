import ShuntCore
import ShuntJSON
import ShuntRegistry

/// Events as a table, as CSV, and as lines that come one after the other.
enum EventListing {
    static func table(_ events: [StoredEvent]) -> Table {
        Table(
            columns: [
                .init(title: "TIME", isWhole: true), .init(title: "ID", isNumber: true, rank: 1),
                .init(title: "KIND", isWhole: true, rank: 4), .init(title: "SUBJECT", rank: 2),
                .init(title: "DETAIL", wraps: true, rank: 3),
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
            return try events.map { String(decoding: try RecordJSON.encode($0), as: UTF8.self) + "\n" }.joined()
        } catch {
            throw ShuntError(.internalError, "an event cannot be written as JSON: \(error)")
        }
    }

    /// A gap, as an event like others: the events of these ids are not kept any more.
    /// - Parameter isStream: they may have come faster than they were read.
    static func gap(_ ids: ClosedRange<Int64>, at time: Double, isStream: Bool = false) -> StoredEvent {
        StoredEvent(
            id: ids.upperBound, at: time, kind: "events.gap", subject: "\(ids.lowerBound)-\(ids.upperBound)",
            detail: "\(ids.count) events between are kept no longer (master.registry.events_keep)"
                + (isStream ? ", or came faster than they were read: --after \(ids.lowerBound - 1) shows those that are kept" : ""))
    }

    /// Another registry, as an event like others: ids begin anew with the next event.
    static func reset(at time: Double, source: String) -> StoredEvent {
        StoredEvent(id: 0, at: time, kind: "events.reset", subject: source, detail: "this is another registry: its events follow from the first")
    }

    /// Another master's registry, as an event like others: what it tells since the last event follows.
    static func moved(at time: Double, to source: String) -> StoredEvent {
        StoredEvent(
            id: 0, at: time, kind: "events.reset", subject: source,
            detail: "this master serves now, with a registry of its own: its events since the last one follow")
    }

    /// Events that are followed by others, in the format that was asked for.
    static func write(_ events: [StoredEvent], isFirst: Bool, _ session: AdminSession) throws(ShuntError) {
        switch session.output {
        case .json:
            let lines = try jsonLines(events)
            if !lines.isEmpty { try session.write(json: String(lines.dropLast())) }
        case .csv: try session.write(csv(events, header: isFirst))
        case .table: try session.console.write(self.lines(events, width: session.console.width))
        }
    }

    /// Columns of fixed width, since later events are not known yet.
    static func lines(_ events: [StoredEvent], width: Int?) -> String {
        events.map { event in
            let head = [
                Humane.time(event.at), Text.pad(Text.printable(event.kind), to: 15),
                Text.pad(Text.printable(event.subject), to: 21), "",
            ]
            return FieldList.hanging(head.joined(separator: "  "), Text.printable(event.detail), width: width)
        }.joined()
    }

    private static func tone(_ event: StoredEvent) -> Table.Tone {
        switch EventRecord.Kind(rawValue: event.kind) {
        case .workerLost: .bad
        case .workerSkewed, .workerDraining, .linkRefused, .adminRefused, .rulesRefused, .rulesRolledBack: .warning
        case .ruleOff: .bad
        case .workerJoined, .workerReturned, .workerUndrained: .good
        case .masterStarted, .masterStopped, .masterServing, .masterStandby, .workerLeft, .workerDrained, .rulesLoaded, .ruleOn, .command, nil:
            .plain
        }
    }
}
