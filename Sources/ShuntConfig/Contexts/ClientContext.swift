public import ShuntCore

/// A cluster as a user's commands reach it: addresses, and the files of secrets.
public struct ClientContext: Equatable, Sendable {
    public var admin: AdminAddress?
    public var masters: [HostPort] = []
    /// Workers to go to straight; they go before the masters.
    public var workers: [HostPort] = []
    /// The file of the token for the admin API; empty: none. The paths of files are absolute.
    public var tokenFile = ""
    /// Whether workers and brokers are spoken to by TLS.
    public var tls = false
    /// The file of the authorities to trust; empty: those that the system trusts.
    public var cafile = ""
    /// The files of the client's own certificate and its key; empty: none.
    public var cert = ""
    public var certKey = ""
    /// The user name; empty: none.
    public var user = ""
    public var passwordFile = ""
    /// The file of a token (JWT) instead of a password; empty: none.
    public var jwtFile = ""

    public init() {}

    public static let adminPort = 4080
    public static let masterPort = 4088

    /// Where the admin APIs are: where the context says, else at the usual port of each master.
    public var adminAddresses: [AdminAddress] { admin.map { [$0] } ?? masters.map { AdminAddress(HostPort($0.host, Self.adminPort)) } }

    /// Whether this host is one of the context's: its secrets go to no other.
    public func knows(host: String) -> Bool { admin?.address.host == host || (masters + workers).contains { $0.host == host } }

    /// The keys that say something, with their values as they are written; no secrets.
    public var fields: [(key: String, value: String)] {
        let nothing = ClientContext()
        return Self.keys.filter { $0.text(self) != $0.text(nothing) }.map { (key: $0.path.joined(separator: "."), value: $0.text(self)) }
    }

    static let keys: [ConfigKey<ClientContext>] = [
        ConfigKey("admin", \.admin, .adminAddress, .restart, "The master's admin API."),
        ConfigKey("master", \.masters, .addresses(defaultPort: masterPort), .restart, "The masters."),
        ConfigKey("worker", \.workers, .addresses(defaultPort: nil), .restart, "Workers to go to straight, without asking a master."),
        ConfigKey("token_file", \.tokenFile, .path(emptyMeans: "no token"), .restart, "The file of the token for the admin API."),
        ConfigKey("tls", \.tls, .bool, .restart, "Whether workers and brokers are spoken to by TLS."),
        ConfigKey("cafile", \.cafile, .path(emptyMeans: "those that the system trusts"), .restart, "The authorities to trust, for TLS."),
        ConfigKey("cert", \.cert, .path(emptyMeans: "none"), .restart, "The client's own certificate, for TLS."),
        ConfigKey("cert_key", \.certKey, .path(emptyMeans: "beside the certificate, or in it"), .restart, "Its key."),
        ConfigKey("user", \.user, .name(maximum: 255, emptyMeans: "no user name"), .restart, "The user name."),
        ConfigKey("password_file", \.passwordFile, .path(emptyMeans: "no password"), .restart, "The file of the user's password."),
        ConfigKey("jwt_file", \.jwtFile, .path(emptyMeans: "no token"), .restart, "The file of a token (JWT) for workers, instead of a password."),
    ]
}

extension ConfigType<AdminAddress?> {
    fileprivate static var adminAddress: ConfigType {
        let words = "host or host:port, https:// before it for TLS; a host alone has port \(ClientContext.adminPort)"
        return scalar(words, text: { YAMLText.scalar($0?.description ?? "") }) { text throws(ScalarFault) in
            guard let address = AdminAddress(text) else { throw .type }
            return address
        }
    }
}

extension ConfigType<[HostPort]> {
    fileprivate static func addresses(defaultPort: Int?) -> ConfigType {
        let port = defaultPort.map { "; a host alone has port \($0)" } ?? ""
        return scalar("host:port, commas between several\(port)", text: { YAMLText.scalar($0.map(\.description).joined(separator: ",")) }) {
            text throws(ScalarFault) in
            do throws(ShuntError) {
                return try HostPort.list(text, defaultPort: defaultPort)
            } catch {
                throw .type
            }
        }
    }
}
