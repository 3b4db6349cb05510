import ShuntConfig
import ShuntCore
import ShuntRules

extension Worker {
    /// Reads the files of the plugins again under the configuration that holds, tests what has changed, and has all loops switch to it. It
    /// takes as long as the tests do: not to be called on a loop.
    /// - Returns: how the rules differ from those before.
    /// - Throws: `rule.*`, with file and line; then the old rules go on.
    public func reloadRules() throws(ShuntError) -> RuleChanges {
        defer { keeper.look() }
        return try deployments.reloadAsAsked()
    }

    /// Brings back the version of the rules before the one that runs, with its files and settings as they were. Not to be called on a loop.
    /// - Throws: `rule.missing` if there is none before.
    public func rollbackRules() throws(ShuntError) -> RuleChanges { try deployments.rollback() }

    /// The rules that run, with what they have done, and the versions that the worker can go back to.
    public var rules: RuleReport {
        let (current, earlier) = (deployments.current, deployments.earlier)
        let loops = peers.figures().map(\.rules)
        return RuleReport(
            version: RuleReport.Version(current), earlier: earlier.map(RuleReport.Version.init),
            rules: current.set.rules.enumerated().map { index, rule in
                let name = rule.definition.name
                return RuleReport.Rule(
                    rule, order: index + 1, since: current.since(of: name), loops.flatMap { $0.filter { $0.rule == name } })
            }, refusal: deployments.refusal, isGuarded: deployments.isGuarding)
    }

    /// The plugins that run, in the order in which their rules are called.
    public var ruleNames: [String] { deployments.current.set.rules.map(\.plugin.name) }
}
