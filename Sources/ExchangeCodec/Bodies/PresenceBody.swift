/// Who has come or gone, for those who have subscribed `$SYS/clients/#`: a JSON object.
public struct PresenceBody: Equatable, Sendable {
    /// The client identifier.
    public var client: String
    /// The user name; nil where the client has given none.
    public var user: String?
    /// `ip:port`.
    public var address: String
    /// `mqtt 3.1.1` or `mqtt 5.0`.
    public var protocolName: String
    /// Milliseconds since 1970.
    public var at: Int64
    /// Seconds; of a client that has come.
    public var keepAlive: Int?
    /// Of a client that has gone.
    public var why: String?

    public init(client: String, user: String?, address: String, protocolName: String, at: Int64, keepAlive: Int? = nil, why: String? = nil) {
        self.client = client
        self.user = user
        self.address = address
        self.protocolName = protocolName
        self.at = at
        self.keepAlive = keepAlive
        self.why = why
    }

    public func encoded() -> [UInt8] {
        JSONWriter.object { json in
            json.member("client", client)
            json.member("user", user)
            json.member("address", address)
            json.member("protocol", protocolName)
            json.member("at", at)
            json.member("keepAlive", keepAlive)
            json.member("why", why)
        }
    }
}
