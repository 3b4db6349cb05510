import ArgumentParser
import ShuntCore
import ShuntRules

/// `shunt rule show`: what a rule says of itself.
struct RuleShow: ParsableCommand {
    enum Output: String, ExpressibleByArgument, CaseIterable { case table, json, markdown }

    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Shows a rule's settings with their defaults and meanings, its hooks and what it is granted.",
        discussion: """
              shunt rule show redact
              shunt rule show ./rules/doors               a plugin by its folder
              shunt rule show redact --output markdown    the table of its settings, for its README

            Defaults of settings that are secret are not shown.

            Exit codes: 0 shown, 78 there is no such plugin or it does not load.
            """)

    @Argument(help: "The plugin's name, or its folder or rule.lua if there is a slash in it.", completion: .file())
    var plugin: String

    @Option(
        name: .customLong("in"), help: ArgumentHelp("The folder of plugins, for a name.", valueName: "folder"), completion: .directory)
    var directory = "plugins"

    @Option(name: [.short, .long], help: "How to write it: for people, as one line of JSON, or the settings alone in Markdown.")
    var output: Output = .table

    func run() throws {
        do throws(ShuntError) {
            let sheet = plugin.contains("/") ? try RuleSheet(path: plugin) : try RuleSheet(name: plugin, in: directory)
            switch output {
            case .table: print(PrintableText.of(sheet.text, keepingLines: true))
            case .json: print(sheet.json)
            case .markdown: print(PrintableText.of(sheet.page, keepingLines: true), terminator: "")
            }
            try CommandLineProcess.flushOutput()
        } catch {
            throw fail([error])
        }
    }
}
