import CLuaHost
import ShuntCore

extension LoopRules {
    /// What the rules and earlier versions of them did, in their order.
    public func figures() -> [RuleFigures] {
        rules.indices.map { index in
            let own = ownFigures(of: index)
            return rules[index].earlier.map { own.adding($0, counters: counterCapacity) } ?? own
        }
    }

    /// What this version of a rule did.
    func ownFigures(of index: Int) -> RuleFigures {
        let (rule, loaded) = (set.rules[index], rules[index])
        var hooks: [String: RuleFigures.Hook] = [:]
        for hook in RuleHook.called {
            guard let place = hook.index, loaded.has(place) else { continue }
            // The host has figures of every hook of its table.
            let counted = shunt_rule_figures(loaded.pointer, place).unsafelyUnwrapped
            var figures = RuleFigures.Hook(counted.pointee)
            figures.times = RuleTimes(counted)
            let trial = shunt_rule_trial(loaded.pointer, place)
            (figures.observed, figures.compared, figures.different) = (trial.observed, trial.compared, trial.different)
            loaded.settleCaller()
            if let watched = loaded.watch?.hooks[place.rawValue] {
                (figures.callers, figures.failing, figures.callerTimes) = (watched.callers, watched.failing, watched.times)
            }
            hooks[hook.rawValue] = figures
        }
        let counters = (0..<shunt_counter_count(loaded.pointer)).map { RuleFigures.Counter(shunt_counter_at(loaded.pointer, $0)) }
        var figures = RuleFigures(rule: rule.definition.name, hooks: hooks, counters: counters, isOff: off.contains(index))
        (figures.mode, figures.version, figures.memory) = (rule.mode, rule.digest, shunt_rule_memory(loaded.pointer))
        (figures.current, figures.trips, figures.currentTrips) = (hooks, loaded.trips, loaded.trips)
        (figures.failures, figures.differences) = (loaded.notes.errors, loaded.notes.differences)
        return figures
    }
}
