import ArgumentParser
import ShuntCore
import ShuntRules

/// Rules without a server. Checking, running, tracing and timing them get commands of their own beside `test`.
struct Rule: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Rules without a server.", subcommands: [RuleTest.self])
}

struct RuleTest: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "test",
        abstract: "Runs the rule_test.lua of plugins.",
        discussion: """
            A folder with a rule.lua is a plugin; any other folder is searched for plugins. Ends with 65 if a test fails.

            Examples:
              shunt rule test plugins/
              shunt rule test plugins/redact
            """)

    @Argument(help: "Plugins, or folders of plugins; a plugin's rule.lua or rule_test.lua stands for it.", completion: .file())
    var paths: [String] = ["plugins"]

    func run() throws {
        let directories: [String]
        do throws(ShuntError) {
            directories = try plugins()
        } catch {
            throw fail([error])
        }
        var tally = Tally()
        // The others are tested even if one plugin does not load.
        for directory in directories {
            do throws(ShuntError) {
                try test(RulePlugin(directory: directory), &tally)
            } catch {
                tally.failed += 1
                Self.show("FAILED  \(directory)\n        \(error)")
            }
        }
        print("\(tally.passed) passed, \(tally.failed) failed")
        do throws(ShuntError) { try CommandLineProcess.flushOutput() } catch { throw fail([error]) }
        if tally.failed > 0 { throw ExitCode(65) }
    }

    /// Prints text that may come from rules, tests and files.
    private static func show(_ text: String) { print(PrintableText.of(text, keepingLines: true)) }

    private struct Tally {
        var passed = 0
        var failed = 0
    }

    private func test(_ plugin: RulePlugin, _ tally: inout Tally) throws(ShuntError) {
        let runner = RuleTestRunner(plugin: plugin) { Self.show($0) }
        for warning in try runner.warnings() { Self.show("warning \(plugin.name): \(warning)") }
        let results = runner.run()
        if results.isEmpty { Self.show("checked \(plugin.name): it has no tests") }
        for result in results {
            if let failure = result.failure {
                tally.failed += 1
                Self.show("FAILED  \(plugin.name): \(result.name)\n        \(failure)")
            } else {
                tally.passed += 1
                Self.show("passed  \(plugin.name): \(result.name)")
            }
        }
    }

    /// The folder of a plugin that is named by one of its files.
    private static func folder(_ path: String) -> String {
        for file in ["rule.lua", "rule_test.lua"] {
            if path == file { return "." }
            if path.hasSuffix("/" + file) { return path.count > file.count + 1 ? String(path.dropLast(file.count + 1)) : "/" }
        }
        return path
    }

    private func plugins() throws(ShuntError) -> [String] {
        var found: [String] = []
        for path in paths.map(Self.folder) {
            let names = try RulePlugin.names(in: path)
            // In a folder of plugins, a plugin's folder without a rule.lua gets a warning.
            found += names.isEmpty ? [path] : try RulePlugin.folders(in: path).map { "\(path)/\($0)" }
        }
        return found
    }
}
