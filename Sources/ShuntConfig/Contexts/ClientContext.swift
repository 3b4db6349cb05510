public import ShuntCore

/// A cluster as a user's commands reach it: addresses, and the files of secrets.
public struct ClientContext: Equatable, Sendable {
    /// The admin API.
    public var admin: HostPort?
    public var masters: [HostPort] = []
    /// Workers to go to straight; they go before the masters.
    public var workers: [HostPort] = []
    /// The file of the token for the admin API; empty: none. Absolute, as `passwordFile` is.
    public var tokenFile = ""
    /// The user name for MQTT; empty: none.
    public var user = ""
    public var passwordFile = ""

    public init() {}

    public static let adminPort = 4080
    public static let masterPort = 4088

    /// Where the admin API is: where the context says, else the usual port of the first master.
    public var adminAddress: HostPort? { admin ?? masters.first.map { HostPort($0.host, Self.adminPort) } }

    /// Whether this host is one of the context's: its secrets go to no other.
    public func knows(host: String) -> Bool { ([admin].compactMap { $0 } + masters + workers).contains { $0.host == host } }

    /// Its keys with their values, as they are written; no secrets.
    public var fields: [(key: String, value: String)] {
        Self.keys.map { (key: $0.path.joined(separator: "."), value: $0.text(self)) }.filter { $0.value != "\"\"" && $0.value != "''" }
    }

    static let keys: [ConfigKey<ClientContext>] = [
        ConfigKey("admin", \.admin, .address(defaultPort: adminPort), .restart, "The master's admin API."),
        ConfigKey("master", \.masters, .addresses(defaultPort: masterPort), .restart, "The masters."),
        ConfigKey("worker", \.workers, .addresses(defaultPort: nil), .restart, "Workers to go to straight, without asking a master."),
        ConfigKey("token_file", \.tokenFile, .path(emptyMeans: "no token"), .restart, "The file of the token for the admin API."),
        ConfigKey("user", \.user, .name(maximum: 255, emptyMeans: "no user name"), .restart, "The user name for MQTT."),
        ConfigKey("password_file", \.passwordFile, .path(emptyMeans: "no password"), .restart, "The file of the user's password."),
    ]
}

extension ConfigType<HostPort?> {
    fileprivate static func address(defaultPort: Int) -> ConfigType {
        scalar("host or host:port; a host alone has port \(defaultPort)", text: { YAMLText.scalar($0?.description ?? "") }) {
            text throws(ScalarFault) in
            guard let address = HostPort(text, defaultPort: defaultPort) else { throw .type }
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
