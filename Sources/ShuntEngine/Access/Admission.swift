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

    public init(
        listener: Int, _ protocolName: ClientProtocol, address: PeerAddress, clientID: String = "", user: String? = nil, password: [UInt8]? = nil
    ) {
        (self.listener, self.protocolName, self.address) = (listener, protocolName, address)
        (self.clientID, self.user, self.password) = (clientID, user, password)
    }
}

extension Credentials: CustomStringConvertible, CustomDebugStringConvertible {
    /// Without the password.
    public var description: String { "\(address) client '\(clientID)' user \(user.map { "'\($0)'" } ?? "none")" }
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
    /// What a client may do; nil: everything.
    public var permissions: ((Admitted, _ clientID: String, PeerAddress) -> any Permissions)?

    public init(asks: Bool, permissions: ((Admitted, _ clientID: String, PeerAddress) -> any Permissions)?) {
        self.asks = asks
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

    init(_ admitted: Admitted, listener: Int, clientID: String, address: PeerAddress) {
        (self.admitted, self.listener, self.clientID, self.address) = (admitted, listener, clientID, address)
    }
}
