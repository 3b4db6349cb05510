import ShuntCore

/// What an application is handed one by one.
protocol Delivered: Sendable {
    /// Bytes that it holds, roughly.
    var size: Int { get }
}

/// What has come for an application and not been taken, and whether there is room for more. Pure; connections are told
/// apart by a token that is handed in.
struct DeliveryBuffer<Message: Delivered, Connection> {
    struct Limit: Equatable, Sendable {
        var messages: Int
        /// Of payloads, topics and keys.
        var bytes: Int
    }

    private let limit: Limit
    private var messages: [Message] = []
    private var bytes = 0
    /// Connections that stopped reading.
    private var paused: [Connection] = []
    private(set) var end: Result<Void, ShuntError>?

    init(limit: Limit) { self.limit = Limit(messages: max(1, limit.messages), bytes: max(1, limit.bytes)) }

    var isEmpty: Bool { messages.isEmpty }
    private var isFull: Bool { messages.count >= limit.messages || bytes >= limit.bytes }

    /// Takes what one read brought.
    /// - Returns: whether the connection should read on. If not, it is among those that `take` returns.
    mutating func add(_ arrived: [Message], from connection: Connection) -> Bool {
        guard end == nil else { return false }
        if messages.isEmpty { messages = arrived } else { messages += arrived }
        for message in arrived { bytes += message.size }
        guard isFull else { return true }
        paused.append(connection)
        return false
    }

    /// Takes news that no connection brought; without room they are lost.
    mutating func note(_ message: Message) {
        guard end == nil, !isFull else { return }
        messages.append(message)
        bytes += message.size
    }

    /// Takes all messages, and the connections that may read again.
    mutating func take() -> (messages: [Message], resumed: [Connection]) {
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

extension ReceivedMessage: Delivered {
    var size: Int { payload.count + topic.utf8.count + (key?.utf8.count ?? 0) + 64 }
}
