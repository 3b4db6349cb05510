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
    static let defaultMaster = AdminAddress(HostPort("127.0.0.1", ClientContext.adminPort))
    static let adminVariable = "SHUNT_ADMIN"
    /// The variable that all commands read: the masters, perhaps with their ports for clients.
    static let masterVariable = "SHUNT_MASTER"

    @Option(
        help: ArgumentHelp(
            "The master to ask; a port of its admin API other than 4080 after a colon; https:// before it where the API speaks TLS. Default: "
                + "what the environment's SHUNT_ADMIN says, else the host in SHUNT_MASTER, else the context, else 127.0.0.1.",
            valueName: "host"),
        transform: AdminOptions.parseAddress)
    var master: AdminAddress?

    @Option(
        help: ArgumentHelp(
            "TLS: the certificates of the authorities to trust, in PEM. Default: what the environment's SHUNT_CAFILE "
                + "says, else the context, else those that the system trusts.",
            valueName: "file"), completion: .file())
    var cafile: String?

    @Option(help: ArgumentHelp("Read the registry's file instead of asking a master.", valueName: "path"), completion: .file())
    var registry: String?

    @Option(
        help: ArgumentHelp(
            "The file whose first line is your token, where the master asks for one. Default: the token in the environment's "
                + "SHUNT_ADMIN_TOKEN, else the context's.", valueName: "path"), completion: .file())
    var tokenFile: String?

    @Option(
        help: ArgumentHelp(
            "The context that says where the master is, and where your token. Default: the environment's SHUNT_CONTEXT, else the current one; "
                + "see shunt context.", valueName: "name"))
    var context: String?

    @Option(name: [.short, .long], help: "How to write the answer. json is just what the admin API gives; csv is RFC 4180.")
    var output: OutputFormat = .table

    func validate() throws {
        guard master == nil || registry == nil else {
            throw ValidationError("--master and --registry exclude each other: give the one to ask.")
        }
        guard context == nil || registry == nil else {
            throw ValidationError("--context and --registry exclude each other: give the one to ask.")
        }
        guard tokenFile == nil || registry == nil else {
            throw ValidationError("--token-file and --registry exclude each other: a file asks for no token.")
        }
        if cafile != nil, let master, !master.isSecure { throw ValidationError("--cafile needs an address that begins with https://.") }
    }

    /// - Parameter now: seconds since 1970.
    func source(
        environment: [String: String], now: @escaping @Sendable () -> Double, note: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(ShuntError) -> any AdminSource {
        if let registry { return try RegistrySource(path: registry, now: now) }
        let choice = try ContextChoice.find(context, environment: environment)
        let master = try address(choice, environment)
        let token = try AdminToken.find(file: tokenFile, choice, for: master.address, environment: environment)
        let tls = master.isSecure ? try TLSClient(authorities: authorities(choice, environment)) : nil
        return APISource(address: master.address, token: token, tls: tls, note: note)
    }

    private func address(_ choice: ContextChoice?, _ environment: [String: String]) throws(ShuntError) -> AdminAddress {
        if let master { return master }
        if let choice, choice.isAskedFor, let address = choice.context.adminAddress { return address }
        func address(in variable: String, _ read: (String) -> AdminAddress?) throws(ShuntError) -> AdminAddress? {
            guard let text = environment[variable], !text.isEmpty else { return nil }
            if let address = read(text) { return address }
            throw ShuntError(
                .usage, "'\(text)' is not an address", at: "the environment's \(variable)", help: "set it to something like 127.0.0.1")
        }
        if let address = try address(in: Self.adminVariable, AdminAddress.init) { return address }
        return try address(in: Self.masterVariable, Self.firstHost) ?? choice?.context.adminAddress ?? Self.defaultMaster
    }

    /// nil: those that the system trusts.
    private func authorities(_ choice: ContextChoice?, _ environment: [String: String]) -> String? {
        let known = choice.flatMap { $0.context.cafile.isEmpty ? nil : $0 }
        if let cafile { return cafile }
        if let known, known.isAskedFor { return known.context.cafile }
        return environment["SHUNT_CAFILE"].flatMap { $0.isEmpty ? nil : $0 } ?? known?.context.cafile
    }

    /// The first master of a list: its admin API has a port of its own, the usual one.
    private static func firstHost(_ text: String) -> AdminAddress? {
        guard let first = text.split(separator: ",").first, var master = AdminAddress(String(first).filter({ $0 != " " })) else { return nil }
        master.address = HostPort(master.address.host, ClientContext.adminPort)
        return master
    }

    @Sendable private static func parseAddress(_ text: String) throws -> AdminAddress {
        guard let address = AdminAddress(text) else {
            throw ValidationError("'\(text)' is not an address: give something like 127.0.0.1 or 127.0.0.1:4080.")
        }
        return address
    }
}
