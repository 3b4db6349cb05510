import ArgumentParser
import MQTTCodec
import ShuntBench
import ShuntCore

/// `shunt bench`: load for any MQTT broker.
struct Bench: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Load an MQTT broker, and measure it.",
        discussion: """
            'run' sends messages and measures rates and latencies, 'connect' opens connections. Either speaks MQTT 5.0, or with \
            --v311 3.1.1, to whatever broker is at --host.

              shunt bench run p2p-1K-1K-1K-1K --qos 1
              shunt bench connect 10K --rate 2K
            """,
        subcommands: [BenchRun.self, BenchConnect.self], defaultSubcommand: BenchRun.self)
}

/// `shunt bench run`: messages by the name of a scenario.
struct BenchRun: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Send messages, and measure rates and latencies.",
        discussion: """
            A scenario is KIND-PUBLISHERS-SUBSCRIBERS-IN-OUT; IN and OUT are messages a second:

              p2p-1K-1K-1K-1K         each publisher has a topic and a subscriber
              fanout-1-1K-1-1K        all subscribers get all messages
              fanin-1K-5-1K-1K        each subscriber takes a share of the publishers
              sharedsub-1K-5-1K-1K    five subscribers share the messages of all

            All clients connect and subscribe; then messages are sent at an even pace. Latency is measured from when a message was \
            due, until a subscriber has read it: what waits because the broker is behind counts. Each message is numbered, so lost \
            ones and duplicates are counted. Nothing is sent again, and a connection that ends stays away.

              shunt bench run p2p-1K-1K-1K-1K --json > before.json
              shunt bench run p2p-1K-1K-1K-1K --compare before.json
              shunt bench run p2p-1-1-1-1 --rate max --qos 1        as fast as it goes
              shunt bench run fanout-1-1K-1-1K --host 10.0.0.1 --duration 60

            Exit codes: 0 well, 64 used wrongly, 65 messages of QoS 1 or 2 were lost or not acknowledged, or the broker refused the \
            load, 69 the broker is not to be reached, clients could not connect, or connections were lost; 130 ended by Ctrl-C.
            """)

    @Argument(help: "The scenario, such as p2p-1K-1K-1K-1K.")
    var scenario: String

    @Option(parsing: .unconditional, help: "Messages a second in place of the scenario's IN; max, or 0, as fast as it goes.")
    var rate: String?

    @Option(parsing: .unconditional, help: "The QoS of messages and subscriptions: 0, 1 or 2.")
    var qos = 0

    @Option(parsing: .unconditional, help: ArgumentHelp("The size of a payload, 16 bytes at least.", valueName: "bytes"))
    var size = "100"

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Messages that a publisher may have unacknowledged, within the broker's receive maximum (default: 100). With QoS 0 and --rate "
                + "max, messages for each publisher that may be undelivered (default: 16384, and 65536 for all).",
            valueName: "n"))
    var inflight: Int?

    @Option(parsing: .unconditional, help: ArgumentHelp("How long to wait for what is under way at the end.", valueName: "seconds"))
    var drain = 10.0

    @Option(parsing: .unconditional, help: ArgumentHelp("How long to measure.", valueName: "seconds"))
    var duration = 10.0

    @Option(parsing: .unconditional, help: ArgumentHelp("How long to send before that.", valueName: "seconds"))
    var warmUp = 2.0

    @Option(parsing: .unconditional, help: ArgumentHelp("Connections to open a second; max: as fast as it goes.", valueName: "n"))
    var connectRate = "1K"

    @OptionGroup var options: BenchOptions

    func validate() throws {
        if !(0...2).contains(qos) { throw ValidationError("--qos is \(qos): give 0, 1 or 2.") }
        if let inflight, !(1...65_535).contains(inflight) { throw ValidationError("--inflight is \(inflight): give 1 to 65535.") }
        if !(0.1...86_400).contains(duration) { throw ValidationError("--duration is \(duration): give 0.1 to 86400 seconds.") }
        if !(0...86_400).contains(drain) { throw ValidationError("--drain is \(drain): give 0 to 86400 seconds.") }
        if !(0...86_400).contains(warmUp) { throw ValidationError("--warm-up is \(warmUp): give 0 to 86400 seconds.") }
        let bytes = try RateOption.count(size, "--size", most: LoadSettings.sizes.upperBound)
        if !LoadSettings.sizes.contains(bytes) {
            throw ValidationError("--size is \(bytes): give \(LoadSettings.sizes.lowerBound) or more: a payload bears its number and its time.")
        }
        _ = try RateOption.parse(connectRate, "--connect-rate")
        if let rate { _ = try RateOption.parse(rate, "--rate") }
    }

    func run() async throws {
        let settings: LoadSettings
        do throws(ShuntError) {
            settings = try loadSettings()
        } catch {
            throw fail([error])
        }
        try await BenchSession(options: options).run(settings)
    }

    private func loadSettings() throws(ShuntError) -> LoadSettings {
        var messages = LoadSettings.MessageSettings(try Scenario(scenario))
        // Checked before.
        if let rate { messages.perSecond = (try? RateOption.parse(rate, "--rate")) ?? nil }
        messages.qos = QoS(rawValue: UInt8(qos)) ?? .atMostOnce
        messages.size = Quantity.parse(size) ?? messages.size
        (messages.inflight, messages.duration, messages.warmUp) = (inflight, duration, warmUp)
        var settings = try options.settings(.messages(messages), connectRate: (try? RateOption.parse(connectRate, "--connect-rate")) ?? 0)
        settings.drain = drain
        return settings
    }
}

/// `shunt bench connect`: connections that are opened and held.
struct BenchConnect: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "connect",
        abstract: "Open connections, and hold them.",
        discussion: """
            Connections are opened at an even pace. The time of a CONNACK is measured from when its connection was due. Ctrl-C ends \
            it early, with the figures so far.

              shunt bench connect 10K --rate 2K
              shunt bench connect 10K --subscribe --hold 600        each with a subscription of its own
              shunt bench connect 1K --rate max --json

            On loopback, connections come from more addresses of 127.0.0.0/8 when the ports of one are used up; elsewhere --source \
            gives more. The system bounds the open files of a process ('ulimit -Hn'): several processes open more connections.

            Exit codes: 0 well, 64 used wrongly, 69 the broker is not to be reached, or connections failed or were lost; 130 ended \
            by Ctrl-C.
            """)

    @Argument(help: "How many, such as 500 or 10K.")
    var connections: String

    @Option(parsing: .unconditional, help: ArgumentHelp("Connections to open a second; max: as fast as it goes.", valueName: "n"))
    var rate = "1K"

    @Flag(help: "Each subscribes a topic of its own.")
    var subscribe = false

    @Option(parsing: .unconditional, help: ArgumentHelp("How long to hold them, once all are there.", valueName: "seconds"))
    var hold = 10.0

    @OptionGroup var options: BenchOptions

    func validate() throws {
        _ = try RateOption.count(connections, "CONNECTIONS", most: 1_000_000)
        _ = try RateOption.parse(rate, "--rate")
        if !(0...1e9).contains(hold) { throw ValidationError("--hold is \(hold): give 0 or more seconds.") }
    }

    func run() async throws {
        let settings: LoadSettings
        do throws(ShuntError) {
            let work = LoadSettings.Work.connections(Quantity.parse(connections) ?? 0, subscribe: subscribe, hold: hold)
            // Checked before.
            settings = try options.settings(work, connectRate: (try? RateOption.parse(rate, "--rate")) ?? 0)
        } catch {
            throw fail([error])
        }
        try await BenchSession(options: options).run(settings)
    }
}
