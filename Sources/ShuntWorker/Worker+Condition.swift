import ShuntCore
import ShuntRules

extension Worker {
    /// How this worker is at this moment.
    var condition: WorkerCondition {
        let total = WorkerFigures(peers.figures())
        let listeners = tls.values.sorted { $0.listener < $1.listener }
        var certificates = listeners.flatMap { listener in
            listener.context.expiries.map { WorkerCondition.Certificate(listener: listener.listener, file: $0.file, expiresAt: $0.at) }
        }
        if let clusterTLS {
            certificates += clusterTLS.context.expiries.map {
                WorkerCondition.Certificate(listener: WorkerCondition.Certificate.cluster, file: $0.file, expiresAt: $0.at)
            }
        }
        let budgets = Dictionary(deployments.current.set.rules.map { ($0.definition.name, Double($0.definition.nanoseconds) * 1e-9) }) { first, _ in
            first
        }
        let loadBudget = Double(deployments.current.limits.loadNanoseconds) * 1e-9
        let hooks = rules.rules.flatMap { rule in
            rule.hooks.sorted { $0.key < $1.key }.compactMap { name, hook -> WorkerCondition.Hook? in
                // These have a second, whatever a message's budget is.
                let isCall = !RuleLimits.loadHooks.contains(name)
                guard let p99 = hook.p99, let budget = isCall ? budgets[rule.name] : loadBudget else { return nil }
                return WorkerCondition.Hook(rule: rule.name, hook: name, p99: p99, budget: budget)
            }
        }
        return WorkerCondition(
            now: Self.now, clients: total.connections, clientLimit: peers.capacity,
            certificates: certificates, hooks: hooks, refusal: refusedConfiguration.withLock { $0 })
    }

    /// What has come of reading the configuration again.
    /// - Parameter error: why it was not taken; nil where it was.
    public func noteConfiguration(_ error: ShuntError?) {
        refusedConfiguration.withLock { $0 = error.map { RefusalRecord(at: Self.now, why: "\($0)") } }
    }
}
