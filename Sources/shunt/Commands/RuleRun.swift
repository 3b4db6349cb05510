import ArgumentParser
import ShuntCore
import ShuntRehearsal
import ShuntRules

/// `shunt rule run`: what rules would do with messages.
struct RuleRun: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Shows what rules do with a message; nothing is sent.",
        discussion: """
            What each rule saw, decided and changed, what it took in time and memory, what it logged, and what leaves the rules. The \
            sender and the subscribers are as you describe them: on_connect and on_subscribe are not called.

              shunt rule run examples/recipes/sampling --topic clicks/1 --payload '{}'
              shunt rule run plugins/redact --settings redact.yaml --json message.json
              shunt rule run --config worker.yaml --topic orders/1 --payload '{"id":1}'
              shunt rule run plugins/vip --json message.json --subscribers who.txt
              shunt rule run plugins/vip --messages yesterday.jsonl
              shunt rule run plugins/vip --messages yesterday.jsonl --against old/vip

            A file of subscribers has TOPIC [GROUP [UID]] a line, or JSON objects with topic, group, uid, key, device, tags and alias; \
            a line that begins with // is a comment.

            Exit codes: 0 done, 1 the versions differ (--against), 64 wrong options, or what is wrong in a file of messages or subscribers, \
            65 a rule failed on a message, 74 a file cannot be read, 78 a rule, its settings or the configuration is wrong.
            """)

    @OptionGroup var rules: RuleArguments
    @OptionGroup(title: "The message") var input: RuleMessageArguments

    @Option(help: ArgumentHelp("Who has subscribed what: then the recipients are told.", valueName: "file"), completion: .file())
    var subscribers: String?

    @Option(
        help: ArgumentHelp(
            "Another version of the rules, such as the one that runs: tells where the two differ. May be repeated.", valueName: "folder"),
        completion: .file())
    var against: [String] = []

    @Option(help: ArgumentHelp("How many differing messages --against shows (default: 5).", valueName: "number"))
    var examples: Int?

    @Option(name: [.short, .long], help: "For people, or as JSON: an object a message; with --messages one more that sums up.")
    var output: RuleReportOutput = .table

    func validate() throws {
        if let examples, !(0...1000).contains(examples) { throw ValidationError("--examples is 0 to 1000.") }
        if examples != nil, against.isEmpty { throw ValidationError("--examples is for --against, which tells where two versions differ.") }
        if !input.isOne, input.json == nil, input.messages == nil {
            throw ValidationError("Say which message: --topic and --payload, --json, or --messages.")
        }
    }

    func run() throws {
        do {
            let loaded = try rules.load()
            let messages = try input.all()
            let listed = try subscribers.map { path throws(ShuntError) in
                try RehearsedSubscriber.list(try RuleMessageArguments.read(path), at: path)
            }
            let rehearsal = try loaded.rehearsal(listed)
            for warning in loaded.set.warnings { printError("warning \(PrintableText.of(warning.description))") }
            if against.isEmpty {
                try show(messages, rehearsal)
            } else {
                try compare(messages, try rules.load(other: against).rehearsal(listed), rehearsal)
            }
        } catch {
            throw failure(error)
        }
    }

    private func show(_ messages: [RehearsedMessage], _ rehearsal: Rehearsal) throws {
        let style = RuleReportOutput.style
        var summary = RehearsalSummary()
        for entry in rehearsal.loadingLines where output == .table { print("on_load: \(PrintableText.of(entry.text))") }
        for message in messages {
            let result = try rehearsal.run(message)
            summary.add(result)
            switch output {
            case .json: print(result.tree.safeText)
            case .table: if input.messages == nil { print(result.text(style)) }
            }
        }
        if input.messages != nil { print(output == .json ? "{\"summary\":\(summary.tree.safeText)}" : summary.text(style)) }
        try CommandLineProcess.flushOutput()
        if summary.failed > 0 { throw ExitCode(ErrorCode.requestInvalid.exitCode) }
    }

    private func compare(_ messages: [RehearsedMessage], _ old: Rehearsal, _ new: Rehearsal) throws {
        var comparison = RehearsalComparison(examples: examples ?? 5)
        for message in messages { comparison.add(try old.run(message), try new.run(message)) }
        print(output == .json ? comparison.tree.safeText : comparison.text(RuleReportOutput.style))
        try CommandLineProcess.flushOutput()
        if comparison.differing > 0 { throw ExitCode(Self.differs) }
    }

    /// As `diff` ends.
    private static let differs: Int32 = 1
}
