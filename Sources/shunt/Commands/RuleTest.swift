import ArgumentParser
import Glibc
import ShuntCore
import ShuntRules

/// `shunt rule test`: the tests of plugins.
struct RuleTest: ParsableCommand {
    enum Output: String, ExpressibleByArgument, CaseIterable { case table, json, junit }

    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Runs the rule_test.lua of plugins.",
        discussion: """
            A folder with a rule.lua is a plugin; any other folder is searched for plugins.

              shunt rule test plugins/
              shunt rule test plugins/redact --watch      again after each change of a file
              shunt rule test --filter 'redact: '         tests with this in 'plugin: name'
              shunt rule test --output junit > tests.xml  for CI systems

            With json and junit standard output has the results alone; what tests print goes to standard error.

            Exit codes: 0 all passed, 64 no test has the text of --filter, 65 a test failed or a plugin does not load, 78 a \
            folder cannot be read. --watch goes on until Ctrl-C.
            """)

    @Argument(help: "Plugins, or folders of plugins; a plugin's rule.lua or rule_test.lua stands for it.", completion: .file())
    var paths: [String] = ["plugins"]

    @Option(help: ArgumentHelp("Only tests with this text in 'plugin: name'; upper and lower case differ.", valueName: "text"))
    var filter: String?

    @Option(name: [.short, .long], help: "How to write the results: for people, as one line of JSON, as JUnit's XML.")
    var output: Output = .table

    @Flag(help: "Run the tests again whenever a Lua file of the plugins changes.")
    var watch = false

    func run() throws {
        let paths = RulePaths(paths)
        guard watch else { return try runOnce(paths) }
        do throws(ShuntError) { _ = try paths.directories() } catch { throw fail([error]) }
        var seen = paths.snapshot()
        while true {
            // A run that fails has told why; only results that nobody can read end it.
            do throws(ExitCode) { try runOnce(paths) } catch { if error.rawValue == ErrorCode.ioFailed.exitCode { throw error } }
            printError("watching \(PrintableText.of(self.paths.joined(separator: " "))); Ctrl-C ends it")
            let now = Self.waitForChange(in: paths, since: seen)
            let changes = now.changes(since: seen)
            let more = changes.count > 1 ? ", and \(changes.count - 1) more" : ""
            printError("\nchanged: \(PrintableText.of(changes.first ?? ""))\(more)")
            seen = now
        }
    }

    /// Returns once the files differ and nobody has written them for a moment.
    private static func waitForChange(in paths: RulePaths, since seen: RulePaths.Snapshot) -> RulePaths.Snapshot {
        var last = seen
        while true {
            usleep(200_000)
            let now = paths.snapshot()
            if now == last, now != seen { return now }
            last = now
        }
    }

    private func runOnce(_ paths: RulePaths) throws(ExitCode) {
        let report: RuleTestReport
        do throws(ShuntError) {
            report = try test(paths)
            switch output {
            case .table: print("\(report.passed) passed, \(report.failed) failed")
            case .json: print(report.json)
            case .junit: print(report.junit)
            }
            try CommandLineProcess.flushOutput()
        } catch {
            throw fail([error])
        }
        if report.failed > 0 { throw ExitCode(ErrorCode.requestInvalid.exitCode) }
    }

    private func test(_ paths: RulePaths) throws(ShuntError) -> RuleTestReport {
        var report = RuleTestReport()
        let isTable = output == .table
        // The others are tested even if one plugin does not load.
        for directory in try paths.directories() {
            let plugin = RuleTestReport.Plugin(testing: directory, filter: filter) { Self.show($0, asOutput: isTable) }
            if isTable { show(plugin) }
            report.plugins.append(plugin)
        }
        if let filter, report.isEmpty {
            throw ShuntError(
                .usage, "no test has '\(filter)' in its name", at: "--filter",
                help: "a test is named as 'plugin: name'; without --filter all names are listed")
        }
        return report
    }

    private func show(_ plugin: RuleTestReport.Plugin) {
        for warning in plugin.warnings { Self.show("warning \(plugin.name): \(warning)") }
        if plugin.results.isEmpty, filter == nil { Self.show("checked \(plugin.name): it has no tests") }
        for result in plugin.results {
            let name = plugin.isLoaded ? "\(plugin.name): \(result.name)" : plugin.directory
            if let failure = result.failure {
                Self.show("FAILED  \(name)\n        \(failure.description.replacing("\n", with: "\n        "))")
            } else {
                Self.show("passed  \(name)")
            }
        }
    }

    /// Prints text that may come from rules, tests and files.
    private static func show(_ text: String, asOutput: Bool = true) {
        let text = PrintableText.of(text, keepingLines: true)
        if asOutput { print(text) } else { printError(text) }
    }
}
