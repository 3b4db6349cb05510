import ArgumentParser
import ShuntCore
import ShuntRules

/// `shunt rule new`: a plugin to start from.
struct RuleNew: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new",
        abstract: "Makes a plugin to start from.",
        discussion: """
            A folder with a rule.lua that decides, a rule_test.lua whose tests pass, and a README.md. Nothing is written over.

              shunt rule new orders                    about messages
              shunt rule new doors --kind connect      about who is let in
              shunt rule new news --kind broadcast     about which devices get them
              shunt rule new manners --kind chat       about messages in chats

            Exit codes: 0 made, 64 no such name for a plugin or the folder exists, 74 the files cannot be written.
            """)

    @Argument(help: "The plugin's name, which is its folder's: 1 to 64 letters, digits, - and _.")
    var name: String

    @Option(
        name: .customLong("in"), help: ArgumentHelp("The folder of plugins; it is made where there is none.", valueName: "folder"),
        completion: .directory)
    var directory = "plugins"

    @Option(help: "What the rule decides about.")
    var kind = RuleTemplate.Kind.message

    func run() throws {
        do throws(ShuntError) {
            let template = try RuleTemplate(name: name, kind: kind)
            let folder = try template.write(in: directory)
            print(PrintableText.of(Self.advice(template, folder), keepingLines: true))
            try CommandLineProcess.flushOutput()
        } catch {
            throw fail([error])
        }
    }

    private static func advice(_ template: RuleTemplate, _ folder: String) -> String {
        """
        \(template.files.map { "\(folder)/\($0.name)" }.joined(separator: "\n"))

        What to do next:
        1. Test it while you change it:   shunt rule test \(folder) --watch
        2. \(trial(of: template, folder))
        3. Enable it in the worker's configuration:

             rules:
               directory: \(folder.dropLast(template.name.count + 1))
               enabled: [\(template.name)]

        4. Check the configuration:       shunt worker --check --config FILE
        5. Start the worker, or let a running one read it: kill -HUP PID

        shunt rule definitions writes what an editor's Lua language server needs to complete and check it.
        """
    }

    private static func trial(of template: RuleTemplate, _ folder: String) -> String {
        switch template.kind {
        case .message: "See what it does:              shunt rule run \(folder) --topic orders/1 --payload '{\"id\":1}'"
        case .connect: "See what it costs:             shunt rule bench \(folder)"
        case .broadcast: "See what it does:              shunt rule run \(folder) --kind broadcast --payload hello --filter '{\"uid\":\"ann\"}'"
        case .chat: "See what it does:              shunt rule run \(folder) --kind chat --topic support/1 --payload hello"
        }
    }
}

extension RuleTemplate.Kind: ExpressibleByArgument {}
