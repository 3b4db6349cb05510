import ArgumentParser
import Glibc
import ShuntClient
import ShuntCore
import ShuntShell

/// `shunt pub`: messages to a topic.
struct Pub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Send messages to a topic.",
        discussion: """
            The payload is one message, its bytes as they are given. With '-', or without a payload when something is piped in, \
            each line of standard input is one: a line ends at a line feed, which is not sent; everything else is, a carriage \
            return and a byte order mark too. Empty lines are left out. Each message is acknowledged by the worker. When the \
            worker is lost, another is looked for, and what has not been sent waits. At most once: what had no answer when a \
            connection was lost is not sent again, and counted.

              shunt pub orders/1 '{"id":1}'                 one message; JSON is recognised
              shunt pub orders/1 hello --key eu             with a message key
              tail -f app.log | shunt pub logs/app -        each line, as it comes
              shunt pub orders/1 --file order.json          a file is one message
              date | shunt pub clock --whole                all of the input is one
              shunt pub load x --count 1000000              how fast is it?
              shunt pub tick now --count 60 --rate 1/s      once a second
              shunt pub orders/1 x --worker 127.0.0.1:4091  straight to a worker
              shunt pub orders/1 x --retry 10               wait for a subscriber
              shunt pub t/1 21.5 --mqtt 127.0.0.1 --retain  kept by an MQTT broker

            Over MQTT the key is the user property 'key'. What a broker has not acknowledged is sent again where it has kept the \
            session, and never twice with --qos 2. With --qos 0 nobody acknowledges: a message counts as sent when the system has \
            taken it.

            Ctrl-C ends it with the summary: what was sent, acknowledged, refused, of unknown outcome and not sent add up to what \
            was given or read.

            Exit codes: 0 all acknowledged, 64 used wrongly, or nothing to send, 65 a message that cannot be sent (too long, no JSON) \
            or was refused, 69 no server was found, or the connection was lost and some have no known outcome; 74 input that \
            cannot be read; 77 not allowed; 130 ended by Ctrl-C.
            """)

    @Argument(help: "The topic, such as orders/1.")
    var topic: String

    @Argument(help: "The message, or - for the lines of standard input.")
    var payload: String?

    @Option(help: "The message is what this file holds.", completion: .file())
    var file: String?

    @Flag(help: "The message is all of standard input.")
    var whole = false

    @Option(help: "The message key. Subscribers may ask for one key only.")
    var key: String?

    @Flag(help: "The payload is JSON. Without --json and --text, what looks like an object or an array is JSON.")
    var json = false

    @Flag(help: "The payload is text.")
    var text = false

    @Option(parsing: .unconditional, help: "Send the payload so many times.")
    var count = 1

    @Option(help: ArgumentHelp("At most so many messages per second.", valueName: "n/s"))
    var rate: String?

    @Option(parsing: .unconditional, help: "How many messages may wait for their acknowledgement.")
    var window = 1000

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "How long to look for a worker when one was lost (default: for ever with lines of input, else 30).",
            valueName: "seconds"))
    var patience: Double?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "How long to send a message again that nobody subscribes to, as after a worker's restart; one message at a time.",
            valueName: "seconds"))
    var retry: Double?

    @Flag(help: "No summary; failures are still told.")
    var quiet = false

    @Flag(help: "MQTT: the broker keeps the message for later subscribers. An empty payload clears what it keeps.")
    var retain = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("MQTT 5.0: the broker gives the message up where it has waited so long.", valueName: "seconds"))
    var expiry: UInt32?

    @Option(help: ArgumentHelp("MQTT 5.0: the payload's MIME type. Default: text/plain or application/json.", valueName: "type"))
    var contentType: String?

    @Option(help: ArgumentHelp("MQTT 5.0: where an answer is to be published.", valueName: "topic"))
    var responseTopic: String?

    @Option(help: ArgumentHelp("MQTT 5.0: data by which the sender knows an answer again.", valueName: "text"))
    var correlation: String?

    @OptionGroup var client: ClientOptions

    func validate() throws {
        try client.mqtt.refuse(
            without: client.speaksMQTT, "--mqtt HOST",
            [
                ("--retain", retain), ("--expiry", expiry != nil), ("--content-type", contentType != nil),
                ("--response-topic", responseTopic != nil), ("--correlation", correlation != nil),
            ])
        if retry != nil, client.speaksMQTT, client.mqtt.isOld || client.mqtt.qos == .atMostOnce {
            throw ValidationError("--retry needs --qos 1 or 2, and MQTT 5.0: otherwise no broker says that nobody subscribes.")
        }
        if json, text { throw ValidationError("--json and --text exclude each other.") }
        if topic.isEmpty { throw ValidationError("The topic is empty: give a name such as orders/1.") }
        if payload?.isEmpty == true, !client.speaksMQTT { throw ValidationError("The payload is empty: the protocol carries at least one byte.") }
        if !(1...1_000_000).contains(window) { throw ValidationError("--window is \(window): give 1 to 1000000.") }
        try CountOption.check(count)
        if let patience, !(0...1e9).contains(patience) { throw ValidationError("--patience is \(patience): give 0 or more seconds.") }
        if let retry, !(0...1e9).contains(retry) { throw ValidationError("--retry is \(retry): give 0 or more seconds.") }
        if file != nil, whole || payload != nil { throw ValidationError("--file excludes --whole and a payload.") }
        if whole, let payload, payload != "-" { throw ValidationError("--whole and a payload exclude each other.") }
        if count > 1, file == nil, !whole, payload == nil || payload == "-" { throw ValidationError("--count needs a payload.") }
    }

    func run() async throws {
        let ending = await client.untilStopped { () async throws(ShuntError) in try await publish() }
        switch ending.result {
        case .failure(let error): throw fail([error])
        case .success(let report):
            let code = ending.signal.map { 128 + $0 } ?? report.exitCode
            if !quiet || code != 0 { StatusLines().line(report.summary) }
            for detail in report.details { StatusLines().line(detail) }
            if let fault = report.fault { printError("shunt: \(PrintableText.of(fault.description))") }
            if code != 0 { throw ExitCode(code) }
        }
    }

    private func publish() async throws(ShuntError) -> PublishReport {
        let publication = try await publication()
        let producer = try await Producer.connect(
            ProducerConfiguration(
                route: try client.route { $0.failsWithoutSubscriber = retry != nil }, connection: try client.connection(),
                returnPatience: returnPatience(publication.source), window: window))
        var report = await publication.run(on: producer, status: quiet ? nil : StatusLines())
        await producer.disconnect()
        report.hasAnswers = !(client.speaksMQTT && client.mqtt.qos == .atMostOnce)
        return report
    }

    private var properties: MQTTProperties {
        var properties = MQTTProperties()
        properties.isRetained = retain
        properties.messageExpiry = expiry
        properties.contentType = contentType
        properties.responseTopic = responseTopic
        properties.correlationData = correlation.map { Array($0.utf8) }
        properties.userProperties = client.mqtt.userProperties
        return properties
    }

    /// A program that pipes lines in has more to send, so the command waits; a script that calls the command for each message needs an
    /// answer soon.
    private func returnPatience(_ source: Publication.Source) -> Duration {
        if let patience { return .seconds(patience) }
        if case .lines = source { return .seconds(1_000_000_000) }
        return .seconds(30)
    }

    private func publication() async throws(ShuntError) -> Publication {
        let rate: Double? = if let rate { try Pacer.rate(rate) } else { nil }
        return Publication(
            topic: topic, key: key, source: try await source(), format: json ? .json : text ? .text : .automatic, rate: rate,
            retry: retry.map { .seconds($0) }, mqtt: properties)
    }

    private func source() async throws(ShuntError) -> Publication.Source {
        let given = try RawArguments.process.bytes(of: payload)
        if let file { return .payload(try await MessageInput.read(file: file, limit: client.frameLimit), count: count) }
        if whole { return .payload(try await MessageInput.readStandardInput(limit: client.frameLimit), count: count) }
        if let given, payload != "-" { return .payload(given, count: count) }
        let input = FileDescriptorStream.standardInput
        guard payload == "-" || !input.isTerminal else {
            throw ShuntError(
                .usage, "no payload", help: "shunt pub TOPIC PAYLOAD; or - to type messages, one a line, until Ctrl-D")
        }
        return .lines(input)
    }
}
