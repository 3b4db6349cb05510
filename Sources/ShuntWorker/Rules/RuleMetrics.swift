import ExchangeCodec
import ShuntCore
import ShuntRules

extension MetricsText {
    /// Which version of the rules runs, and how versions came and went.
    mutating func deployments(_ rules: WorkerRules, _ events: WorkerEvents) {
        gauge("shunt_rules_version", "The number of the version of the rules that runs.", rules.number)
        family("shunt_rules_changes_total", "counter", "Versions of the rules that took over, were refused, or were rolled back.")
        for (outcome, kind) in [("loaded", EventRecord.Kind.rulesLoaded), ("refused", .rulesRefused), ("rolled_back", .rulesRolledBack)] {
            sample("shunt_rules_changes_total", ["outcome": outcome], events.count(kind))
        }
        guard !rules.set.rules.isEmpty else { return }
        family("shunt_rule_version", "gauge", "1; the labels tell which version of a rule runs, and in which mode.")
        for rule in rules.set.rules {
            sample("shunt_rule_version", ["rule": rule.definition.name, "version": rule.digest, "mode": rule.mode.name], 1)
        }
    }

    /// What the rules of all loops did, added up by rule and hook.
    mutating func rules(_ loops: [[RuleFigures]]) {
        guard let first = loops.first(where: { !$0.isEmpty }) else { return }
        var calls = MetricsText(), verdicts = MetricsText(), errors = MetricsText(), off = MetricsText()
        var times = MetricsText(), trials = MetricsText(), memory = MetricsText()
        calls.family("shunt_rule_calls_total", "counter", "Calls of a rule's hook.")
        verdicts.family("shunt_rule_verdicts_total", "counter", "What a rule's hook decided.")
        errors.family("shunt_rule_errors_total", "counter", "Calls of a rule's hook that failed.")
        times.family(
            "shunt_rule_seconds", "histogram",
            "How long calls of a rule's hook took: the first 1,024 of a version, then one in 64, which counts as 64.")
        trials.family("shunt_rule_trial_total", "counter", "Decisions of a rule on trial that were compared with the rule beside it, or with none.")
        memory.family("shunt_rule_memory_bytes", "gauge", "What the Lua states of a rule hold, on all loops.")
        off.family("shunt_rule_off", "gauge", "Loops on which a rule is switched off after too many errors.")
        for rule in first {
            let all = loops.flatMap { $0.filter { $0.rule == rule.rule } }
            off.sample("shunt_rule_off", ["rule": rule.rule], all.reduce(0) { $0 + ($1.isOff ? 1 : 0) })
            memory.sample("shunt_rule_memory_bytes", ["rule": rule.rule], all.reduce(0) { $0 + $1.memory })
            for hook in rule.hooks.keys.sorted() {
                let figures = all.compactMap { $0.hooks[hook] }
                calls.sample("shunt_rule_calls_total", ["rule": rule.rule, "hook": hook], figures.reduce(0) { $0 + $1.calls })
                times.histogram("shunt_rule_seconds", rule.rule, hook, figures)
                if rule.mode != .live { trials.trial(rule.rule, hook, figures) }
                for verdict in Set(figures.flatMap(\.verdicts.keys)).sorted() {
                    let count = figures.reduce(0) { $0 + ($1.verdicts[verdict] ?? 0) }
                    verdicts.sample("shunt_rule_verdicts_total", ["rule": rule.rule, "hook": hook, "verdict": verdict], count)
                }
                for code in Set(figures.flatMap(\.errors.keys)).sorted(by: { $0.rawValue < $1.rawValue }) {
                    let count = figures.reduce(0) { $0 + ($1.errors[code] ?? 0) }
                    errors.sample("shunt_rule_errors_total", ["rule": rule.rule, "hook": hook, "code": code.rawValue], count)
                }
            }
        }
        text += calls.text + verdicts.text + errors.text + off.text + memory.text + times.text
        if first.contains(where: { $0.mode != .live }) { text += trials.text }
        counters(loops.flatMap { $0.flatMap { rule in rule.counters.map { (rule.rule, $0) } } })
    }

    /// Buckets of an octave each, from 128 ns to 134 ms.
    private mutating func histogram(_ name: String, _ rule: String, _ hook: String, _ figures: [RuleFigures.Hook]) {
        let times = figures.reduce(RuleTimes()) { $0 + $1.times }
        for octave in 7...27 {
            let bound = UInt64(1) << UInt64(octave)
            sample("\(name)_bucket", ["rule": rule, "hook": hook, "le": "\(Double(bound) / 1e9)"], times.count(below: bound))
        }
        sample("\(name)_bucket", ["rule": rule, "hook": hook, "le": "+Inf"], times.count)
        sample("\(name)_sum", ["rule": rule, "hook": hook], times.seconds)
        sample("\(name)_count", ["rule": rule, "hook": hook], times.count)
    }

    private mutating func trial(_ rule: String, _ hook: String, _ figures: [RuleFigures.Hook]) {
        let different = figures.reduce(0) { $0 + $1.different }
        let same = figures.reduce(0) { $0 + $1.compared } - different
        for (outcome, count) in [("different", different), ("same", same)] {
            sample("shunt_rule_trial_total", ["rule": rule, "hook": hook, "outcome": outcome], count)
        }
    }

    /// What rules count by themselves, under the names that they gave; counters end in `_total`, as Prometheus wants it.
    private mutating func counters(_ all: [(rule: String, counter: RuleFigures.Counter)]) {
        let families = Dictionary(grouping: all) { $0.counter.name.hasSuffix("_total") ? $0.counter.name : $0.counter.name + "_total" }
        for (name, named) in families.sorted(by: { $0.key < $1.key }) {
            family("shunt_rule_\(name)", "counter", "Counted by a rule.")
            let samples = Dictionary(grouping: named) { [$0.rule, $0.counter.labels] }
            for (key, same) in samples.sorted(by: { $0.key.lexicographicallyPrecedes($1.key) }) {
                let total = same.reduce(0) { $0 + $1.counter.value }
                let labels = [("rule", key[0])] + Self.labels(key[1])
                let inside = labels.map { "\($0.0)=\"\(Self.escape($0.1))\"" }.joined(separator: ",")
                text += "shunt_rule_\(name){\(inside)} \(total)\n"
            }
        }
    }

    /// The labels that a rule gave, a JSON object of texts; `counter()` has checked their names.
    private static func labels(_ json: String) -> [(String, String)] {
        let object = Array(json.utf8).withUnsafeBytes { try? LenientJSON.object(in: $0, subject: "labels") }
        return (object?.members ?? []).compactMap { member in
            (try? object?.string(member.key)).map { (member.key, $0) }
        }
    }
}
