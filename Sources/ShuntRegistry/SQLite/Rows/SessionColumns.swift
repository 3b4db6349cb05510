import GRDB
import ShuntCore
import ShuntJSON

/// A device session's row: the columns, in one order for writing and reading.
enum DeviceColumns {
    static let all = ["uid", "device", "tags", "alias", "worker", "address", "online", "connected_at", "last_seen_at"]

    static func arguments(_ record: DeviceRecord) -> StatementArguments {
        [
            record.uid, record.device, RecordJSON.array(of: record.tags), RecordJSON.array(of: record.alias), record.worker,
            record.address, record.isOnline, record.connectedAt.orZero, record.lastSeenAt.orZero,
        ]
    }

    /// Decodes without trapping, whatever someone has done to the table. The row holds `all`, in this order.
    static func record(_ row: Row) throws -> DeviceRecord {
        DeviceRecord(
            uid: try row.decode(String.self, atIndex: 0), device: try row.decode(String.self, atIndex: 1),
            tags: RecordJSON.strings(in: try row.decode(String.self, atIndex: 2)),
            alias: RecordJSON.strings(in: try row.decode(String.self, atIndex: 3)),
            worker: try row.decode(String.self, atIndex: 4), address: try row.decode(String.self, atIndex: 5),
            isOnline: try row.decode(Bool.self, atIndex: 6), connectedAt: try row.decode(Double.self, atIndex: 7),
            lastSeenAt: try row.decode(Double.self, atIndex: 8))
    }
}

/// A chat's row: the columns, in one order for writing and reading.
enum ChatColumns {
    static let all = ["chat", "worker", "created_at", "members", "updated_at"]

    static func arguments(_ record: ChatRecord) -> StatementArguments {
        [record.chat, record.worker, record.createdAt.orZero, record.members, record.updatedAt.orZero]
    }

    /// Decodes without trapping, whatever someone has done to the table. The row holds `all`, in this order.
    static func record(_ row: Row) throws -> ChatRecord {
        ChatRecord(
            chat: try row.decode(String.self, atIndex: 0), worker: try row.decode(String.self, atIndex: 1),
            createdAt: try row.decode(Double.self, atIndex: 2), members: try row.decode(Int.self, atIndex: 3),
            updatedAt: try row.decode(Double.self, atIndex: 4))
    }
}

extension RecordJSON {
    /// A JSON array of strings: what the tags and aliases of a hundred thousand devices are written as, so it is made at once.
    static func array(of strings: [String]) -> String {
        guard !strings.isEmpty else { return "[]" }
        var json = "["
        for (index, string) in strings.enumerated() {
            json += index == 0 ? "\"" : ",\""
            for scalar in string.unicodeScalars {
                switch scalar {
                case "\"": json += "\\\""
                case "\\": json += "\\\\"
                case "\u{0}"..<" ":
                    let digits = String(scalar.value, radix: 16)
                    json += "\\u" + String(repeating: "0", count: 4 - digits.utf8.count) + digits
                default: json.unicodeScalars.append(scalar)
                }
            }
            json += "\""
        }
        return json + "]"
    }

    /// What `array(of:)` has written; empty where it is something else.
    static func strings(in json: String) -> [String] {
        json == "[]" ? [] : (try? decode([String].self, from: Array(json.utf8))) ?? []
    }
}
