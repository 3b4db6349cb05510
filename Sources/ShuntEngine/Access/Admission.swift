import ShuntCore

/// What a client shows to be let in.
public struct Credentials: Sendable {
    /// Its listener's number.
    public var listener: Int
    public var protocolName: ClientProtocol
    public var address: PeerAddress
    /// MQTT: as in CONNECT; empty where the worker is to choose one.
    public var clientID = ""
    public var user: String?
    /// A password, or a token. Never logged.
    public var password: [UInt8]?
    /// Whether the client says that it is a token.
    public var isToken = false
    /// Whether the client is in already, and shows another token.
    public var isRenewal = false

    public init(
        listener: Int, _ protocolName: ClientProtocol, address: PeerAddress, clientID: String = "", user: String? = nil, password: [UInt8]? = nil
    ) {
        (self.listener, self.protocolName, self.address) = (listener, protocolName, address)
        (self.clientID, self.user, self.password) = (clientID, user, password)
    }
}

extension Credentials: CustomStringConvertible, CustomDebugStringConvertible {
    /// Without the password.
    public var description: String { "\(address) client '\(clientID)' user \(user.map { "'\(RefusedClients.shown($0))'" } ?? "none")" }
    public var debugDescription: String { description }
}

/// What has become of a client's wish to come in.
public enum Admission: Sendable {
    case admitted(Admitted)
    /// Nothing knows it: rules may let it in under a uid; else it comes in without one, or not at all.
    case unknown(mayEnter: Bool)
    /// `access.credentials` and the like.
    case refused(ShuntError)
}

/// How a listener lets clients in, as a loop has it.
public struct ListenerAccess {
    /// Whether it is asked for each client whether to let it in.
    public var asks: Bool
    /// Whether tokens count.
    public var takesTokens: Bool
    /// Whether a client of the exchange protocol has to begin by showing who it is: one that is silent is closed.
    public var wantsCredentials = false
    /// Whether a client that is in still counts as who it was: its password may have gone, or be another. nil: all do.
    public var counts: ((Admitted) -> Bool)?
    /// What a client may do; nil: everything.
    public var permissions: ((Admitted, _ clientID: String, PeerAddress) -> any Permissions)?

    public init(asks: Bool, takesTokens: Bool = false, permissions: ((Admitted, _ clientID: String, PeerAddress) -> any Permissions)?) {
        (self.asks, self.takesTokens) = (asks, takesTokens)
        self.permissions = permissions
    }
}

/// A client that was let in by a listener that asks, and what it may do.
final class ClientAccess {
    let admitted: Admitted
    /// The listener's number.
    let listener: Int
    let clientID: String
    let address: PeerAddress
    /// nil: everything.
    var permissions: (any Permissions)?
    /// Whether it has said by CONNECT that AUTH may bring newer tokens.
    var isRenewable = false

    init(_ admitted: Admitted, listener: Int, clientID: String, address: PeerAddress) {
        (self.admitted, self.listener, self.clientID, self.address) = (admitted, listener, clientID, address)
    }
}
