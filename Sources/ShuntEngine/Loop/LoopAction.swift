import ShuntCore

/// Where the bytes of an action are.
public struct Stretch: Equatable, Sendable {
    public enum Source: UInt8, Sendable {
        /// The bytes that were passed to the event.
        case input
        /// The engine's own `made` bytes.
        case made
    }

    public var source: Source
    public var offset: UInt32
    public var count: UInt32

    @inlinable
    public init(_ source: Source, offset: Int, count: Int) {
        self.source = source
        self.offset = UInt32(truncatingIfNeeded: offset)
        self.count = UInt32(truncatingIfNeeded: count)
    }
}

/// What a loop's driver is to do. Plain values: a batch of them is an array that is filled and emptied again.
public enum LoopAction: Equatable, Sendable {
    /// A message for a client of this loop. May be dropped if the client is too slow.
    case deliver(ConnectionID, Stretch)
    /// A message for a client of another loop.
    case forward(ConnectionID, Stretch)
    /// The acknowledgement 200 without a body.
    case acknowledge(ConnectionID, id: Int64)
    /// A frame that answers a request.
    case answer(ConnectionID, Stretch)
    /// Write what waits, then close.
    case close(ConnectionID, ErrorCode)
}

/// What a loop tells all other loops of its worker.
public enum LoopLetter: Equatable, Sendable {
    case subscribed(Subscription)
    case unsubscribed(ConnectionID, filter: String, group: String, key: String?)
    case left(ConnectionID)
    case congestion(ConnectionID, Bool)
}

/// What a loop counted. Totals since it started, but for `subscriptions`.
public struct RoutingFigures: Equatable, Sendable {
    public var requests = 0
    public var requestBytes = 0
    public var succeeded = 0
    public var failed = 0
    /// Messages handed to subscribers, on this loop and on others.
    public var deliveries = 0
    /// Messages that nobody had subscribed.
    public var undelivered = 0
    public var dropped = 0
    public var rejected = 0
    public var malformed = 0
    /// Subscriptions of this loop's connections.
    public var subscriptions = 0

    public init() {}
}
