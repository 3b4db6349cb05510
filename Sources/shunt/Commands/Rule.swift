import ArgumentParser

/// Rules without a server. Checking, running, tracing and timing them get commands of their own beside these.
struct Rule: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Rules without a server.",
        subcommands: [
            RuleNew.self, RuleCheckCommand.self, RuleTest.self, RuleRun.self, RuleBench.self, RuleShow.self, RuleDefinitions.self,
        ])
}
