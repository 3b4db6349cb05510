import ArgumentParser
import ShuntClient
import ShuntConfig
import ShuntCore

/// The options by which a client command speaks MQTT instead of the exchange protocol.
struct MQTTArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Speak MQTT 5.0 to this broker, instead of the exchange protocol to workers; a port other than 1883 after a colon.",
            valueName: "host"))
    var mqtt: String?

    @Flag(name: .customLong("v311"), help: "Speak MQTT 3.1.1, which has no properties, reasons or expiry.")
    var isOld = false

    @Option(parsing: .unconditional, help: ArgumentHelp("The QoS: 0 at most once, 1 at least once, 2 exactly once. Default: 1.", valueName: "0|1|2"))
    var qos: QoS?

    @Option(name: .customLong("id"), help: ArgumentHelp("The client id. Default: one that is made up.", valueName: "client-id"))
    var clientID: String?

    @Option(name: .customLong("user"), help: ArgumentHelp("The user name.", valueName: "name"))
    var userName: String?

    @Option(
        help: ArgumentHelp(
            "The password. Other users of this machine can see arguments, but neither --password-file nor the environment's SHUNT_MQTT_PASSWORD.",
            valueName: "text"))
    var password: String?

    @Option(help: ArgumentHelp("The file whose first line is the password.", valueName: "path"), completion: .file())
    var passwordFile: String?

    @Flag(
        inversion: .prefixedNo,
        help: "Begin a new session, or go on with the one that the broker has kept for --id. Default: a new one, unless --session-expiry is given.")
    var clean: Bool?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("How long the broker keeps the session when the command has ended. Needs --id.", valueName: "seconds"))
    var sessionExpiry: UInt32?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("After how much silence the broker takes this client for gone; 0: never. Default: 60.", valueName: "seconds"))
    var keepAlive: UInt16?

    @Option(
        name: .customLong("property"), parsing: .singleValue,
        help: ArgumentHelp("A user property, of each message (pub) or of the connection; may be given again.", valueName: "name=value"))
    var properties: [PropertyArgument] = []

    @Option(help: ArgumentHelp("Where the broker publishes a will when this client goes away without a word.", valueName: "topic"))
    var willTopic: String?

    @Option(help: ArgumentHelp("What the will says. Default: nothing.", valueName: "text"))
    var willPayload: String?

    @Option(parsing: .unconditional, help: ArgumentHelp("The will's QoS. Default: 0.", valueName: "0|1|2"))
    var willQos: QoS?

    @Flag(help: "The broker keeps the will for later subscribers.")
    var willRetain = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("How long the broker waits with the will, for the client to come back.", valueName: "seconds"))
    var willDelay: UInt32?

    func validate() throws {
        try refuse(
            without: mqtt != nil, "--mqtt HOST",
            [
                ("--v311", isOld), ("--qos", qos != nil), ("--id", clientID != nil), ("--user", userName != nil),
                ("--password", password != nil), ("--password-file", passwordFile != nil), (clean == false ? "--no-clean" : "--clean", clean != nil),
                ("--session-expiry", sessionExpiry != nil), ("--keep-alive", keepAlive != nil), ("--property", !properties.isEmpty),
                ("--will-topic", willTopic != nil),
            ])
        try refuse(
            without: willTopic != nil, "--will-topic TOPIC",
            [
                ("--will-payload", willPayload != nil), ("--will-qos", willQos != nil), ("--will-retain", willRetain),
                ("--will-delay", willDelay != nil),
            ])
    }

    /// Refuses the first of these options that is given without the one that it needs.
    func refuse(without isThere: Bool, _ needed: String, _ given: [(name: String, isGiven: Bool)]) throws {
        guard !isThere, let option = given.first(where: \.isGiven) else { return }
        throw ValidationError("\(option.name) needs \(needed).")
    }

    /// - Returns: nil without --mqtt.
    /// - Throws: `usage` where the text is no address.
    func broker() throws(ShuntError) -> HostPort? {
        guard let mqtt else { return nil }
        guard let broker = HostPort(mqtt, defaultPort: Self.usualPort) else {
            throw ShuntError(.usage, "'\(mqtt)' is no address", at: "--mqtt", help: "a host, such as 127.0.0.1 or broker.example:1884")
        }
        return broker
    }

    private static let usualPort = 1883

    var version: MQTTVersion { isOld ? .v3_1_1 : .v5 }

    /// The user name and the password. A context's are for its own hosts alone.
    private func credentials(at broker: HostPort, _ choice: ContextChoice?) throws(ShuntError) -> (user: String?, password: [UInt8]?) {
        let context = choice.flatMap { $0.context.knows(host: broker.host) && !$0.context.user.isEmpty ? $0.context : nil }
        let user = userName ?? context?.user
        if let password { return (user, Array(password.utf8)) }
        if let passwordFile { return (user, try Self.firstLine(of: passwordFile)) }
        let isContexts = context.map { $0.user == user && !$0.passwordFile.isEmpty } ?? false
        if let context, isContexts, choice?.isAskedFor == true { return (user, try Self.firstLine(of: context.passwordFile)) }
        if user != nil, let text = ProcessEnvironment.variables["SHUNT_MQTT_PASSWORD"] { return (user, Array(text.utf8)) }
        if let context, isContexts { return (user, try Self.firstLine(of: context.passwordFile)) }
        return (user, nil)
    }

    private static func firstLine(of file: String) throws(ShuntError) -> [UInt8] {
        Array(try SecretText(path: file).text.prefix { !$0.isNewline }.utf8)
    }

    /// The options without those of one command.
    func options(at broker: HostPort, _ choice: ContextChoice?) throws(ShuntError) -> MQTTOptions {
        let credentials = try credentials(at: broker, choice)
        var options = MQTTOptions()
        options.version = version
        options.clientID = clientID
        options.userName = credentials.user
        options.password = credentials.password
        options.isClean = clean ?? (sessionExpiry ?? 0 == 0)
        options.sessionExpiry = sessionExpiry
        options.keepAlive = keepAlive ?? options.keepAlive
        options.qos = qos ?? .atLeastOnce
        if let willTopic {
            var will = OutgoingMessage(topic: willTopic, text: willPayload ?? "")
            will.mqtt.qos = willQos ?? .atMostOnce
            will.mqtt.isRetained = willRetain
            options.will = will
            options.willDelay = willDelay
        }
        return options
    }

    var userProperties: [UserProperty] { properties.map(\.property) }
}

/// `name=value`.
struct PropertyArgument: ExpressibleByArgument {
    let property: UserProperty

    init?(argument: String) {
        guard let sign = argument.firstIndex(of: "="), sign > argument.startIndex else { return nil }
        property = UserProperty(String(argument[..<sign]), String(argument[argument.index(after: sign)...]))
    }
}

extension QoS: ExpressibleByArgument {
    public init?(argument: String) {
        guard let number = UInt8(argument), argument.utf8.count == 1 else { return nil }
        self.init(rawValue: number)
    }

    public static var allValueStrings: [String] { allCases.map { "\($0.rawValue)" } }
    public var defaultValueDescription: String { "\(rawValue)" }
}
