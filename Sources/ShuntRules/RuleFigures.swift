import CLuaHost
import ShuntCore

/// What a loop's rules did since rules of their names were loaded first.
public struct RuleFigures: Equatable, Sendable {
    /// One hook of one rule.
    public struct Hook: Equatable, Sendable {
        public var calls: UInt64 = 0
        /// By verdict: pass, replace, route, fanout, push, chat, drop, reject, done, redirect, delay, select; only verdicts that came up.
        public var verdicts: [String: UInt64] = [:]
        /// By code: rule.time, rule.memory, rule.failed, limit.fanout, limit.delay, payload.invalid; only codes that came up.
        public var errors: [ErrorCode: UInt64] = [:]
        /// A version's first 1,024 calls are timed, then one in 64, which counts as 64.
        public var times = RuleTimes()
        /// Calls whose decisions were not applied, since the rule is on trial; those that were compared with the rule beside it, or with no
        /// rule; those that differed.
        public var observed: UInt64 = 0
        public var compared: UInt64 = 0
        public var different: UInt64 = 0
        /// While a version is watched: what tells the clients apart for whom the rule's hook was called, and those for whom the rule failed in it,
        /// as far as they are known.
        public var callers: Set<UInt64> = []
        public var failing: Set<UInt64> = []
        /// How long the calls took that were timed meanwhile, for each of these clients.
        public var callerTimes: [UInt64: CallerTimes] = [:]

        public var failures: UInt64 { errors.values.reduce(0, +) }
    }

    public struct Counter: Equatable, Sendable {
        public var name: String
        /// The labels as a JSON object of texts.
        public var labels: String
        public var value: Double
    }

    public var rule: String
    /// By the hook's name, those that the rule has.
    public var hooks: [String: Hook]
    public var counters: [Counter]
    /// Whether the breaker has switched the rule off, and how often it did.
    public var isOff: Bool
    public var trips: UInt64 = 0
    public var mode = RuleMode.live
    /// The version's digest, and what this version alone did.
    public var version = ""
    public var current: [String: Hook] = [:]
    public var currentTrips: UInt64 = 0
    /// Bytes of its Lua state.
    public var memory = 0
    /// The last failures, and the last examples of what a rule on trial decided.
    public var failures: [Failure] = []
    public var differences: [LoopRules.Difference] = []

    /// A failure, as the log has it.
    public struct Failure: Equatable, Sendable {
        public var at: Double
        public var hook: String
        public var code: ErrorCode
        /// Without what repeats the payload.
        public var text: String
        public var topic: String
        public var client: String
    }

    init(rule: String, hooks: [String: Hook], counters: [Counter], isOff: Bool) {
        (self.rule, self.hooks, self.counters, self.isOff) = (rule, hooks, counters, isOff)
    }

    /// Adds what an earlier version of the rule did.
    /// - Parameter capacity: counters that are kept at most; those of the earlier version give way.
    func adding(_ earlier: RuleFigures, counters capacity: Int) -> RuleFigures {
        var sum = self
        sum.hooks.merge(earlier.hooks) { $0.adding($1) }
        sum.trips += earlier.trips
        var places: [[String]: Int] = [:]
        for (index, counter) in counters.enumerated() { places[[counter.name, counter.labels]] = index }
        for counter in earlier.counters {
            if let index = places[[counter.name, counter.labels]] {
                sum.counters[index].value += counter.value
            } else if sum.counters.count < capacity {
                sum.counters.append(counter)
            }
        }
        return sum
    }
}

extension RuleFigures.Hook {
    /// The sum of two versions or loops.
    public func adding(_ earlier: RuleFigures.Hook) -> RuleFigures.Hook {
        var sum = self
        sum.calls += earlier.calls
        sum.verdicts.merge(earlier.verdicts, uniquingKeysWith: +)
        sum.errors.merge(earlier.errors, uniquingKeysWith: +)
        sum.times = sum.times + earlier.times
        sum.observed += earlier.observed
        sum.compared += earlier.compared
        sum.different += earlier.different
        sum.callers.formUnion(earlier.callers)
        sum.failing.formUnion(earlier.failing)
        sum.callerTimes.merge(earlier.callerTimes) { $0 + $1 }
        return sum
    }

    /// Takes off what was counted by then. The clients are those of a watch, which began then.
    mutating func subtract(_ earlier: RuleFigures.Hook) {
        calls -= min(calls, earlier.calls)
        verdicts.merge(earlier.verdicts) { $0 - min($0, $1) }
        errors.merge(earlier.errors) { $0 - min($0, $1) }
        times.subtract(earlier.times)
        observed -= min(observed, earlier.observed)
        compared -= min(compared, earlier.compared)
        different -= min(different, earlier.different)
    }
}

extension RuleFigures.Counter {
    init(_ counter: shunt_counter_value) {
        name = String(cString: counter.name)
        labels = String(cString: counter.labels)
        value = counter.value
    }
}

extension RuleFigures.Hook {
    init(_ figures: shunt_figures) {
        calls = figures.calls
        withUnsafeBytes(of: figures.verdicts) { bytes in
            for (verdict, count) in bytes.bindMemory(to: UInt64.self).enumerated() where count > 0 {
                verdicts[shunt_verdict(UInt32(verdict)).name] = count
            }
        }
        withUnsafeBytes(of: figures.failures) { bytes in
            for (failure, count) in bytes.bindMemory(to: UInt64.self).enumerated() where count > 0 {
                errors[ErrorCode(shunt_failure(UInt32(failure)))] = count
            }
        }
    }
}

extension shunt_verdict {
    var name: String { String(cString: shunt_verdict_name(self)) }
}

extension ErrorCode {
    init(_ failure: shunt_failure) {
        self =
            switch failure {
            case SHUNT_TIME: .ruleTime
            case SHUNT_MEMORY: .ruleMemory
            case SHUNT_FANOUT: .fanoutLimit
            case SHUNT_HOPS: .hopLimit
            case SHUNT_PAYLOAD: .payloadInvalid
            case SHUNT_DELAYS: .delayLimit
            default: .ruleFailed
            }
    }
}
