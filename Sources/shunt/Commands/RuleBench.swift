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
            batches. The empty hook is what any rule costs. A hook gets those of the messages that a worker would call it for; without \
            one, a small one that match takes.

              shunt rule bench examples/recipes/sampling --topic clicks/1 --payload '{}'
              shunt rule bench plugins/redact --settings redact.yaml --json message.json
              shunt rule bench plugins/vip --messages yesterday.jsonl --output json

            Exit codes: 0 done, 64 wrong options, a wrong message or none that a rule is called for, 65 calls failed, 74 a file cannot be \
            read, 78 a rule, its settings or the configuration is wrong.
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
            var untaken: [(rule: String, count: Int)] = []
            for rule in loaded.set.rules {
                let timer = RuleTimer(loaded.set.alone(rule), limits: loaded.limits, batches: batches)
                untaken.append((rule.definition.name, try timer.untaken(messages)))
                guard loaded.set.rules.count > 1 || untaken[0].count < messages.count || messages.isEmpty else { break }
                timings += try timer.run(messages)
            }
            if !messages.isEmpty, untaken.allSatisfy({ $0.count == messages.count }) {
                throw ShuntError(
                    .usage, "no rule is called for \(messages.count == 1 ? "the message" : "any of the \(messages.count) messages")",
                    help: "shunt rule show tells what a rule's match takes, and its hooks")
            }
            guard !timings.isEmpty else { throw ShuntError(.usage, "the rules have no hook that can be timed", at: rules.paths.first) }
            let report = TimingReport(timings, messages: messages.count, untaken: untaken)
            print(output == .json ? report.tree.safeText : report.text(RuleReportOutput.style))
            try CommandLineProcess.flushOutput()
            if timings.contains(where: { $0.failures > 0 }) { throw ExitCode(ErrorCode.requestInvalid.exitCode) }
        } catch {
            throw failure(error)
        }
    }
}
