import ArgumentParser
import Glibc
import ShuntAdmin
import ShuntCore

/// The command: what every run begins and ends with.
@main
enum Main {
    static func main() async {
        CommandLineProcess.prepare()
        do {
            var command = try Shunt.parseAsRoot()
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            let code = Shunt.exitCode(for: error)
            // Help and the like.
            guard code != .success else { Shunt.exit(withError: error) }
            // It repeats arguments.
            let message = Shunt.fullMessage(for: error)
            if !message.isEmpty { printError(PrintableText.of(message, keepingLines: true)) }
            exit(code.rawValue)
        }
    }
}

struct Shunt: AsyncParsableCommand {
    static let version = "0.1.0"

    static let configuration = CommandConfiguration(
        commandName: "shunt",
        abstract: "A message router that operators program in Lua.",
        discussion: """
            Workers hold the client connections and route messages through Lua rules; a master knows the workers. To try it:

              shunt dev --config config/dev.yaml      a master and a worker in one process
              shunt sub 'orders/#'                    in a second terminal
              shunt pub orders/1 '{"id":1}'           in a third
              shunt admin workers                     what the master knows

            All commands find the master by --master, and without it by SHUNT_MASTER in the environment, or by a context: a host, \
            such as 10.0.0.1; a port is only needed where it is not the usual one.

            Exit codes: 0 well, 64 usage, 65 bad data, 69 something is not to be reached or a port is in use, 70 internal, \
            74 input or output failed, 75 another connection took the place, 77 not allowed, 78 configuration.
            """,
        version: "shunt \(version)",
        groupedSubcommands: [
            CommandGroup(name: "Processes:", subcommands: [Dev.self, MasterProcess.self, WorkerProcess.self]),
            CommandGroup(name: "Operating:", subcommands: [AdminCommand.self, ContextCommand.self, Rule.self, Cert.self, Bench.self]),
            CommandGroup(name: "Clients:", subcommands: [Pub.self, Sub.self, Notify.self, DeviceCommand.self, ChatCommand.self]),
        ])
}
