import ArgumentParser
import ShuntClient
import ShuntConfig
import ShuntCore

/// The options by which a client command speaks MQTT instead of the exchange protocol.
struct MQTTArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Speak MQTT 5.0 to this broker, instead of the exchange protocol to workers; a port other than 1883 (8883 with --tls) after a colon.",
            valueName: "host"))
    var mqtt: String?

    @Flag(name: .customLong("v311"), help: "Speak MQTT 3.1.1, which has no properties, reasons or expiry.")
    var isOld = false

    @Option(parsing: .unconditional, help: ArgumentHelp("The QoS: 0 at most once, 1 at least once, 2 exactly once. Default: 1.", valueName: "0|1|2"))
    var qos: QoS?

    @Option(name: .customLong("id"), help: ArgumentHelp("The client id. Default: one that is made up.", valueName: "client-id"))
    var clientID: String?

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
                ("--v311", isOld), ("--qos", qos != nil), ("--id", clientID != nil), (clean == false ? "--no-clean" : "--clean", clean != nil),
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

    /// - Parameter isSecure: whether TLS is spoken.
    /// - Returns: nil without --mqtt.
    /// - Throws: `usage` where the text is no address.
    func broker(isSecure: Bool) throws(ShuntError) -> HostPort? {
        guard let mqtt else { return nil }
        guard let broker = HostPort(mqtt, defaultPort: isSecure ? Self.securePort : Self.usualPort) else {
            throw ShuntError(.usage, "'\(mqtt)' is no address", at: "--mqtt", help: "a host, such as 127.0.0.1 or broker.example:1884")
        }
        return broker
    }

    private static let usualPort = 1883
    private static let securePort = 8883

    var version: MQTTVersion { isOld ? .v3_1_1 : .v5 }

    /// The options without those of one command, and without the user.
    var options: MQTTOptions {
        var options = MQTTOptions()
        options.version = version
        options.clientID = clientID
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
