import ShuntCore

/// Looks in its first minute at a version of a rule, and says whether it is worse than what ran in its place before. Time is handed in.
///
/// A comparison belongs to a version of a rule. It goes on while other rules change, begins again where the rule decides for more clients than
/// before, and is gone with that version. A shadow is not judged: nothing that it decides is applied.
///
/// Failures count only where more clients than one in a few meet them: by what it sends alone no client brings the version before back.
public struct DeployGuard: Equatable, Sendable {
    public struct Settings: Equatable, Sendable {
        /// Seconds for which a version is looked at; 0: not at all.
        public var window = 60.0
        /// Of a rule or a hook with fewer calls nothing is said.
        public var calls: UInt64 = 100
        /// How many more of 100 calls may fail than did before.
        public var errors = 1.0
        /// How many times as long as before may a hook's p99 be.
        public var slower = 3.0

        public init() {}
    }

    /// A rule that is worse than what ran in its place before.
    public struct Finding: Equatable, Sendable {
        public let rule: String
        public let why: String
        /// The version of all rules with which it came: the one before that is to come back.
        public let version: Int
        let startedAt: Double
    }

    /// A version of a rule, and what it is compared with.
    private struct Comparison: Equatable, Sendable {
        enum Standing: Equatable, Sendable {
            /// Not looked at: a shadow, or one that could not be taken back.
            case unproven
            case onProbation(Probation)
            case proven
        }

        let digest: String
        /// What ran in its place before, in a version that has proved itself; empty: nothing did.
        let before: Record
        /// With which version of all rules its probation began, or the probation of a version before it that had not proved itself.
        let version: Int
        var standing: Standing

        var isOnProbation: Bool { if case .onProbation = standing { true } else { false } }
    }

    public var settings: Settings
    /// By rule; of rules that run since the worker has started there are none.
    private var comparisons: [String: Comparison] = [:]

    public init(_ settings: Settings) { self.settings = settings }

    /// Whether any rule is looked at.
    public var isLooking: Bool { comparisons.values.contains(where: \.isOnProbation) }

    /// Another version of the rules has taken over.
    /// - Parameters:
    ///   - version: its number.
    ///   - records: what the rules of the old version had done.
    public mutating func took(_ next: RuleSet, after old: RuleSet, as version: Int, records: [String: Record], now: Double) {
        let judged = next.applied(beyond: old)
        var comparisons: [String: Comparison] = [:]
        for rule in next.rules {
            let name = rule.definition.name
            let earlier = self.comparisons[name]
            let goesOn = old.rules.contains { $0.isSame(as: rule) }
            guard !goesOn || judged.contains(name) else {
                comparisons[name] = earlier.map { goingOn($0, in: rule.mode) }
                continue
            }
            // A version that has not proved itself is nothing to compare with.
            let standard = rule.isBeside ? rule.nameBeside : name
            let record = goesOn && !rule.isBeside ? nil : records[standard]
            let before = earlier.flatMap { $0.standing == .proven && !goesOn ? nil : $0.before } ?? record ?? Record()
            let first = earlier.flatMap { $0.isOnProbation ? $0.version : nil } ?? version
            let probation = Probation(since: now, baseline: goesOn ? records[name] ?? Record() : Record())
            comparisons[name] = Comparison(
                digest: rule.digest, before: before, version: first,
                standing: !judged.contains(name) ? .unproven : settings.window > 0 ? .onProbation(probation) : .proven)
        }
        self.comparisons = comparisons
    }

    private func goingOn(_ comparison: Comparison, in mode: RuleMode) -> Comparison {
        var comparison = comparison
        if mode == .shadow { comparison.standing = .unproven }
        return comparison
    }

    /// An earlier version of the rules is back. What comes back with it is not judged again.
    public mutating func wentBack(to target: RuleSet, from current: RuleSet) {
        var comparisons: [String: Comparison] = [:]
        for rule in target.rules {
            let name = rule.definition.name
            guard var comparison = self.comparisons[name], let same = current.rules.first(where: { $0.isSame(as: rule) }) else { continue }
            if same.mode != rule.mode { comparison.standing = rule.mode == .shadow ? .unproven : .proven }
            comparisons[name] = comparison
        }
        self.comparisons = comparisons
    }

    /// - Parameter current: what the rules have done in the version that runs.
    /// - Returns: the first rule that is worse than what ran before.
    public mutating func look(at current: [String: Record], now: Double) -> Finding? {
        for (name, comparison) in comparisons.sorted(by: { $0.key < $1.key }) {
            guard case .onProbation(var probation) = comparison.standing else { continue }
            guard settings.window > 0 else {
                comparisons[name]?.standing = .proven
                continue
            }
            // What loops have counted is known a tenth of a second later.
            guard abs(now - probation.since) > 0.3 else { continue }
            if let record = current[name], let why = probation.worse(record, than: comparison.before, settings, now: now) {
                return Finding(rule: name, why: "\(name): \(why)", version: comparison.version, startedAt: probation.since)
            }
            comparisons[name]?.standing = now - probation.since >= settings.window ? .proven : .onProbation(probation)
        }
        return nil
    }

    /// Whether the version of the rule that was found to be worse still runs, as it ran then.
    public func stands(_ finding: Finding) -> Bool {
        guard case .onProbation(let probation)? = comparisons[finding.rule]?.standing else { return false }
        return probation.since == finding.startedAt
    }

    /// A version could not be taken back: the others are looked at further.
    public mutating func giveUp(_ finding: Finding) {
        if stands(finding) { comparisons[finding.rule]?.standing = .unproven }
    }
}

extension RuleSet {
    /// The rules whose decisions are applied for clients for whom those of the other set are not: rules that are new, and those on trial for more
    /// clients.
    public func applied(beyond other: RuleSet) -> Set<String> {
        let applied = rules.filter { rule in
            guard let same = other.rules.first(where: { $0.isSame(as: rule) }) else { return rule.mode != .shadow }
            return rule.mode.reaches(beyond: same.mode)
        }
        return Set(applied.map(\.definition.name))
    }
}

extension RuleSet.Rule {
    /// Of a rule that runs beside another: the other's name.
    fileprivate var nameBeside: String { String(definition.name.dropLast(RuleTrial.suffix.count)) }
}
