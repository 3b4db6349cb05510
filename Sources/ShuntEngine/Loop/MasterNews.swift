import ShuntCore

/// What a loop asks of the worker's master, or tells it.
public enum MasterNews: Equatable, Sendable {
    case registered(Device)
    case unregistered(uid: String, device: String, registeredAt: Double)
    /// Answered by `answered(chat:request:_:)` on this loop.
    case askChat(request: UInt64, chat: String)
    /// Answered by `confirmed(_:now:)` on this loop when the master has taken all that was told before.
    case confirm(request: UInt64)
    case chat(ChatNews)
    /// Clients have changed: `takeClients` gives them when the master is ready for them.
    case clientsChanged
}
