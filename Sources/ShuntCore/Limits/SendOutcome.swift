/// The outcome of sending a message to a connection.
public enum SendOutcome: Equatable, Sendable {
    case queued
    /// The connection is too slow, or gone.
    case dropped
    /// The connection is too slow and is closed.
    case disconnected
}
