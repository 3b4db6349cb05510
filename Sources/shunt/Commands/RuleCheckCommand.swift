import ArgumentParser
import ShuntCore
import ShuntRules

/// `shunt rule check`: mistakes in rules, found without running them.
struct RuleCheckCommand: ParsableCommand {
    enum Output: String, ExpressibleByArgument, CaseIterable { case table, json }

    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Finds mistakes in plugins.",
        discussion: """
            Each finding has file:line:column, what is wrong, its kind, and what would be right. The plugins of one call are taken to run \
            together: rules that drop the same, or send past a rule that changes payloads, are told. The rules' grants are listed.

              shunt rule check plugins/
              shunt rule check plugins/orders --strict
              shunt rule check --output json

            A line that ends with `-- shunt: ignore` has no warnings; `-- shunt: ignore unused shadowed` none of these kinds.

            Exit codes: 0 no errors, 65 errors, or with --strict warnings, 78 a folder cannot be read.
            """)

    @Argument(help: "Plugins, or folders of plugins; a plugin's rule.lua or rule_test.lua stands for it.", completion: .file())
    var paths: [String] = ["plugins"]

    @Option(name: [.short, .long], help: "How to write the findings: for people, or as one line of JSON.")
    var output: Output = .table

    @Flag(help: "Warnings end the command with 65, too.")
    var strict = false

    func run() throws {
        let check: RuleCheck
        do throws(ShuntError) {
            check = RuleCheck(try RulePaths(paths).directories())
            print(PrintableText.of(output == .json ? Self.json(check) : Self.text(check), keepingLines: true))
            try CommandLineProcess.flushOutput()
        } catch {
            throw fail([error])
        }
        if check.errors > 0 || strict && check.warnings > 0 { throw ExitCode(ErrorCode.requestInvalid.exitCode) }
    }

    private static func text(_ check: RuleCheck) -> String {
        var lines = check.findings.map(\.description)
        for grant in check.grants { lines.append("\(grant.rule) may, whoever the sender is: \(grant.rights.joined(separator: ", "))") }
        func counted(_ count: Int, _ what: String) -> String { "\(count) \(what)\(count == 1 ? "" : "s")" }
        lines.append("\(counted(check.count, "plugin")): \(counted(check.errors, "error")), \(counted(check.warnings, "warning"))")
        return lines.joined(separator: "\n")
    }

    private static func json(_ check: RuleCheck) -> String { PrintableText.json(check.json) }
}
