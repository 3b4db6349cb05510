import ArgumentParser
import ShuntConfig
import ShuntCore

/// How an answer is written.
enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case table, json, csv
}

/// Where to ask and how to answer; every subcommand takes these.
struct AdminOptions: ParsableArguments {
    static let defaultMaster = NetworkAddress("127.0.0.1", 4080)
    static let masterVariable = "SHUNT_ADMIN"

    @Option(
        help: ArgumentHelp(
            "The master's admin API. Default: what the environment's SHUNT_ADMIN says, else 127.0.0.1:4080.",
            valueName: "host:port"),
        transform: AdminOptions.parseAddress)
    var master: NetworkAddress?

    @Option(help: ArgumentHelp("Read the registry's file instead of asking a master.", valueName: "path"))
    var registry: String?

    @Option(name: [.short, .long], help: "How to write the answer. json is just what the admin API gives; csv is RFC 4180.")
    var output: OutputFormat = .table

    func validate() throws {
        guard master == nil || registry == nil else {
            throw ValidationError("--master and --registry exclude each other: give the one to ask.")
        }
    }

    /// - Parameter now: seconds since 1970.
    func source(
        environment: [String: String], now: @escaping @Sendable () -> Double
    ) throws(ShuntError) -> any AdminSource {
        if let registry { return try RegistrySource(path: registry, now: now) }
        if let master { return APISource(address: master) }
        guard let text = environment[Self.masterVariable], !text.isEmpty else { return APISource(address: Self.defaultMaster) }
        guard let address = Self.address(text) else {
            throw ShuntError(
                .usage, "'\(text)' is not an address", at: "the environment's \(Self.masterVariable)",
                help: "set it to something like 127.0.0.1:4080")
        }
        return APISource(address: address)
    }

    @Sendable private static func parseAddress(_ text: String) throws -> NetworkAddress {
        guard let address = address(text) else {
            throw ValidationError("'\(text)' is not an address: give something like 127.0.0.1:4080.")
        }
        return address
    }

    /// `host:port`, also as the beginning of a URL.
    private static func address(_ text: String) -> NetworkAddress? {
        var rest = Substring(text)
        if rest.hasPrefix("http://") { rest = rest.dropFirst("http://".count) }
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        return NetworkAddress(rest)
    }
}
