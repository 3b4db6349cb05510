import ShuntCore

/// Retained messages as tables and as CSV.
enum RetainedListing {
    static func table(_ messages: [RetainedRecord], now: Double) -> Table {
        Table(
            columns: [
                .init(title: "TOPIC"), .init(title: "BYTES", isNumber: true, rank: 5), .init(title: "QOS", isNumber: true, rank: 2),
                .init(title: "STORED", isNumber: true, rank: 4), .init(title: "EXPIRES IN", isNumber: true, rank: 3),
                .init(title: "WORKER", rank: 1),
            ],
            rows: messages.map { message in
                [
                    .init(message.topic), .init("\(message.bytes)"), .init("\(message.qos)"), .init(Humane.age(of: message.storedAt, now: now)),
                    .init(message.expiresAt.map { Humane.duration($0 - now) } ?? "-"), .init(message.worker),
                ]
            })
    }

    /// Every field as the admin API has it; empty where a message does not expire.
    static func csv(_ messages: [RetainedRecord]) -> CSV {
        var csv = CSV(header: ["topic", "bytes", "qos", "stored_at", "expires_at", "worker"])
        for message in messages {
            csv.append([
                message.topic, "\(message.bytes)", "\(message.qos)", "\(message.storedAt)", message.expiresAt.map { "\($0)" } ?? "",
                message.worker,
            ])
        }
        return csv
    }
}
