import ArgumentParser
import ShuntConfig
import ShuntCore
import ShuntTLSNIO

/// The format of an answer.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case table, json, csv
}

/// The source to ask and the format of the answer; every subcommand takes these options.
struct AdminOptions: ParsableArguments {
    static let defaultMaster = HostPort("127.0.0.1", 4080)
    static let adminVariable = "SHUNT_ADMIN"
    /// The variable that all commands read: the masters, perhaps with their ports for clients.
    static let masterVariable = "SHUNT_MASTER"

    @Option(
        help: ArgumentHelp(
            "The master to ask; a port of its admin API other than 4080 after a colon; https:// before it where the API speaks TLS. Default: "
                + "what the environment's SHUNT_ADMIN says, else the host in SHUNT_MASTER, else 127.0.0.1.",
            valueName: "host"),
        transform: AdminOptions.parseAddress)
    var master: MasterAddress?

    @Option(
        help: ArgumentHelp(
            "TLS: the certificates of the authorities to trust, in PEM. Default: what SHUNT_CAFILE says, else those that the system trusts.",
            valueName: "file"), completion: .file())
    var cafile: String?

    @Option(help: ArgumentHelp("Read the registry's file instead of asking a master.", valueName: "path"), completion: .file())
    var registry: String?

    @Option(name: [.short, .long], help: "How to write the answer. json is just what the admin API gives; csv is RFC 4180.")
    var output: OutputFormat = .table

    func validate() throws {
        guard master == nil || registry == nil else {
            throw ValidationError("--master and --registry exclude each other: give the one to ask.")
        }
        if cafile != nil, let master, !master.isSecure { throw ValidationError("--cafile needs an address that begins with https://.") }
    }

    /// - Parameter now: seconds since 1970.
    func source(
        environment: [String: String], now: @escaping @Sendable () -> Double
    ) throws(ShuntError) -> any AdminSource {
        if let registry { return try RegistrySource(path: registry, now: now) }
        if let master { return try api(master, environment) }
        func address(in variable: String, _ read: (String) -> MasterAddress?) throws(ShuntError) -> MasterAddress? {
            guard let text = environment[variable], !text.isEmpty else { return nil }
            if let address = read(text) { return address }
            throw ShuntError(
                .usage, "'\(text)' is not an address", at: "the environment's \(variable)", help: "set it to something like 127.0.0.1")
        }
        if let address = try address(in: Self.adminVariable, Self.address) { return try api(address, environment) }
        if let address = try address(in: Self.masterVariable, Self.firstHost) { return try api(address, environment) }
        return APISource(address: Self.defaultMaster)
    }

    private func api(_ master: MasterAddress, _ environment: [String: String]) throws(ShuntError) -> APISource {
        let authorities = cafile ?? environment["SHUNT_CAFILE"].flatMap { $0.isEmpty ? nil : $0 }
        return APISource(address: master.address, tls: master.isSecure ? try TLSClient(authorities: authorities) : nil)
    }

    /// The first master of a list: its admin API has a port of its own, the usual one.
    private static func firstHost(_ text: String) -> MasterAddress? {
        guard let first = text.split(separator: ",").first else { return nil }
        let trimmed = String(first).filter { $0 != " " }
        return address(trimmed).map { MasterAddress(address: HostPort($0.address.host, defaultMaster.port), isSecure: $0.isSecure) }
    }

    @Sendable private static func parseAddress(_ text: String) throws -> MasterAddress {
        guard let address = address(text) else {
            throw ValidationError("'\(text)' is not an address: give something like 127.0.0.1 or 127.0.0.1:4080.")
        }
        return address
    }

    /// `host` or `host:port`, also as the beginning of a URL.
    private static func address(_ text: String) -> MasterAddress? {
        var rest = Substring(text)
        let isSecure = rest.hasPrefix("https://")
        if isSecure || rest.hasPrefix("http://") { rest = rest.dropFirst(isSecure ? "https://".count : "http://".count) }
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        return HostPort(rest, defaultPort: defaultMaster.port).map { MasterAddress(address: $0, isSecure: isSecure) }
    }
}

/// Where a master's admin API answers.
struct MasterAddress: Equatable {
    var address: HostPort
    /// Whether it speaks TLS.
    var isSecure: Bool
}
