import ShuntCore
import ShuntJSON

/// What operators have this worker do about its rules, by its master.
extension Worker {
    /// Enters what performs these commands. None of it is done on a loop: tests may run for a while.
    func performRuleCommands() {
        perform(.rules) { (worker) throws(ShuntError) in try Self.json(RuleSetRecord(worker.rules, loops: worker.loopCount)) }
        perform(.rulesReload) { (worker) throws(ShuntError) in try Self.json(RuleDeploymentRecord(try worker.reloadRules())) }
        perform(.condition) { (worker) throws(ShuntError) in try Self.json(worker.condition) }
        perform(.rulesRollback) { (worker) throws(ShuntError) in try Self.json(RuleDeploymentRecord(try worker.rollbackRules())) }
    }

    private func perform(_ name: WorkerCommand.Name, _ body: @escaping @Sendable (Worker) throws(ShuntError) -> [UInt8]) {
        commands.set(name) { [weak self] _, done in
            guard let worker = self else { return done(.failure(ShuntError(.connectionLost, "the worker ends"))) }
            do throws(ShuntError) {
                try OwnThread.startDetached {
                    do throws(ShuntError) {
                        done(.success(try body(worker)))
                    } catch {
                        done(.failure(error))
                    }
                }
            } catch {
                done(.failure(error))
            }
        }
    }

    private static func json(_ record: some Encodable) throws(ShuntError) -> [UInt8] {
        do {
            return try RecordJSON.encode(record)
        } catch {
            throw ShuntError(.internalError, "the answer cannot be written as JSON: \(error)")
        }
    }
}

extension RuleDeploymentRecord {
    init(_ changes: RuleChanges) { self.init(version: changes.version, anew: changes.anew, trials: changes.trials, gone: changes.gone) }
}

extension RuleSetRecord {
    init(_ report: RuleReport, loops: Int) {
        self.init(
            version: report.version.number, deployedAt: report.version.loadedAt, canRollBack: !report.earlier.isEmpty,
            rules: report.rules.map { RuleRecord($0, loops: loops) }, refusal: report.refusal.map { RefusalRecord(at: $0.at, why: $0.why) })
    }
}

extension RuleRecord {
    init(_ rule: RuleReport.Rule, loops: Int) {
        let compared = rule.hooks.values.reduce(0) { $0 + $1.compared }
        let different = rule.hooks.values.reduce(0) { $0 + $1.different }
        self.init(
            name: rule.name, plugin: rule.directory, priority: rule.priority, digest: rule.digest, since: rule.since, mode: rule.mode,
            offLoops: rule.off, loops: loops, memory: rule.memory,
            hooks: rule.hooks.sorted { $0.key < $1.key }.map { name, hook in
                RuleHookRecord(
                    hook: name, calls: Int(clamping: hook.calls), verdicts: hook.verdicts.mapValues { Int(clamping: $0) },
                    errors: hook.errors.mapValues { Int(clamping: $0) }, p50: hook.p50, p99: hook.p99)
            },
            failures: rule.errors.reversed().filter { $0.at >= rule.since }.map {
                RuleFailureRecord(at: $0.at, hook: $0.hook, code: $0.code, message: $0.text, topic: $0.topic, client: $0.client)
            },
            differences: compared == 0
                ? nil
                : RuleDifferencesRecord(
                    compared: Int(clamping: compared), different: Int(clamping: different),
                    examples: rule.differences.reversed().map {
                        let parts = $0.parts.isEmpty ? "" : " (\($0.parts.joined(separator: ", ")))"
                        return .init(at: $0.at, hook: $0.hook, topic: $0.topic, client: $0.client, live: $0.live, other: $0.trial + parts)
                    }))
    }
}
