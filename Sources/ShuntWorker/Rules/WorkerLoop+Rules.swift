import ShuntCore
import ShuntEngine
import ShuntRules

/// A loop goes from one version of the rules to another.
extension WorkerLoop {
    /// Switches to another version of the rules, between two messages, once all loops have loaded it. If one can't the old version goes on. The
    /// version before is kept until `settleRules`, which the worker calls when all loops have answered.
    /// - Parameter watched: the rules that the worker looks at.
    /// - Returns: why this loop failed.
    func setRules(_ next: WorkerRules, watching watched: Set<String>, _ agreement: LoopAgreement) -> ShuntError? {
        var hasLoaded = false
        func isAgreed() -> Bool {
            hasLoaded = true
            return agreement.isReached()
        }
        do throws(ShuntError) {
            if let rules, !next.set.rules.isEmpty {
                rules.setLimits(next.limits)
                if let error = rules.replace(with: next.set, watching: watched, now: loop.now, isAgreed: isAgreed) {
                    rules.setLimits(version.limits)
                    throw error
                }
            } else {
                let new = try next.load(loop: loop.index, peers: engine, watching: watched, now: loop.now)
                guard isAgreed() else {
                    new?.stop(now: loop.now)
                    return nil
                }
                rules?.stop(now: loop.now)
                rules = new
            }
        } catch {
            if hasLoaded { return nil }
            agreement.refuse()
            return error
        }
        (previous, version) = (version, next)
        takeRules()
        return nil
    }

    /// All loops have tried to switch.
    /// - Parameter all: whether all of them have; otherwise the version before comes back.
    func settleRules(all: Bool) {
        guard let before = previous else { return }
        previous = nil
        guard !all else {
            rules?.settle()
            return
        }
        version = before
        if before.set.rules.isEmpty {
            rules?.stop(now: loop.now)
            rules = nil
        } else {
            rules?.setLimits(before.limits)
            rules?.revert(now: loop.now)
        }
        takeRules()
    }

    private func takeRules() {
        permitLookups()
        engine.setHooks(rules)
        driver.rulesChanged()
        askAnew()
    }

    /// Clients that waited for the rules before are asked about anew, some in each turn.
    private func askAnew() {
        guard driver.askAnew(self) else { return }
        peers.on(loop.index) { $0.askAnew() }
    }

    func permitLookups() { rules?.lookups = LoopLookups(peers, loop: loop.index, permits: version.permits) }
}
