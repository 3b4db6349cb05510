import CLuaHost
import ShuntCore

/// What a loop's rules did since they were loaded.
public struct RuleFigures: Equatable, Sendable {
    /// One hook of one rule.
    public struct Hook: Equatable, Sendable {
        public var calls: UInt64 = 0
        /// By verdict: pass, replace, route, fanout, push, chat, drop, reject, done, redirect. Those that came up.
        public var verdicts: [String: UInt64] = [:]
        /// By code: rule.time, rule.memory, rule.failed, limit.fanout, payload.invalid. Those that came up.
        public var errors: [ErrorCode: UInt64] = [:]
        /// One call in 64 is timed: their number and what they took together.
        public var sampledCalls: UInt64 = 0
        public var sampledNanoseconds: UInt64 = 0
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
    /// Whether the breaker has switched the rule off.
    public var isOff: Bool
}

extension RuleFigures {
    /// Adds what the rule did before a reload that left it as it was.
    /// - Parameter most: counters, of both together.
    mutating func add(_ before: RuleFigures, most: Int) {
        for (hook, figures) in before.hooks { hooks[hook]?.add(figures) }
        guard !before.counters.isEmpty else { return }
        var places: [[String]: Int] = [:]
        for (place, counter) in counters.enumerated() { places[[counter.name, counter.labels]] = place }
        for counter in before.counters {
            if let place = places[[counter.name, counter.labels]] {
                counters[place].value += counter.value
            } else if counters.count < most {
                counters.append(counter)
            }
        }
    }
}

extension RuleFigures.Hook {
    fileprivate mutating func add(_ before: Self) {
        calls += before.calls
        verdicts.merge(before.verdicts, uniquingKeysWith: +)
        errors.merge(before.errors, uniquingKeysWith: +)
        sampledCalls += before.sampledCalls
        sampledNanoseconds += before.sampledNanoseconds
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
    private static let verdictNames = [
        "pass", "replace", "route", "fanout", "push", "chat", "drop", "reject", "done", "redirect",
    ]

    init(_ figures: shunt_figures) {
        calls = figures.calls
        sampledCalls = figures.sampled
        sampledNanoseconds = figures.sampled_nanoseconds
        withUnsafeBytes(of: figures.verdicts) { bytes in
            for (name, count) in zip(Self.verdictNames, bytes.bindMemory(to: UInt64.self)) where count > 0 {
                verdicts[name] = count
            }
        }
        withUnsafeBytes(of: figures.failures) { bytes in
            for (failure, count) in bytes.bindMemory(to: UInt64.self).enumerated() where count > 0 {
                errors[ErrorCode(shunt_failure(UInt32(failure)))] = count
            }
        }
    }
}

extension ErrorCode {
    init(_ failure: shunt_failure) {
        self =
            switch failure {
            case SHUNT_TIME: .ruleTime
            case SHUNT_MEMORY: .ruleMemory
            case SHUNT_FANOUT: .fanoutLimit
            case SHUNT_PAYLOAD: .payloadInvalid
            default: .ruleFailed
            }
    }
}
