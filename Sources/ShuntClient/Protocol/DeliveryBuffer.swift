import ShuntCore

/// The messages that have come and not been taken, and whether there is room for more. Pure; connections are told apart by
/// a token that is handed in.
struct DeliveryBuffer<Connection> {
    struct Limit: Equatable, Sendable {
        var messages: Int
        /// Of payloads, topics and keys.
        var bytes: Int
    }

    private let limit: Limit
    private var messages: [ReceivedMessage] = []
    private var bytes = 0
    /// Connections that stopped reading.
    private var paused: [Connection] = []
    private(set) var end: Result<Void, ShuntError>?

    init(limit: Limit) { self.limit = Limit(messages: max(1, limit.messages), bytes: max(1, limit.bytes)) }

    var isEmpty: Bool { messages.isEmpty }
    private var isFull: Bool { messages.count >= limit.messages || bytes >= limit.bytes }

    /// Takes what one read brought.
    /// - Returns: whether the connection should read on. If not, it is among those that `take` returns.
    mutating func add(_ arrived: [ReceivedMessage], from connection: Connection) -> Bool {
        guard end == nil else { return false }
        if messages.isEmpty { messages = arrived } else { messages += arrived }
        for message in arrived { bytes += message.size }
        guard isFull else { return true }
        paused.append(connection)
        return false
    }

    /// Takes all messages, and the connections that may read again.
    mutating func take() -> (messages: [ReceivedMessage], resumed: [Connection]) {
        defer {
            messages = []
            bytes = 0
            paused = []
        }
        return (messages, paused)
    }

    /// Nothing more comes; what is there can still be taken. The first end counts.
    mutating func finish(_ result: Result<Void, ShuntError>) {
        if end == nil { end = result }
    }
}

extension ReceivedMessage {
    /// Bytes that the message holds, roughly.
    var size: Int { payload.count + topic.utf8.count + (key?.utf8.count ?? 0) + 64 }
}
