import ShuntCore

/// Chats as tables, as CSV, and one in detail.
enum ChatListing {
    static func table(_ chats: [ChatRecord], now: Double) -> Table {
        Table(
            columns: [
                .init(title: "CHAT"), .init(title: "WORKER", rank: 4), .init(title: "MEMBERS", isNumber: true, rank: 3),
                .init(title: "CREATED", isNumber: true, rank: 1), .init(title: "HEARD OF", isNumber: true, rank: 2),
            ],
            rows: chats.map { chat in
                [
                    .init(chat.chat), .init(chat.worker), .init("\(chat.members)"), .init(Humane.age(of: chat.createdAt, now: now)),
                    .init(Humane.age(of: chat.updatedAt, now: now)),
                ]
            })
    }

    /// Every field as the registry has it.
    static func csv(_ chats: [ChatRecord]) -> CSV {
        var csv = CSV(header: ["chat", "worker", "created_at", "members", "updated_at"])
        for chat in chats {
            csv.append([chat.chat, chat.worker, "\(chat.createdAt)", "\(chat.members)", "\(chat.updatedAt)"])
        }
        return csv
    }

    static func detail(_ chat: ChatRecord, now: Double, width: Int?) -> String {
        FieldList.text(
            [
                ("chat", chat.chat), ("worker", chat.worker), ("members", "\(chat.members)"),
                ("created", "\(Humane.time(chat.createdAt)), \(Humane.age(of: chat.createdAt, now: now))"),
                ("heard of", "\(Humane.time(chat.updatedAt)), \(Humane.age(of: chat.updatedAt, now: now))"),
            ], width: width)
    }
}
