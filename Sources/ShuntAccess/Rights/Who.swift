import ShuntCore

/// A client, as far as rights depend on it.
public struct Who: Hashable, Sendable {
    /// `%u`; empty for a client that nothing names.
    public var uid: String
    /// `%c`; empty where the protocol has none.
    public var clientID: String
    public var address: PeerAddress
    /// The common name of its certificate, if that was verified.
    public var certificate: String?
    /// What its token, or the answer of the HTTP service, lets it do.
    public var acl: TopicLists?

    public init(
        uid: String = "", clientID: String = "", address: PeerAddress = PeerAddress(), certificate: String? = nil, acl: TopicLists? = nil
    ) {
        self.uid = uid
        self.clientID = clientID
        self.address = address
        self.certificate = certificate
        self.acl = acl
    }
}
