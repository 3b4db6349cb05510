/// What happens to messages for a connection that does not take them fast enough.
public enum SlowConsumerPolicy: String, Sendable, CaseIterable {
    /// The message that does not fit is dropped.
    case dropNewest = "drop_newest"
    /// Messages that wait are dropped until it fits.
    case dropOldest = "drop_oldest"
    /// The connection is closed.
    case disconnect
}
