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
    static let defaultMaster = AdminAddresses(AdminAddress(HostPort("127.0.0.1", ClientContext.adminPort)))
    static let adminVariable = "SHUNT_ADMIN"
    /// The variable that all commands read: the masters, perhaps with their ports for clients.
    static let masterVariable = "SHUNT_MASTER"

    @Option(
        help: ArgumentHelp(
            "The master to ask; a port of its admin API other than 4080 after a colon; https:// before it where the API speaks TLS; commas "
                + "between several, of which the one that serves answers. Default: what the environment's SHUNT_ADMIN says, else the hosts in "
                + "SHUNT_MASTER, else the context, else 127.0.0.1.",
            valueName: "host"),
        transform: AdminOptions.parseAddresses)
    var master: AdminAddresses?

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
        if cafile != nil, let master, !master.areSecure { throw ValidationError("--cafile needs an address that begins with https://.") }
    }

    /// - Parameters:
    ///   - now: seconds since 1970.
    ///   - say: writes a line for people.
    ///   - note: the same for remarks of masters, which come with many answers.
    func source(
        environment: [String: String], now: @escaping @Sendable () -> Double, say: @escaping @Sendable (String) -> Void,
        note: @escaping @Sendable (String) -> Void = { _ in }
    ) throws(ShuntError) -> any AdminSource {
        if let registry { return try RegistrySource(path: registry, now: now) }
        let choice = try ContextChoice.find(context, environment: environment)
        let masters = try addresses(choice, environment)
        let tls = masters.areSecure ? try TLSClient(authorities: authorities(choice, environment)) : nil
        let tokenFile = tokenFile
        @Sendable func source(_ address: HostPort, isSecure: Bool) throws(ShuntError) -> APISource {
            let token = try AdminToken.find(file: tokenFile, choice, for: address, environment: environment)
            return APISource(address: address, token: token, tls: isSecure ? tls : nil, note: note)
        }
        var sources: [APISource] = []
        for master in masters.list { sources.append(try source(master.address, isSecure: master.isSecure)) }
        return MastersSource(sources, other: { address throws(ShuntError) in try source(address, isSecure: masters.areSecure) }, say: say)
    }

    private func addresses(_ choice: ContextChoice?, _ environment: [String: String]) throws(ShuntError) -> AdminAddresses {
        if let master { return master }
        if let choice, choice.isAskedFor, let addresses = AdminAddresses(choice.context.adminAddresses) { return addresses }
        func addresses(in variable: String, _ read: (String) -> AdminAddresses?) throws(ShuntError) -> AdminAddresses? {
            guard let text = environment[variable], !text.isEmpty else { return nil }
            if let addresses = read(text) { return addresses }
            throw ShuntError(
                .usage, "'\(text)' is not an address", at: "the environment's \(variable)", help: "set it to something like 127.0.0.1")
        }
        if let addresses = try addresses(in: Self.adminVariable, AdminAddresses.init) { return addresses }
        if let addresses = try addresses(in: Self.masterVariable, Self.hosts) { return addresses }
        return choice.flatMap { AdminAddresses($0.context.adminAddresses) } ?? Self.defaultMaster
    }

    /// nil: those that the system trusts.
    private func authorities(_ choice: ContextChoice?, _ environment: [String: String]) -> String? {
        let known = choice.flatMap { $0.context.cafile.isEmpty ? nil : $0 }
        if let cafile { return cafile }
        if let known, known.isAskedFor { return known.context.cafile }
        return environment["SHUNT_CAFILE"].flatMap { $0.isEmpty ? nil : $0 } ?? known?.context.cafile
    }

    /// The masters of a list of their ports for clients: their admin API has a port of its own, the usual one.
    private static func hosts(_ text: String) -> AdminAddresses? {
        guard var masters = AdminAddresses(text) else { return nil }
        for place in masters.list.indices { masters.list[place].address = HostPort(masters.list[place].address.host, ClientContext.adminPort) }
        return AdminAddresses(masters.list)
    }

    @Sendable private static func parseAddresses(_ text: String) throws -> AdminAddresses {
        guard let addresses = AdminAddresses(text) else {
            throw ValidationError("'\(text)' is not an address: give something like 127.0.0.1 or 127.0.0.1:4080, commas between several.")
        }
        return addresses
    }
}

/// The admin APIs of a cluster's masters, at least one, each once.
struct AdminAddresses: Equatable, Sendable {
    static let most = 16

    fileprivate(set) var list: [AdminAddress]

    init(_ one: AdminAddress) { list = [one] }

    /// nil where there is none.
    init?(_ addresses: [AdminAddress]) {
        list = []
        for address in addresses where !list.contains(where: { $0.address == address.address }) { list.append(address) }
        if list.isEmpty { return nil }
    }

    /// With commas between several. nil where one is no address, or there are too many.
    init?(_ text: String) {
        let texts = text.split(separator: ",", omittingEmptySubsequences: false)
        let addresses = texts.compactMap { AdminAddress($0.filter { $0 != " " }) }
        guard addresses.count == texts.count, texts.count <= Self.most else { return nil }
        self.init(addresses)
    }

    /// Whether one of them speaks TLS.
    var areSecure: Bool { list.contains(where: \.isSecure) }
}
