import CLuaHost
import ShuntCore

/// How a loop goes from one version of its rules to another, and back.
extension LoopRules {
    /// A version that another has replaced, until it is certain that this stays so.
    struct Version {
        var rules: [LoadedRule]
        var set: RuleSet
        var breakers: [Breaker]
        var ticks: [Double]
    }

    /// Switches to another version of the rules: `on_unload` of the old, then `on_load` of the new with what it saved. A rule that is the
    /// same in both goes on as it is. Call it between two messages. The old version is kept until `settle`.
    /// - Parameters:
    ///   - watched: the rules of the next version that the worker looks at.
    ///   - isAgreed: asked once the next version has been loaded; false: it is not to decide.
    /// - Returns: why it can't; then the old version goes on.
    public func replace(
        with next: RuleSet, watching watched: Set<String> = [], now: Double, isAgreed: () -> Bool = { true }
    ) -> ShuntError? {
        begin(now, nil)
        secretTexts.set(next.rules, and: set.rules)
        do throws(ShuntError) {
            var loaded: [LoadedRule] = []
            for rule in next.rules {
                if let kept = kept(rule) { loaded.append(kept) } else { loaded.append(try load(rule)) }
            }
            try hand(over: loaded, of: next, now: now, isAgreed)
            handFigures(to: loaded, of: next)
            let old = Version(rules: rules, set: set, breakers: breakers, ticks: ticks)
            before = old
            for (rule, loaded) in zip(next.rules, loaded) where watched.contains(rule.definition.name) { loaded.watch = RuleWatch(since: now) }
            activate(loaded, of: next, carrying: old)
            return nil
        } catch {
            return SecretTexts.hide(next.rules.reduce(into: []) { $0.formUnion($1.secrets) }, in: error)
        }
    }

    /// Lets go of the version before: every loop has switched.
    public func settle() { before = nil }

    /// Goes back to the version before, which starts again from what it saved: another loop could not switch.
    public func revert(now: Double) {
        guard let old = before else { return }
        begin(now, nil)
        let current = Version(rules: rules, set: set, breakers: breakers, ticks: ticks)
        for (index, rule) in rules.enumerated() where !old.rules.contains(where: { $0 === rule }) {
            stop(rule, named: set.rules[index].definition.name, now: now)
        }
        let back = old.rules.filter { rule in !rules.contains { $0 === rule } }
        for (index, rule) in rules.enumerated() where !old.rules.contains(where: { $0 === rule }) { count(ownFigures(of: index), for: back) }
        restart(back, of: old.set, now: now)
        activate(old.rules, of: old.set, carrying: current)
        before = nil
    }

    /// Calls `on_unload` of all rules, as before an exit.
    public func stop(now: Double) {
        for (index, rule) in rules.enumerated() { stop(rule, named: set.rules[index].definition.name, now: now) }
        activate([], of: .empty, carrying: nil)
    }

    private func load(_ rule: RuleSet.Rule) throws(ShuntError) -> LoadedRule {
        let loaded = try LoadedRule(rule.plugin, name: rule.definition.name, in: host)
        loaded.set(rule.mode, hasLive: rule.isBeside)
        try loaded.configure(rule.definition, settings: rule.settings)
        return loaded
    }

    /// The rule that runs, if it is the same in the next version.
    private func kept(_ rule: RuleSet.Rule) -> LoadedRule? {
        set.rules.firstIndex { $0.isSame(as: rule) }.map { rules[$0] }
    }

    private func stop(_ rule: LoadedRule, named name: String, now: Double) {
        do throws(ShuntError) {
            try rule.stop(now: now)
        } catch {
            logger(RuleLogEntry(level: .error, rule: name, text: "on_unload: \(error)"))
        }
    }

    private func hand(over loaded: [LoadedRule], of next: RuleSet, now: Double, _ isAgreed: () -> Bool) throws(ShuntError) {
        var before: [String: LoadedRule] = [:]
        let stopped = rules.filter { rule in !loaded.contains { $0 === rule } }
        for (index, rule) in rules.enumerated() where stopped.contains(where: { $0 === rule }) {
            stop(rule, named: set.rules[index].definition.name, now: now)
            before[set.rules[index].definition.name] = rule
        }
        var started: [LoadedRule] = []
        do throws(ShuntError) {
            for (index, rule) in loaded.enumerated() where !rules.contains(where: { $0 === rule }) {
                try rule.start(after: before[next.rules[index].definition.name], now: now)
                started.append(rule)
            }
            guard isAgreed() else { throw ShuntError(.ruleInvalid, "another loop could not load the rules") }
        } catch {
            for rule in started { stop(rule, named: rule.name, now: now) }
            // The old version was told to stop: it starts again from what it saved.
            restart(stopped, of: set, now: now)
            throw error
        }
    }

    /// A reload is no reason for a counter to begin again.
    private func handFigures(to loaded: [LoadedRule], of next: RuleSet) {
        let before = Dictionary(figures().map { ($0.rule, $0) }) { first, _ in first }
        for (index, rule) in loaded.enumerated() where !rules.contains(where: { $0 === rule }) {
            rule.earlier = before[next.rules[index].definition.name]
        }
    }

    /// What a version has decided that is taken back was decided all the same.
    private func count(_ figures: RuleFigures, for rules: [LoadedRule]) {
        guard let rule = rules.first(where: { $0.name == figures.rule }) else { return }
        rule.earlier = rule.earlier.map { figures.adding($0, counters: counterCapacity) } ?? figures
    }

    private func restart(_ rules: [LoadedRule], of set: RuleSet, now: Double) {
        for rule in rules {
            do throws(ShuntError) {
                try rule.start(after: rule, now: now)
            } catch {
                logger(RuleLogEntry(level: .error, rule: rule.name, text: "on_load: \(error)"))
            }
        }
    }

    /// - Parameter other: the version that ran until now: rules of it that go on keep their breakers, and when `on_tick` is due.
    func activate(_ loaded: [LoadedRule], of next: RuleSet, carrying other: Version?) {
        abandonAll()
        let pointers: [OpaquePointer?] = loaded.map(\.pointer)
        shunt_host_activate(host.pointer, pointers, pointers.count)
        rules = loaded
        set = next
        secretTexts.set(next.rules)
        selecting = loaded.indices.reduce(0) { $0 | (loaded[$1].has(SHUNT_ON_SELECT) ? 1 << UInt64($1) : 0) }
        breakers = next.rules.map { Breaker($0.definition.breaker) }
        ticks = next.rules.indices.map { loaded[$0].has(SHUNT_ON_TICK) ? now + next.rules[$0].definition.tick : .infinity }
        if let other {
            tellOn(loaded, of: next, since: other)
            for (place, rule) in loaded.enumerated() {
                guard let index = other.rules.firstIndex(where: { $0 === rule }) else { continue }
                (breakers[place], ticks[place]) = (other.breakers[index], other.ticks[index])
            }
        }
        setMatchers()
        allowLookups()
        noteSessions()
        setModes()
        isWatching = loaded.contains { $0.watch != nil }
        off = .none
        retryAt = .infinity
        for (index, breaker) in breakers.enumerated() {
            guard case .off(let until) = breaker.state else { continue }
            off.insert(index)
            retryAt = min(retryAt, until)
        }
        nextTick = ticks.min() ?? .infinity
    }

    /// A rule that was off begins anew with a breaker that is closed.
    private func tellOn(_ loaded: [LoadedRule], of next: RuleSet, since other: Version) {
        for (index, rule) in other.rules.enumerated() where !loaded.contains(where: { $0 === rule }) {
            let name = other.set.rules[index].definition.name
            guard case .off = other.breakers[index].state, next.rules.contains(where: { $0.definition.name == name }) else { continue }
            logger(RuleLogEntry(level: .info, rule: name, text: "switched on again: another version has begun", event: .on))
        }
    }

    private func setMatchers() {
        wanted = []
        delivered.topic.forget()
        for hook in RuleHook.called {
            guard let place = hook.index else { continue }
            guard let kinds = hook.kinds else {
                if rules.contains(where: { $0.has(place) }) { wanted.formUnion(hook.wanted) }
                continue
            }
            let having = rules.indices.filter { rules[$0].has(place) && !kinds.isDisjoint(with: set.rules[$0].definition.match.kinds) }
            matchers[Int(place.rawValue)] = having.map { NativeMatch(rule: $0, set.rules[$0].definition.match) }
            if !having.isEmpty { wanted.formUnion(hook.wanted) }
        }
    }
}
