import ArgumentParser
import Glibc
import ShuntClient
import ShuntCore
import ShuntShell

/// `shunt device`: a device that prints its broadcasts.
struct DeviceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "device",
        abstract: "Be a device: print the broadcasts that it gets.",
        discussion: """
            Registers at the least loaded worker, and at another one when that is lost. Notifications go to standard output, one \
            a line; how the connection fares goes to standard error. Ctrl-C ends it.

              shunt device --uid ann --device phone --tag driver    in one terminal
              shunt notify --tag driver 'Storm ahead'               in another
              shunt device --uid ann --device phone --output json | jq -r .message

            Of one uid and device name there is one at a time: the latest to register gets the broadcasts, and the one before \
            ends with 75 where its worker tells it so.

            Over MQTT the client id is the device's name and the user name is the uid; broadcasts come on $shunt/notify. A broker \
            other than a worker passes every broadcast to every device.

              shunt device --uid ann --device phone --mqtt 127.0.0.1

            Exit codes: 0 ended, 65 or 77 the registration was refused, 69 no server was found, 75 another connection took the \
            place.
            """)

    @Option(help: "Whose device it is.")
    var uid: String

    @Option(help: "The device's name.")
    var device: String

    @Option(name: .customLong("tag"), parsing: .singleValue, help: "A tag; may be given again.")
    var tags: [String] = []

    @Option(parsing: .singleValue, help: "An alias; may be given again.")
    var alias: [String] = []

    @Option(parsing: .unconditional, help: "End after so many notifications.")
    var count: Int?

    @Option(help: "text or json.")
    var output = NotificationPrinter.Style.text

    @Flag(help: "Begin each line with the time of arrival.")
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
        let configuration = DeviceConfiguration(
            route: try client.route { $0.userProperties = client.mqtt.userProperties }, uid: uid, device: device, tags: tags, alias: alias,
            connection: try client.connection())
        let isQuiet = quiet
        let session = try await DeviceSession.register(configuration) { [device] event in
            if !isQuiet { StatusLines().line(DeviceListening.text(of: event, device: device)) }
        }
        let listening = DeviceListening(printer: NotificationPrinter(style: output, hasTime: timestamps), count: count)
        _ = try await client.run { () async throws(ShuntError) in
            try await listening.run(on: session)
        } atEnd: {
            await session.disconnect()
        }
    }
}

extension NotificationPrinter.Style: ExpressibleByArgument {}
