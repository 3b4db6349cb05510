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

    @Argument(help: "Plugins, or folders of plugins.")
    var paths: [String] = ["plugins"]

    func run() throws {
        var passed = 0
        var failures: [ShuntError] = []
        do throws(ShuntError) {
            for plugin in try plugins() {
                for result in try RuleTestRunner(plugin: plugin).run() {
                    if let failure = result.failure {
                        failures.append(failure)
                        print("FAILED  \(plugin.name): \(result.name)\n        \(failure)")
                    } else {
                        passed += 1
                        print("passed  \(plugin.name): \(result.name)")
                    }
                }
            }
        } catch {
            throw fail([error])
        }
        print("\(passed) passed, \(failures.count) failed")
        if !failures.isEmpty { throw ExitCode(65) }
    }

    private func plugins() throws(ShuntError) -> [RulePlugin] {
        var found: [RulePlugin] = []
        for path in paths {
            let names = try RulePlugin.names(in: path)
            if names.isEmpty {
                found.append(try RulePlugin(directory: path))
            } else {
                for name in names { found.append(try RulePlugin(directory: "\(path)/\(name)")) }
            }
        }
        return found
    }
}
