import ArgumentParser
import ShuntCore

/// `shunt admin rules`: the rules that workers run, and their versions.
struct RulesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rules",
        abstract: "List the rules that workers run; load them again, or bring the version before back.",
        discussion: """
            A line for each version of a rule, over all workers that run it. Only a running master can ask the workers: not with --registry.

              shunt admin rules
              shunt admin rules reload               workers read their files again; rules' tests are run first
              shunt admin rules rollback             the version before runs again
              shunt admin rule redact                all that is known of one
            """,
        subcommands: [ListRules.self, ReloadRules.self, RollBackRules.self], defaultSubcommand: ListRules.self)
}

/// The worker that is meant; all, if none is named.
struct OneWorkerOption: ParsableArguments {
    @Option(help: ArgumentHelp("Only this worker, by its address or the beginning of it, or its name.", valueName: "name"))
    var worker: String?

    func name(_ session: AdminSession) async throws(ShuntError) -> String? {
        guard let worker else { return nil }
        return try await session.worker(worker)
    }
}

struct ListRules: AdminSubcommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "List the rules.", shouldDisplay: false)

    @OptionGroup var options: AdminOptions
    @OptionGroup var only: OneWorkerOption

    /// A word that is none of the commands beside this one, which is meant where none is named.
    @Argument(help: .hidden)
    var others: [String] = []

    func validate() throws {
        guard let word = others.first else { return }
        let near = Suggestion.closest(to: word, in: ["list", "reload", "rollback"]).map { "did you mean \($0)?" }
        throw ValidationError("rules has no command '\(word)': \(near ?? "`shunt admin rule NAME` shows one rule")")
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        let worker = try await only.name(session)
        let (answers, json) = try await session.ask(.rules(worker: worker), as: WorkerAnswersRecord<RuleSetRecord>.self)
        let found = await session.named(answers)
        let versions = RuleListing.versions(of: found)
        switch session.output {
        case .json: try session.write(json: json)
        case .csv: try session.write(RuleListing.csv(found))
        case .table: try session.write(RuleListing.table(versions, now: session.console.now()))
        }
        for name in RuleListing.differing(versions) { session.note("workers run different versions of \(name)") }
        session.noteRefusals(found)
        session.noteMissing(found, "its rules are not listed")
        if found.workers.isEmpty, found.missing.isEmpty { session.note("no worker is connected to this master") }
    }
}

/// `shunt admin rule NAME`: all that workers know of a rule.
struct RuleCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "rule",
        abstract: "Show one rule: its versions, hooks with figures, its latest failures, and where a shadow decides otherwise.",
        discussion: """
              shunt admin rule redact
              shunt admin rule redact --worker 10.0.0.1:4091
            """)

    @OptionGroup var options: AdminOptions
    @OptionGroup var only: OneWorkerOption

    @Argument(help: "The rule's name, as `shunt admin rules` lists it.")
    var name: String

    func report(_ session: AdminSession) async throws(ShuntError) {
        let worker = try await only.name(session)
        let found = await session.named(try await session.ask(.rules(worker: worker), as: WorkerAnswersRecord<RuleSetRecord>.self).answer)
        try session.requireWorkers(found)
        let one = found.keeping(name)
        guard !one.workers.isEmpty else {
            let names = Set(found.workers.flatMap { $0.answer?.rules.map(\.name) ?? [] }).sorted()
            throw ShuntError(
                .notFound, "no worker runs a rule \(name)",
                help: Suggestion.closest(to: name, in: names).map { "did you mean \($0)?" } ?? "`shunt admin rules` lists the rules")
        }
        switch session.output {
        case .json: try session.write(json: try session.json(of: one))
        case .csv: try session.write(RuleListing.csv(one))
        case .table:
            for version in RuleListing.versions(of: one) {
                try session.console.write(RuleListing.detail(version, now: session.console.now(), width: session.console.width))
            }
        }
        session.noteRefusals(found)
        session.noteMissing(found, "what it knows is not shown")
    }
}

struct ReloadRules: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "reload",
        abstract: "Have workers read their rules' files again.",
        discussion: """
            The configuration stays as it is: SIGHUP reads it again too. The tests of rules that have changed are run first. Each worker \
            takes the new version whole, or keeps the old one and says why.

              shunt admin rules reload
              shunt admin rules reload --worker 10.0.0.1:4091
            """)

    @OptionGroup var options: AdminOptions
    @OptionGroup var only: OneWorkerOption

    func report(_ session: AdminSession) async throws(ShuntError) { try await RuleListing.deploy(.reload, only, session) }
}

struct RollBackRules: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "rollback",
        abstract: "Have workers run the version of their rules that ran before.",
        discussion: """
            The files stay as they are: the next reload reads them again.

              shunt admin rules rollback
            """)

    @OptionGroup var options: AdminOptions
    @OptionGroup var only: OneWorkerOption

    func report(_ session: AdminSession) async throws(ShuntError) { try await RuleListing.deploy(.rollback, only, session) }
}
