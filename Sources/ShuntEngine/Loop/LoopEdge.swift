import ShuntCore

/// What is around a loop's engine: the connections of its clients, the other loops, the master. Real ones in a worker, others in a simulation.
public protocol LoopEdge: AnyObject {
    /// Seconds since 1970.
    var now: Double { get }

    /// Whether a client's bytes are taken: it is open, it is not held, and the ways to the other loops have room.
    func reads(_ client: ConnectionID) -> Bool

    /// Rules have taken long for what a client has sent: the rest of it is taken when the others have had their turn.
    func postpone(_ client: ConnectionID)

    /// Queues a message.
    /// - Returns: nil where the client has gone.
    func send(_ bytes: Bytes, to client: ConnectionID) -> SendOutcome?

    /// Queues an answer of so many bytes, which `write` writes. A client that has gone gets none.
    func answer(_ count: Int, to client: ConnectionID, _ write: (UnsafeMutableRawPointer) -> Void)

    /// Closes a client once it has been written what waits for it.
    /// - Parameter code: why; nil where the client has asked for it.
    func close(_ client: ConnectionID, _ code: ErrorCode?)

    /// Gives a client's connection to another loop, where it begins with these bytes.
    func move(_ client: ConnectionID, to loop: Int, unread: Bytes)

    /// Decides whether a client is let in, and tells the driver: `decided`. Nothing of the client is read until `readAgain`.
    func authenticate(_ client: ConnectionID, _ credentials: Credentials)

    /// Reads from such a client: what it had sent comes again.
    func readAgain(_ client: ConnectionID)

    /// A client's rules look something up, or have decided: nothing of it is read meanwhile.
    func setWaiting(_ isWaiting: Bool, _ client: ConnectionID)

    /// Closes a client that waits for its rules, has gone meanwhile, and has left nothing to be read. - Returns: whether it did.
    func closeIfGone(_ client: ConnectionID) -> Bool

    /// Begins another turn when this one has ended.
    func wakeAgain()

    /// Stops reading from a client, or reads from it again.
    func setHeld(_ isHeld: Bool, _ client: ConnectionID)

    /// Mail to be filled: empty, perhaps with the memory of mail that was read.
    func emptyMail() -> LoopMail

    /// Sends mail to another loop.
    func post(_ mail: LoopMail, to loop: Int)

    func tellMaster(_ news: [MasterNews])
}

extension LoopEdge {
    public func setWaiting(_ isWaiting: Bool, _ client: ConnectionID) { setHeld(isWaiting, client) }
    public func closeIfGone(_ client: ConnectionID) -> Bool { false }
}
