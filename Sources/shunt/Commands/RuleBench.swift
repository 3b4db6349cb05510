import ArgumentParser
import ShuntCore
import ShuntRehearsal
import ShuntRules

/// `shunt rule bench`: what calls of rules cost.
struct RuleBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Times the hooks of rules, beside an empty hook in the same run.",
        discussion: """
            Nanoseconds of processor time and memory of a call, for each hook that a rule has: the median and the 99th percentile of \
            batches. The empty hook is what any rule costs. Without a message each hook gets a small one that match takes.

              shunt rule bench plugins/redact --topic orders/1 --payload '{"id":1,"card":"4111"}'
              shunt rule bench plugins/vip --messages yesterday.jsonl --output json

            Exit codes: 0 done, 64 wrong options or a wrong message, 65 calls failed, 74 a file cannot be read, 78 a rule is wrong.
            """)

    @OptionGroup var rules: RuleArguments
    @OptionGroup(title: "The message") var input: RuleMessageArguments

    @Option(help: ArgumentHelp("Batches of each hook, each of about a millisecond.", valueName: "number"))
    var batches = 200

    @Option(name: [.short, .long], help: "For people, or as JSON.")
    var output: RuleReportOutput = .table

    func validate() throws {
        if !(10...100_000).contains(batches) { throw ValidationError("--batches is 10 to 100000.") }
    }

    func run() throws {
        do {
            let loaded = try rules.load()
            let messages = try input.all()
            var timings: [RuleTiming] = []
            for rule in loaded.set.rules {
                let one = try RuleSet(
                    plugins: [rule.plugin], settings: [rule.plugin.name: rule.settings], limits: loaded.limits, now: wallClock())
                timings += try RuleTimer(one, limits: loaded.limits, batches: batches).run(messages)
            }
            guard !timings.isEmpty else { throw ShuntError(.usage, "the rules have no hook that can be timed", at: rules.paths.first) }
            let report = TimingReport(timings)
            print(output == .json ? report.tree.safeText : report.text(RuleReportOutput.style))
            try CommandLineProcess.flushOutput()
            if timings.contains(where: { $0.failures > 0 }) { throw ExitCode(ErrorCode.requestInvalid.exitCode) }
        } catch {
            throw failure(error)
        }
    }
}
