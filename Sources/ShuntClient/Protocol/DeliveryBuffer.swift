import ShuntCore

/// An element that an application is handed.
protocol Delivered: Sendable {
    /// The bytes that it holds, roughly.
    var size: Int { get }
}

/// The messages that have come for an application and that it has not taken, within a limit. Pure; a token that is handed in names the
/// connection.
struct DeliveryBuffer<Message: Delivered, Connection> {
    struct Limit: Equatable, Sendable {
        var messages: Int
        /// Bytes of payloads, topics and keys.
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

    /// Takes the messages of one read.
    /// - Returns: whether the connection should read on. If not, it is among those that `take` returns.
    mutating func add(_ arrived: [Message], from connection: Connection) -> Bool {
        guard end == nil else { return false }
        if messages.isEmpty { messages = arrived } else { messages += arrived }
        for message in arrived { bytes += message.size }
        guard isFull else { return true }
        paused.append(connection)
        return false
    }

    /// Takes an event that did not come over a connection; it is lost if there is no room.
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

    /// No more messages come; those in the buffer can still be taken. The first end counts.
    mutating func finish(_ result: Result<Void, ShuntError>) {
        if end == nil { end = result }
    }
}

extension ReceivedMessage: Delivered {
    var size: Int { payload.count + topic.utf8.count + (key?.utf8.count ?? 0) + 64 }
}
