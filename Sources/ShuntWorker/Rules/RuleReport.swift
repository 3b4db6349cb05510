import ShuntCore
import ShuntRules

/// The rules of a worker as operators see them.
public struct RuleReport: Codable, Equatable, Sendable {
    /// One version of all rules.
    public struct Version: Codable, Equatable, Sendable {
        public var number: Int
        /// Seconds since 1970.
        public var loadedAt: Double
        /// Digests of files and settings, by rule.
        public var rules: [String: String]

        init(_ rules: WorkerRules) {
            (number, loadedAt) = (rules.number, rules.loadedAt)
            self.rules = Dictionary(rules.set.rules.map { ($0.definition.name, $0.digest) }) { first, _ in first }
        }
    }

    /// Why the last reload changed nothing.
    public struct Refusal: Codable, Equatable, Sendable {
        public var at: Double
        public var why: String
    }

    public struct Rule: Codable, Equatable, Sendable {
        public var name: String
        /// The folder that it was read from.
        public var directory: String
        /// From 1 on; lower ones are called first.
        public var order: Int
        public var priority: Int
        public var digest: String
        /// When it began to run with these files, settings and this budget, in seconds since 1970.
        public var since: Double
        /// One of live, shadow and canary.
        public var mode: String
        /// Loops on which its breaker has switched it off, and how often that was done.
        public var off: Int
        public var trips: UInt64
        /// Bytes of its Lua states, on all loops.
        public var memory: Int
        /// By hook, of this version.
        public var hooks: [String: Hook]
        public var errors: [Failure]
        public var differences: [Difference]
    }

    public struct Hook: Codable, Equatable, Sendable {
        public var calls: UInt64
        public var verdicts: [String: UInt64]
        /// By code.
        public var errors: [String: UInt64]
        /// Seconds; nil where no call was timed.
        public var p50: Double?
        public var p99: Double?
        /// Of a rule on trial: calls whose decision was not applied, was compared, and differed.
        public var observed: UInt64
        public var compared: UInt64
        public var different: UInt64
    }

    public struct Failure: Codable, Equatable, Sendable {
        public var at: Double
        public var hook: String
        public var code: String
        public var text: String
        public var topic: String
        public var client: String
    }

    public struct Difference: Codable, Equatable, Sendable {
        public var at: Double
        public var hook: String
        public var topic: String
        public var client: String
        /// What the rule beside it decided, or pass, and what it would have decided itself.
        public var live: String
        public var trial: String
        /// What differs.
        public var parts: [String]
    }

    public var version: Version
    /// The versions that `rollbackRules` goes back to, the last one last.
    public var earlier: [Version]
    /// In the order in which they are called.
    public var rules: [Rule]
    public var refusal: Refusal?
    /// Whether the version is still compared with the one before.
    public var isGuarded: Bool
}

extension RuleReport.Rule {
    private static let examples = 8

    /// - Parameters:
    ///   - since: when it began to run as it is.
    ///   - figures: of each loop.
    init(_ rule: RuleSet.Rule, order: Int, since: Double, _ figures: [RuleFigures]) {
        (name, directory, priority) = (rule.definition.name, rule.plugin.directory, rule.definition.priority)
        (digest, mode, self.order, self.since) = (rule.digest, rule.mode.name, order, since)
        off = figures.count(where: \.isOff)
        trips = figures.reduce(0) { $0 + $1.trips }
        memory = figures.reduce(0) { $0 + $1.memory }
        hooks = Self.sum(figures.map(\.current))
        errors = figures.flatMap(\.failures).sorted { $0.at < $1.at }.suffix(Self.examples).map {
            RuleReport.Failure(at: $0.at, hook: $0.hook, code: $0.code.rawValue, text: $0.text, topic: $0.topic, client: $0.client)
        }
        differences = figures.flatMap(\.differences).sorted { $0.at < $1.at }.suffix(Self.examples).map {
            RuleReport.Difference(
                at: $0.at, hook: $0.hook, topic: $0.topic, client: $0.client, live: $0.live, trial: $0.trial, parts: $0.parts)
        }
    }

    private static func sum(_ loops: [[String: RuleFigures.Hook]]) -> [String: RuleReport.Hook] {
        var sum: [String: RuleFigures.Hook] = [:]
        for hooks in loops { sum.merge(hooks) { $0.adding($1) } }
        return sum.mapValues { hook in
            RuleReport.Hook(
                calls: hook.calls, verdicts: hook.verdicts,
                errors: Dictionary(hook.errors.map { ($0.key.rawValue, $0.value) }) { $0 + $1 }, p50: hook.times.quantile(0.5),
                p99: hook.times.quantile(0.99), observed: hook.observed, compared: hook.compared, different: hook.different)
        }
    }
}
