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

    /// The places of its bytes.
    public var range: Range<Int> { Int(offset)..<Int(offset) + Int(count) }
}

/// What a loop's driver is to do. Plain values: a batch of them is an array that is filled and emptied again.
public enum LoopAction: Equatable, Sendable {
    /// A message for a client of this loop. May be dropped if the client is too slow.
    case deliver(ConnectionID, Stretch)
    /// The same, once the rules have been asked about it: `offer(_:to:now:)`.
    case offer(ConnectionID, Stretch)
    /// A message for a client of another loop.
    case forward(ConnectionID, Stretch)
    /// From here on, what becomes of messages that are delivered is counted, until `endTally`.
    case beginTally
    /// Tell the engine what became of them: `tallied`.
    case endTally(BroadcastID)
    /// The acknowledgement 200 without a body.
    case acknowledge(ConnectionID, id: Int64)
    /// A frame that answers a request.
    case answer(ConnectionID, Stretch)
    /// Write what waits, then close.
    case close(ConnectionID, ErrorCode)
    /// Stop reading from a client: a consumer of its messages is congested.
    case hold(ConnectionID)
    /// Read from it again.
    case resume(ConnectionID)
}

/// What the rules have decided about a message for one client.
public enum Delivery: Equatable, Sendable {
    /// The client gets the frame that was offered.
    case unchanged
    /// The client gets the frame in `replacement` instead.
    case replaced
    /// The client does not get it.
    case dropped
}

/// What a loop tells others of its worker.
public enum LoopLetter: Equatable, Sendable {
    case subscribed(Subscription)
    case unsubscribed(ConnectionID, filter: String, group: String, key: String?)
    case left(ConnectionID)
    case pressure(ConsumerPressure, ConnectionID)
    /// Answer with `synced` once all letters so far have been read: the subscriptions in them are this loop's `number`th.
    case sync(loop: UInt8, number: UInt64)
    case synced(loop: UInt8, number: UInt64)
    /// A device has registered: whoever has one of the same name gives it up.
    case registered(uid: String, device: String, ConnectionID, at: Double)
    /// Deliver a broadcast to the devices here that match, and say how many there were.
    case broadcast(BroadcastID, DeviceFilter, frame: [UInt8])
    case tallied(BroadcastID, BroadcastTally)
    /// For the loop that a chat is at home on. With the client as rules see it, who may be unknown there.
    case chat(ChatEvent, Peer?)
    /// For the loop that a chat's member is connected to.
    case chatAction(ChatAction)
}

extension LoopLetter {
    /// Bytes of messages that it carries.
    public var payloadSize: Int {
        switch self {
        case .broadcast(_, _, let frame): frame.count
        case .chat(.request(let request), _): request.payload.bytes.count
        case .chat(.announce(_, let payload), _), .chatAction(.deliver(_, _, _, let payload)): payload.bytes.count
        default: 0
        }
    }
}

/// A letter and whom it is for.
public struct AddressedLetter: Equatable, Sendable {
    /// nil: all other loops.
    public var loop: UInt8?
    public var letter: LoopLetter
}

/// What a loop asks of the worker's master, or tells it.
public enum MasterMessage: Equatable, Sendable {
    case registered(Device)
    case unregistered(uid: String, device: String, registeredAt: Double)
    /// Answered by `answered(chat:request:_:)` on this loop.
    case askChat(request: UInt64, chat: String)
    /// Answered by `confirmed(_:now:)` on this loop when the master has taken all that was told before.
    case confirm(request: UInt64)
    case chat(ChatNews)
}

/// A broadcast under way in a worker: the loop that it came in on, and its number there.
public struct BroadcastID: Hashable, Sendable {
    public var loop: UInt8
    public var number: UInt32
}

/// What became of a broadcast.
public struct BroadcastTally: Equatable, Sendable {
    /// Devices that the filter takes.
    public var matched = 0
    /// Of these, whose connection took the message.
    public var sent = 0
    /// Of these, whose connection was too slow for it.
    public var slow = 0
    /// Of these, which a rule has kept it from.
    public var dropped = 0

    public init(matched: Int = 0, sent: Int = 0, slow: Int = 0, dropped: Int = 0) {
        self.matched = matched
        self.sent = sent
        self.slow = slow
        self.dropped = dropped
    }

    static func += (left: inout Self, right: Self) {
        left.matched += right.matched
        left.sent += right.sent
        left.slow += right.slow
        left.dropped += right.dropped
    }

    /// For the sender: `3 matched, 2 sent, 1 not sent (too slow)`, or `… 2 not sent (1 too slow, 1 dropped by a rule)`.
    public var text: String {
        let reasons = [(slow, "too slow"), (dropped, "dropped by a rule"), (matched - sent - slow - dropped, "gone")]
            .filter { $0.0 > 0 }
        let words = reasons.count == 1 ? reasons.map(\.1) : reasons.map { "\($0.0) \($0.1)" }
        let why = words.isEmpty ? "" : " (" + words.joined(separator: ", ") + ")"
        return "\(matched) matched, \(sent) sent, \(matched - sent) not sent" + why
    }
}

/// What a loop counted. Totals since it started, but for `subscriptions`.
public struct RoutingFigures: Equatable, Sendable {
    public var requests = 0
    public var requestBytes = 0
    public var succeeded = 0
    public var failed = 0
    /// Messages that nobody had subscribed.
    public var undelivered = 0
    public var dropped = 0
    public var rejected = 0
    public var malformed = 0
    /// Subscriptions of this loop's connections.
    public var subscriptions = 0
    /// Clients of this loop that are not read from, since a consumer of their messages is congested.
    public var heldProducers = 0
    /// How often a client was held.
    public var holds = 0
    /// Consumers of this loop that are stuck.
    public var stuckConsumers = 0
    /// Registered devices of this loop.
    public var devices = 0
    public var broadcasts = 0
    /// Chats that are at home on this loop.
    public var chats = 0
    public var chatMessages = 0
    /// Messages that were held for members of chats, and given up.
    public var expired = 0

    public init() {}
}
