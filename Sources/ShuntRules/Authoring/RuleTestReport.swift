import ShuntCore

/// What the tests of several plugins gave.
public struct RuleTestReport: Sendable {
    /// What the tests of one plugin gave.
    public struct Plugin: Sendable {
        public let name: String
        public let directory: String
        public private(set) var warnings: [ShuntError] = []
        /// A plugin that does not load is one failed test, named after its rule.lua.
        public private(set) var results: [RuleTestResult] = []
        /// Whether its rule could be loaded.
        public private(set) var isLoaded = false

        /// Loads a plugin and runs those of its tests that are wanted.
        /// - Parameters:
        ///   - filter: only tests with this text in `plugin: name` are run.
        ///   - print: gets what tests print.
        public init(testing directory: String, filter: String? = nil, print: @escaping @Sendable (String) -> Void = { _ in }) {
            self.directory = directory
            name = directory.split(separator: "/").last.map(String.init) ?? directory
            do throws(ShuntError) {
                let plugin = try RulePlugin(directory: directory)
                let runner = RuleTestRunner(plugin: plugin, print: print)
                warnings = try runner.warnings()
                isLoaded = true
                results = runner.run { test in filter.map { "\(plugin.name): \(test)".contains($0) } ?? true }
            } catch {
                results = [RuleTestResult(name: "rule.lua", failure: error)]
            }
        }
    }

    public var plugins: [Plugin] = []

    public init() {}

    public var failed: Int { plugins.reduce(0) { $0 + $1.failed } }
    public var passed: Int { plugins.reduce(0) { $0 + $1.results.count - $1.failed } }
    /// Whether no test was run, and nothing failed to load.
    public var isEmpty: Bool { plugins.allSatisfy(\.results.isEmpty) }
}

extension RuleTestReport.Plugin {
    var failed: Int { results.count { $0.failure != nil } }
    var seconds: Double { results.reduce(0) { $0 + $1.seconds } }
}
