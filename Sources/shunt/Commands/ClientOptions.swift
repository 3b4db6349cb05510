import ArgumentParser
import ShuntClient
import ShuntConfig
import ShuntCore

/// The options by which a client command finds its workers.
struct ClientOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The masters to ask which workers there are, with commas between several; a port other than 4088 after a colon. "
                + "Default: what the environment's SHUNT_MASTER says, else the context, else 127.0.0.1.",
            valueName: "host"))
    var master: String?

    @Option(help: ArgumentHelp("Straight to this worker, or these, without asking a master.", valueName: "host:port"))
    var worker: String?

    @Option(
        help: ArgumentHelp(
            "The context that says where masters or workers are, and who you are. Default: the environment's SHUNT_CONTEXT, else the "
                + "current one; see shunt context.", valueName: "name"))
    var context: String?

    @OptionGroup(title: "TLS and credentials") var access: AccessArguments

    @OptionGroup(title: "MQTT") var mqtt: MQTTArguments

    func validate() throws {
        guard mqtt.mqtt != nil else { return }
        if master != nil { throw ValidationError("--mqtt and --master exclude each other: a broker has no master.") }
        if worker != nil { throw ValidationError("--mqtt and --worker exclude each other: give --mqtt the address of a worker's MQTT listener.") }
    }

    /// Whether the command speaks MQTT.
    var speaksMQTT: Bool { mqtt.mqtt != nil }

    /// - Parameter adapt: changes MQTT's options as the command needs them.
    func route(_ adapt: (inout MQTTOptions) -> Void = { _ in }) throws(ShuntError) -> ClientRoute {
        let choice = try choice()
        if let plain = try mqtt.broker(isSecure: false) {
            let settings = try access.settings(choice, for: [plain])
            let credentials = try settings.credentials()
            var options = mqtt.options
            options.userName = credentials.user
            options.password = credentials.password.map { Array($0.utf8) }
            adapt(&options)
            return .mqtt(settings.tls ? try mqtt.broker(isSecure: true) ?? plain : plain, options)
        }
        return try workers(choice)
    }

    private func workers(_ choice: ContextChoice?) throws(ShuntError) -> ClientRoute {
        switch (master, worker) {
        case (nil, let worker?): .workers(try HostPort.list(worker))
        case (let master?, nil): .masters(try HostPort.list(master, defaultPort: Self.masterPort))
        case (nil, nil): try found(choice)
        case (_?, _?): throw ShuntError(.usage, "--master and --worker exclude each other", help: "give one of them")
        }
    }

    private func choice() throws(ShuntError) -> ContextChoice? {
        try ContextChoice.find(context, environment: ProcessEnvironment.variables)
    }

    /// Where no option says it: a context that is asked for, the environment, another context, this machine.
    private func found(_ choice: ContextChoice?) throws(ShuntError) -> ClientRoute {
        let route = choice.flatMap { Self.route(of: $0.context) }
        if choice?.isAskedFor == true, let route { return route }
        if let masters = try Self.mastersOfEnvironment() { return .masters(masters) }
        return route ?? .masters([HostPort("127.0.0.1", Self.masterPort)])
    }

    private static func route(of context: ClientContext) -> ClientRoute? {
        if !context.workers.isEmpty { return .workers(context.workers) }
        return context.masters.isEmpty ? nil : .masters(context.masters)
    }

    private static let masterPort = ClientContext.masterPort
    private static let masterVariable = "SHUNT_MASTER"

    /// nil where the environment names none.
    private static func mastersOfEnvironment() throws(ShuntError) -> [HostPort]? {
        guard let text = ProcessEnvironment.variables[masterVariable], !text.isEmpty else { return nil }
        do throws(ShuntError) {
            return try HostPort.list(text, defaultPort: masterPort)
        } catch {
            throw ShuntError(error.code, error.message, at: "the environment's \(masterVariable)", help: error.help)
        }
    }

    /// A user waits, so there is less patience than for a service.
    /// - Throws: `tls.invalid`, `io.failed` or `usage` for files and credentials that cannot be used.
    func connection() throws(ShuntError) -> ConnectionOptions {
        let settings = try access.settings(try choice(), for: try route().addresses)
        let token = speaksMQTT ? nil : try settings.credentials().token()
        return ConnectionOptions(patience: .seconds(2), tls: try settings.client(), token: token)
    }

    /// Bytes of the largest message.
    var frameLimit: Int { ConnectionOptions().frameLimit }

    /// Does the work, and what is to be done after it, however it ends.
    func run<Value>(
        _ work: () async throws(ShuntError) -> Value, atEnd end: () async -> Void
    ) async throws(ShuntError) -> Value {
        do throws(ShuntError) {
            let value = try await work()
            await end()
            return value
        } catch {
            await end()
            throw error
        }
    }

    /// What to try when no server was found.
    func advice(_ error: ShuntError) -> ShuntError {
        guard error.code == .addressUnavailable || error.code == .connectionLost,
            error.help ?? ShuntError.unreachableHelp == ShuntError.unreachableHelp, let route = try? route()
        else { return error }
        var error = error
        switch route {
        case .mqtt: error.help = "is an MQTT broker listening there? the usual port is 1883"
        case .workers: error.help = "is a worker's exchange listener there? try without --worker, by way of a master"
        case .masters(let masters) where error.location.map { place in masters.contains { $0.description == place } } ?? true:
            error.help = "is a master running there? start one with 'shunt dev --config config/dev.yaml', or name it with --master"
        case .masters:
            error.help =
                "this is a worker that the master lists: does it still run, and does it advertise an address that can be "
                + "reached from here?"
        }
        return error
    }
}

enum CountOption {
    static func check(_ count: Int?) throws {
        if let count, count < 1 { throw ValidationError("--count is \(count): give 1 or more.") }
    }
}
