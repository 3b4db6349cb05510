/// The treatment of messages for a connection that does not read them fast enough.
public enum SlowConsumerPolicy: String, Sendable, CaseIterable {
    /// The worker stops reading from the connections that produce for it until it has drained. Nothing is lost, unless it is stuck.
    case hold
    /// The message that does not fit is dropped.
    case dropNewest = "drop_newest"
    /// Messages that wait are dropped until it fits.
    case dropOldest = "drop_oldest"
    /// The connection is closed.
    case disconnect
}

/// The treatment of messages for a stuck connection: producers do not wait for it any longer.
public enum StuckConsumerPolicy: String, Sendable, CaseIterable {
    case dropNewest = "drop_newest"
    case dropOldest = "drop_oldest"
    case disconnect

    /// The policy of slow consumers that does the same.
    public var asSlow: SlowConsumerPolicy {
        switch self {
        case .dropNewest: .dropNewest
        case .dropOldest: .dropOldest
        case .disconnect: .disconnect
        }
    }
}

/// The policies of a worker: one for all groups, and others for some by name.
public struct SlowConsumerPolicies: Equatable, Sendable {
    public var standard: SlowConsumerPolicy
    public var overrides: [String: SlowConsumerPolicy]

    public init(standard: SlowConsumerPolicy = .hold, overrides: [String: SlowConsumerPolicy] = [:]) {
        self.standard = standard
        self.overrides = overrides
    }

    public func policy(for group: String) -> SlowConsumerPolicy { overrides[group] ?? standard }
}

/// How far a connection's out-buffer has filled up.
public enum ConsumerPressure: UInt8, Sendable, Comparable {
    /// It keeps up.
    case none
    /// More than half is full, and it has not yet drained below a quarter.
    case congested
    /// Congested, and it took less than a quarter of the buffer within `worker.slow_patience`.
    case stuck
    /// It is not connected; its session waits for it.
    case absent

    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
}
