import ArgumentParser
import Glibc
import ShuntClient
import ShuntCore
import ShuntShell

/// `shunt notify`: a broadcast to devices.
struct Notify: AsyncParsableCommand {
    enum Output: String, ExpressibleByArgument, CaseIterable { case text, json }

    static let configuration = CommandConfiguration(
        abstract: "Send a message to devices.",
        discussion: """
            The broadcast goes to every worker that the master lists: a worker knows its own devices, and one that has none that \
            match says so at once. With --uid it goes only to the workers that have a device of that user. A device gets it if all \
            that is asked for is true of it; without any option every device does.

              shunt notify 'Back at nine'                      to all devices
              shunt notify --uid ann 'Your taxi is here'       to one user's devices
              shunt notify --tag driver --tag courier 'Storm'  with one of these tags
              shunt notify --tag driver --not-tag off-duty Hi  and without that one
              uptime | shunt notify -                          what a command prints
              shunt device --uid ann --device phone            be such a device

            Prints a line for each worker, and the sums: how many devices matched, and to how many of these the message was \
            sent. The rest were too slow, or gone.

            Over MQTT it is one message to $shunt/notify, and the broker does not count:

              shunt notify --tag driver 'Storm' --mqtt 127.0.0.1

            Exit codes: 0 at least one device got it, or a broker took it; 65 none did, 69 no master or worker was reached, 77 a rule refused it.
            """)

    @Argument(help: "The message: any text; - for all of standard input, without line feeds at its end.")
    var message: String

    @Option(help: "Only devices of this user.")
    var uid: String?

    @Option(help: "Only devices of this name.")
    var device: String?

    @Option(name: .customLong("tag"), parsing: .singleValue, help: "Only devices with this tag; given again: or this one.")
    var tags: [String] = []

    @Option(parsing: .singleValue, help: "Only devices with this alias; given again: or this one.")
    var alias: [String] = []

    @Option(name: .customLong("not-tag"), parsing: .singleValue, help: "No devices with this tag; given again: nor this one.")
    var notTags: [String] = []

    @Option(parsing: .singleValue, help: "No devices with this alias; given again: nor this one.")
    var notAlias: [String] = []

    @Option(help: "text or json.")
    var output = Output.text

    @OptionGroup var client: ClientOptions

    func run() async throws {
        signal(SIGPIPE, SIG_IGN)
        let report: NotifyReport
        do throws(ShuntError) {
            let route = try client.route { $0.userProperties = client.mqtt.userProperties }
            report = try await Notifier(route: route, connection: try client.connection()).send(try await text(), to: filter)
            let lines = output == .json ? NotifyPrinter.json(report) : NotifyPrinter.text(report)
            _ = try await FileDescriptorStream.standardOutput.write(lines)
        } catch {
            throw fail([client.advice(error)])
        }
        if let failure = report.failure { throw fail([client.advice(failure)]) }
    }

    private func text() async throws(ShuntError) -> String {
        guard message == "-" else { return message }
        var bytes = try await MessageInput.readStandardInput(limit: client.frameLimit)
        while bytes.last == UInt8(ascii: "\n") { bytes.removeLast() }
        guard let text = String(validating: bytes, as: UTF8.self), !text.isEmpty else {
            throw ShuntError(.usage, bytes.isEmpty ? "there is no message" : "not UTF-8", at: "standard input", help: "give a text")
        }
        return text
    }

    private var filter: DeviceFilter {
        func given(_ list: [String]) -> [String]? { list.isEmpty ? nil : list }
        return DeviceFilter(
            uid: uid, device: device, matchTags: given(tags), matchAlias: given(alias), filterTags: given(notTags),
            filterAlias: given(notAlias))
    }
}
