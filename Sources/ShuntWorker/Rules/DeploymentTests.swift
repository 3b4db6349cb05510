import ShuntCore
import ShuntRules

/// Runs the tests of the plugins that a new version changes, before any loop has it.
struct DeploymentTests {
    /// Seconds for all tests of a version together, and for one.
    static let longest = 30.0
    static let longestTest: UInt64 = 5_000_000_000

    let limits: RuleLimits
    /// Whether the process is to end.
    let isCancelled: @Sendable () -> Bool

    /// - Throws: the first test that fails, `rule.invalid`, with its line.
    func run(_ plugins: [RulePlugin]) throws(ShuntError) {
        let start = ContinuousClock.now
        for plugin in plugins {
            var cut: ShuntError?
            let runner = RuleTestRunner(plugin: plugin, limits: limits, testNanoseconds: Self.longestTest)
            let results = runner.run { _ in
                if cut == nil { cut = whyCut(start, plugin) }
                return cut == nil
            } stopping: {
                $0.failure != nil
            }
            if let cut { throw cut }
            if let failed = results.first(where: { $0.failure != nil }), var error = failed.failure {
                error.message = "the test \"\(failed.name)\" of \(plugin.name) failed: \(error.message)"
                throw error
            }
        }
    }

    private func whyCut(_ start: ContinuousClock.Instant, _ plugin: RulePlugin) -> ShuntError? {
        if isCancelled() { return ShuntError(.connectionLost, "the worker is stopping") }
        guard (ContinuousClock.now - start) / .seconds(1) > Self.longest else { return nil }
        return ShuntError(
            .ruleTime, "the rule tests took more than \(Int(Self.longest)) s together", at: plugin.directory,
            help: "make them shorter, or set rules.tests to false")
    }
}
