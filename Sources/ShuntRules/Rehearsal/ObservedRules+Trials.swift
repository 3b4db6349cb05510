import CLuaHost
import ShuntCore

/// Rules on trial: a rehearsal shows what they decide, and applies it where a worker would.
extension ObservedRules {
    /// Chooses the rules whose decisions are applied for a client. The host calls them all, since the rehearsal shows each decision.
    func chooseTrials(for client: ConnectionID?) {
        guard rules.hasModes else { return }
        rules.chooseModes(for: client)
        for canary in rules.modes.canaries {
            rules.rules[canary.rule].set(rules.observed.contains(canary.rule) ? .shadow : .live, hasLive: canary.isBeside)
        }
        shunt_host_observe(rules.host.pointer, 0, 0)
    }

    /// A call begins.
    func begin(_ now: Double, _ client: ConnectionID?) {
        let chosen = (rules.observed, rules.skipped)
        rules.begin(now, client)
        guard rules.hasModes else { return }
        (rules.observed, rules.skipped) = chosen
        shunt_host_observe(rules.host.pointer, 0, 0)
    }

    func step(of rule: Int, _ hook: String, _ before: ObservedMessage) -> RuleStep {
        var step = RuleStep(rule: names[rule], hook: hook, before: before)
        (step.mode, step.isApplied) = (rules.set.rules[rule].mode, !rules.observed.contains(rule))
        return step
    }
}
