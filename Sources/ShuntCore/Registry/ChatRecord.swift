/// A chat as the registry keeps it. Metadata only: nothing of a message.
public struct ChatRecord: Codable, Equatable, Sendable {
    public var chat: String
    /// `host:port` of the worker that has it.
    public var worker: String
    /// Seconds since 1970: by the worker's clock once the worker has told it, before that by the master's.
    public var createdAt: Double
    /// Members that are present or may still come back; 0 if the worker has not told the number.
    public var members: Int
    /// Seconds since 1970 when the master last heard of the chat, by its own clock.
    public var updatedAt: Double

    public init(chat: String, worker: String, createdAt: Double, members: Int, updatedAt: Double) {
        self.chat = chat
        self.worker = worker
        self.createdAt = createdAt
        self.members = members
        self.updatedAt = updatedAt
    }
}

/// One change of chats for the registry to write.
public enum ChatChange: Equatable, Sendable {
    /// Inserts or replaces the chat of that id.
    case chat(ChatRecord)
    case closed(chat: String, at: Double)
    /// All chats of a worker are free.
    case workerLost(worker: String, at: Double)
}
