import ShuntCore

/// What a loop's driver is to do. Plain values: a batch of them is an array that is filled and emptied again.
public enum LoopAction: Equatable, Sendable {
    /// A message for a client of this loop. May be dropped if the client is too slow.
    case deliver(ConnectionID, Stretch)
    /// The same, once the rules have been asked about it: `offer(_:to:now:)`.
    case offer(ConnectionID, Stretch)
    /// A message for a client of another loop.
    case forward(ConnectionID, Stretch)
    /// The same, for a client whose session has something to say to it.
    case forwardHandOver(ConnectionID, Stretch, HandOver)
    /// A message for a client of this loop whose session has something to say to it: `hand(_:_:to:_:now:)`.
    case hand(ConnectionID, Stretch, HandOver)
    /// A message that a session has let go: with this packet identifier, and these lower bits of its first byte.
    case deliverStamped(ConnectionID, Stretch, PublishStamp)
    /// From here on, what becomes of messages that are delivered is counted, until `endTally`: of a broadcast that came as this frame.
    case beginTally(Stretch)
    /// Tell the engine what became of them: `tallied`.
    case endTally(BroadcastID)
    /// A request was served.
    case receipt(ConnectionID, Receipt)
    /// Bytes that answer a request.
    case answer(ConnectionID, Stretch)
    /// Write what waits, then close: for this reason, or as the client has asked for it.
    case close(ConnectionID, ErrorCode?)
    /// The client is at home on another loop: its connection goes there, with the event's bytes from this offset on.
    case move(ConnectionID, loop: UInt8, offset: UInt32)
    /// Decide whether a client is let in, by what it has shown (`takeCredentials`); nothing of it is read meanwhile.
    case authenticate(ConnectionID)
    /// Read nothing of a client until its rules have decided.
    case wait(ConnectionID)
    /// Stop reading from a client: a consumer of its messages is congested.
    case hold(ConnectionID)
    /// Read from it again.
    case resume(ConnectionID)
}
