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

            As text a line is topic, key and payload with tabs between, and control characters are escaped. As JSON it has \
            topic, key, format, payload and id; a payload that is not UTF-8 is in base64, with "encoding":"base64".

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

    @OptionGroup var client: ClientOptions

    func validate() throws {
        try CountOption.check(count)
    }

    func run() async throws {
        try await client.run { () async throws(ShuntError) in try await listen() }
    }

    private func listen() async throws(ShuntError) {
        let configuration = ConsumerConfiguration(
            route: try client.route(), topic: topic, group: group ?? Listening.freshGroup(), key: key,
            connection: client.connection)
        let isQuiet = quiet
        if !isQuiet, let warning = Listening.warning(about: topic) { StatusLines().line(warning) }
        let consumer = try await Consumer.subscribe(configuration) { [topic] event in
            if !isQuiet { StatusLines().line(Listening.text(of: event, topic: topic)) }
        }
        defer { consumer.close() }
        let stream = FileDescriptorStream.standardOutput
        let printer = MessagePrinter(style: output, isTerminal: stream.isTerminal, hasTime: timestamps)
        _ = try await Listening(printer: printer, output: stream, count: count).run(on: consumer)
    }
}

extension MessagePrinter.Style: ExpressibleByArgument {}
