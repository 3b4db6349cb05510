/// The place where rules look up a client, when they ask for it.
public protocol PeerDirectory: AnyObject {
    /// nil once the client has gone.
    func peer(_ id: ConnectionID) -> Peer?
    /// A text of the client alone; nil once it has gone.
    func text(_ text: PeerText, of id: ConnectionID) -> String?
    func hasPeer(_ id: ConnectionID) -> Bool
    /// The address of a client, also of one that has gone while rules see what it has left; nil where it is not known.
    func address(of id: ConnectionID) -> PeerAddress?
    /// Whether so many bytes more may be delayed for a client: those of one address have a share.
    func mayDelay(by id: ConnectionID, bytes: Int) -> Bool
    /// `conn:close(why)` of a rule: asks for the connection to be closed at the end of the turn.
    /// - Parameter why: may be logged.
    func close(_ id: ConnectionID, why: String, by rule: String)
    /// A rule has failed on a message, which lives during the call.
    func failed(_ rule: String, _ code: ErrorCode, on message: MessageView)
}

extension PeerDirectory {
    public func text(_ text: PeerText, of id: ConnectionID) -> String? { peer(id)?[text] }
    public func hasPeer(_ id: ConnectionID) -> Bool { peer(id) != nil }
    public func failed(_ rule: String, _ code: ErrorCode, on message: MessageView) {}
    public func address(of id: ConnectionID) -> PeerAddress? { nil }
    public func mayDelay(by id: ConnectionID, bytes: Int) -> Bool { true }
}
