import ArgumentParser
import ShuntClient
import ShuntCore
import ShuntShell

/// `shunt sub`: the messages of a topic.
struct Sub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print the messages of a topic.",
        discussion: """
            Subscribes at every worker that the master lists, and at new ones as they come. Messages go to standard output, one \
            a line; how the connections fare goes to standard error. Ctrl-C ends it.

              shunt sub orders/1                              messages of one topic
              shunt sub 'orders/#'                            + is a level, # the rest
              shunt sub orders/1 --key eu                     only with this key
              shunt sub orders/1 --group billing              share them with a group
              shunt sub 'orders/#' --output json | jq .topic  JSON, an object a line
              shunt sub orders/1 --count 1 --output payload   one payload, and end
              shunt sub 'sensors/#' --mqtt 127.0.0.1          at an MQTT broker
              shunt sub 'sensors/#' --mqtt 127.0.0.1 --id x1 --session-expiry 3600
                                                              what came since, too

            As text a line is topic, key and payload with tabs between, and control characters are escaped. As JSON it has \
            topic, key, format, payload and id; a payload that is not UTF-8 is in base64, with "encoding":"base64".

            Over MQTT a JSON object has qos, retain and what properties there are in place of the id; --group is a shared \
            subscription. Messages are acknowledged when they are printed.

            Exit codes: 0 ended, 65 or 77 the subscription was refused, 69 no server was found, 74 the output cannot be written. \
            What does not end within a second of Ctrl-C, because nobody reads its output, ends with 130.
            """)

    @Argument(help: "The topic or topic filter.")
    var topic: String

    @Option(help: "The consumer group: each message goes to one of its members (default: a group of its own).")
    var group: String?

    @Option(help: "Only messages with this key.")
    var key: String?

    @Option(parsing: .unconditional, help: "End after so many messages.")
    var count: Int?

    @Option(help: "text, json or payload.")
    var output = MessagePrinter.Style.text

    @Flag(help: "Begin each line with the time of arrival (text and json).")
    var timestamps = false

    @Flag(help: "Nothing on standard error but errors.")
    var quiet = false

    @Flag(help: "MQTT 5.0: nothing that this client has published itself.")
    var noLocal = false

    @Flag(help: "MQTT 5.0: messages keep the retain flag that they were published with.")
    var retainAsPublished = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "MQTT 5.0: retained messages come 0 at once, 1 only to a new subscription, 2 not at all. Default: 0.", valueName: "0|1|2"))
    var retainHandling: RetainHandling?

    @Option(parsing: .unconditional, help: ArgumentHelp("MQTT 5.0: a number that comes back with each message.", valueName: "number"))
    var subscriptionID: UInt32?

    @OptionGroup var client: ClientOptions

    func validate() throws {
        try CountOption.check(count)
        try client.mqtt.refuse(
            without: client.speaksMQTT, "--mqtt HOST",
            [
                ("--no-local", noLocal), ("--retain-as-published", retainAsPublished), ("--retain-handling", retainHandling != nil),
                ("--subscription-id", subscriptionID != nil),
            ])
    }

    private func adapt(_ options: inout MQTTOptions) {
        options.userProperties = client.mqtt.userProperties
        options.subscription.isNoLocal = noLocal
        options.subscription.isRetainAsPublished = retainAsPublished
        options.subscription.retainHandling = retainHandling ?? .send
        options.subscription.identifier = subscriptionID
        // What the session has beyond the count stays in it: it is not acknowledged.
        if count != nil, options.version == .v5, options.sessionExpiry != nil || !options.isClean { options.receiveMaximum = 1 }
    }

    func run() async throws {
        try await client.run { () async throws(ShuntError) in try await listen() }
    }

    private func listen() async throws(ShuntError) {
        let configuration = ConsumerConfiguration(
            route: try client.route(adapt), topic: topic, group: group ?? (client.speaksMQTT ? "" : Listening.freshGroup()), key: key,
            connection: try client.connection())
        let isQuiet = quiet
        if !isQuiet, !client.speaksMQTT, let warning = Listening.warning(about: topic) { StatusLines().line(warning) }
        let consumer = try await Consumer.subscribe(configuration) { [topic] event in
            if !isQuiet { StatusLines().line(Listening.text(of: event, topic: topic)) }
        }
        let stream = FileDescriptorStream.standardOutput
        let printer = MessagePrinter(style: output, isTerminal: stream.isTerminal, hasTime: timestamps)
        let listening = Listening(printer: printer, output: stream, count: count)
        _ = try await client.run { () async throws(ShuntError) in
            try await listening.run(on: consumer)
        } atEnd: {
            await consumer.disconnect()
        }
    }
}

extension MessagePrinter.Style: ExpressibleByArgument {}

extension RetainHandling: ExpressibleByArgument {
    public init?(argument: String) {
        guard let number = UInt8(argument), argument.utf8.count == 1 else { return nil }
        self.init(rawValue: number)
    }

    public static var allValueStrings: [String] { ["0", "1", "2"] }
}
