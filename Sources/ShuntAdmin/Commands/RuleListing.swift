import ArgumentParser
import ShuntCore

/// Rules as a table, as CSV, and one in detail; and what has come of their deployment.
enum RuleListing {
    /// One version of a rule, over the workers that run it.
    struct Version {
        /// The one of the first worker; figures are the sum of all.
        var rule: RuleRecord
        var workers: [String]
    }

    /// In the order in which the first worker calls them; versions of one rule stand together.
    static func versions(of answers: WorkerAnswersRecord<RuleSetRecord>) -> [Version] {
        var versions: [Version] = []
        for worker in answers.workers {
            for rule in worker.answer?.rules ?? [] {
                if let place = versions.firstIndex(where: { $0.rule.isSameVersion(as: rule) }) {
                    versions[place].rule.add(rule)
                    versions[place].workers.append(worker.worker)
                } else {
                    let after = versions.lastIndex { $0.rule.name == rule.name }.map { $0 + 1 } ?? versions.count
                    versions.insert(Version(rule: rule, workers: [worker.worker]), at: after)
                }
            }
        }
        return versions
    }

    /// Rules that run in different versions.
    static func differing(_ versions: [Version]) -> [String] {
        Dictionary(grouping: versions.filter { $0.rule.mode == "live" }, by: \.rule.name).filter { $0.value.count > 1 }.keys.sorted()
    }

    static func table(_ versions: [Version], now: Double) -> Table {
        Table(
            columns: [
                .init(title: "RULE"), .init(title: "VERSION", isWhole: true, rank: 6), .init(title: "MODE", rank: 5),
                .init(title: "WORKERS", isNumber: true, rank: 3), .init(title: "CALLS", isNumber: true, rank: 8),
                .init(title: "ERRORS", isNumber: true, rank: 9), .init(title: "P99", isNumber: true, rank: 7),
                .init(title: "MEMORY", isNumber: true, rank: 2), .init(title: "RUNS", isNumber: true, rank: 1),
                .init(title: "OFF", isNumber: true, rank: 4),
            ],
            rows: versions.map { version in
                let rule = version.rule
                return [
                    .init(rule.name), .init(String(rule.digest.prefix(8))), .init(rule.mode), .init("\(version.workers.count)"),
                    .init("\(rule.calls)"), .init("\(rule.errors)", rule.errors > 0 ? .warning : .plain),
                    .init(time(rule.hooks.compactMap(\.p99).max())), .init(Humane.bytes(rule.memory)),
                    .init(Humane.duration(now - rule.since)),
                    .init(rule.offLoops > 0 ? "\(rule.offLoops) of \(rule.loops)" : "-", rule.offLoops > 0 ? .bad : .plain),
                ]
            })
    }

    /// A line for each hook of each rule and worker.
    static func csv(_ answers: WorkerAnswersRecord<RuleSetRecord>) -> CSV {
        var csv = CSV(header: [
            "worker", "rule", "digest", "mode", "since", "memory", "off_loops", "loops", "hook", "calls", "verdicts", "errors", "p50", "p99",
        ])
        for worker in answers.workers {
            for rule in worker.answer?.rules ?? [] {
                for hook in rule.hooks {
                    csv.append([
                        worker.worker, rule.name, rule.digest, rule.mode, "\(rule.since)", "\(rule.memory)", "\(rule.offLoops)",
                        "\(rule.loops)", hook.hook, "\(hook.calls)", counts(hook.verdicts), counts(hook.errors),
                        hook.p50.map { "\($0)" } ?? "", hook.p99.map { "\($0)" } ?? "",
                    ])
                }
            }
        }
        return csv
    }

    /// A line for each field, hook, failure and difference.
    static func detail(_ version: Version, now: Double, width: Int?) -> String {
        let rule = version.rule
        var fields: [(name: String, value: String)] = [
            ("rule", rule.name), ("plugin", rule.plugin), ("version", rule.digest), ("mode", rule.mode), ("priority", "\(rule.priority)"),
            ("workers", version.workers.joined(separator: ", ")),
            ("since", "\(Humane.time(rule.since)), \(Humane.age(of: rule.since, now: now))"), ("memory", Humane.bytes(rule.memory)),
            ("breaker", rule.offLoops > 0 ? "off on \(rule.offLoops) of \(rule.loops) loops" : "closed"),
        ]
        for hook in rule.hooks {
            let times = hook.p99.map { "; p50 \(time(hook.p50)), p99 \(time($0))" } ?? ""
            let errors = hook.errors.isEmpty ? "" : "; errors: \(counts(hook.errors))"
            fields.append((hook.hook, "\(hook.calls) calls" + (hook.verdicts.isEmpty ? "" : ": \(counts(hook.verdicts))") + errors + times))
        }
        for failure in rule.failures {
            let from = [failure.topic.isEmpty ? nil : "topic \(failure.topic)", failure.client.isEmpty ? nil : "from \(failure.client)"]
            let about = from.compactMap { $0 }.joined(separator: ", ")
            fields.append(
                (
                    "failed \(Humane.age(of: failure.at, now: now))",
                    (failure.hook.isEmpty ? "" : "\(failure.hook): ") + "\(failure.message) (\(failure.code)" + (about.isEmpty ? ")" : "; \(about))")
                ))
        }
        if let differences = rule.differences {
            fields.append(("beside live", "\(differences.different) of \(differences.compared) decided otherwise"))
            for one in differences.examples {
                let from = one.client.isEmpty ? "" : " from \(one.client)"
                fields.append(
                    (
                        "differs \(Humane.age(of: one.at, now: now))",
                        "\(one.hook.map { "\($0) " } ?? "")\(one.topic)\(from): live \(one.live); this \(one.other)"
                    ))
            }
        }
        return FieldList.text(fields, width: width)
    }

    /// `drop 3, pass 10`.
    private static func counts(_ counts: [String: Int]) -> String {
        counts.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }.joined(separator: ", ")
    }

    /// `850 ns`, `1.5 µs`, `2 ms`; `-` where no call was timed.
    static func time(_ seconds: Double?) -> String {
        guard let seconds else { return "-" }
        for (size, unit) in [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs")] where seconds >= size {
            let tenths = (min(seconds, 1e6) / size * 10).rounded()
            return tenths < 100 ? "\(tenths / 10) \(unit)" : "\(Int(tenths / 10)) \(unit)"
        }
        return "\(Int(max(0, seconds) * 1e9)) ns"
    }

    // MARK: deployment

    /// Has workers load other rules, and says what has come of it.
    /// - Throws: what the first worker says that has refused, once all answers are written.
    static func deploy(_ deployment: RuleDeployment, _ only: OneWorkerOption, _ session: AdminSession) async throws(ShuntError) {
        let worker = try await only.name(session)
        let (found, json) = try await session.ask(
            .deployRules(deployment, worker: worker), as: WorkerAnswersRecord<RuleDeploymentRecord>.self)
        let answers = await session.named(found)
        try session.requireWorkers(answers)
        switch session.output {
        case .json: try session.write(json: json)
        case .csv:
            var csv = CSV(header: ["worker", "version", "anew", "trials", "gone", "error"])
            for one in answers.workers {
                csv.append([
                    one.worker, one.answer.map { "\($0.version)" } ?? "", CSV.list(one.answer?.anew ?? []),
                    CSV.list(one.answer?.trials ?? []), CSV.list(one.answer?.gone ?? []),
                    one.error?.message ?? "",
                ])
            }
            try session.write(csv)
        case .table:
            try session.console.write(answers.workers.map { FieldList.hanging($0.worker + "  ", outcome($0), width: session.console.width) }.joined())
        }
        if deployment == .rollback { await noteDifferences(session) }
        guard let refused = answers.workers.first(where: { $0.error != nil }), let error = refused.error else {
            return try session.requireAnswers(answers.missing, "it may still do it: `shunt admin rules` tells")
        }
        session.noteMissing(answers, "it may still do it: `shunt admin rules` tells")
        let (count, total) = (answers.workers.count { $0.error != nil }, answers.workers.count + answers.missing.count)
        let who = total == 1 ? "the worker keeps its rules" : (count == total ? "all \(total)" : "\(count) of \(total)") + " workers keep their rules"
        throw ShuntError(ErrorCode(rawValue: error.code) ?? .internalError, who, at: refused.worker, help: error.help)
    }

    /// Workers that had gone back by themselves have gone back once more.
    private static func noteDifferences(_ session: AdminSession) async {
        guard let rules = try? await session.ask(.rules(worker: nil), as: WorkerAnswersRecord<RuleSetRecord>.self).answer else { return }
        let names = differing(versions(of: rules)).joined(separator: ", ")
        guard !names.isEmpty else { return }
        session.note("workers run different versions of \(names): `shunt admin rules` tells which; a reload has all read their files")
    }

    private static func outcome(_ worker: WorkerAnswersRecord<RuleDeploymentRecord>.Worker) -> String {
        if let error = worker.error { return "keeps its rules: " + (error.location.map { "\($0): " } ?? "") + error.message }
        guard let done = worker.answer else { return "" }
        let changes = [("new", done.anew), ("trial changed", done.trials ?? []), ("gone", done.gone)].filter { !$0.1.isEmpty }
        let told = changes.map { "\($0.0): \($0.1.joined(separator: ", "))" }.joined(separator: "; ")
        return "version \(done.version), \(told.isEmpty ? "no rule has changed" : told)"
    }
}

extension WorkerAnswersRecord<RuleSetRecord> {
    /// Only the rule of this name, and the workers that run it.
    func keeping(_ name: String) -> Self {
        var kept = self
        kept.workers = workers.compactMap { worker in
            guard var answer = worker.answer else { return nil }
            answer.rules.removeAll { $0.name != name }
            var worker = worker
            worker.answer = answer
            return answer.rules.isEmpty ? nil : worker
        }
        return kept
    }
}

extension AdminSession {
    /// Names the workers that have refused, and why.
    func noteRefusals<Answer>(_ answers: WorkerAnswersRecord<Answer>) {
        for worker in answers.workers { if let error = worker.error { note("\(worker.worker): \(error.message)") } }
    }

    /// - Throws: `worker.none` where there was no worker to ask.
    func requireWorkers<Answer>(_ answers: WorkerAnswersRecord<Answer>) throws(ShuntError) {
        guard answers.workers.isEmpty, answers.missing.isEmpty else { return }
        throw ShuntError(.workerNone, "no worker is connected to this master", help: "start one, or ask the master that they are connected to")
    }

    /// - Throws: `connection.lost` where workers have not answered: nobody knows what they did.
    func requireAnswers(_ missing: [String], _ consequence: String) throws(ShuntError) {
        guard !missing.isEmpty else { return }
        throw ShuntError(.connectionLost, "no answer from \(missing.joined(separator: ", "))", help: consequence)
    }

    /// Names the workers that have not answered.
    func noteMissing<Answer>(_ answers: WorkerAnswersRecord<Answer>, _ consequence: String) {
        if !answers.missing.isEmpty { note("no answer from \(answers.missing.joined(separator: ", ")): \(consequence)") }
    }
}

extension RuleRecord {
    var calls: Int { hooks.reduce(0) { $0 + $1.calls } }
    var errors: Int { hooks.reduce(0) { $0 + $1.errors.values.reduce(0, +) } }

    fileprivate func isSameVersion(as other: RuleRecord) -> Bool { name == other.name && digest == other.digest && mode == other.mode }

    /// Adds what another worker says of the same version.
    fileprivate mutating func add(_ other: RuleRecord) {
        since = min(since, other.since)
        (offLoops, loops, memory) = (offLoops + other.offLoops, loops + other.loops, memory + other.memory)
        for hook in other.hooks {
            guard let place = hooks.firstIndex(where: { $0.hook == hook.hook }) else {
                hooks.append(hook)
                continue
            }
            hooks[place].calls += hook.calls
            hooks[place].verdicts.merge(hook.verdicts, uniquingKeysWith: +)
            hooks[place].errors.merge(hook.errors, uniquingKeysWith: +)
            // The slowest worker's.
            hooks[place].p50 = [hooks[place].p50, hook.p50].compactMap { $0 }.max()
            hooks[place].p99 = [hooks[place].p99, hook.p99].compactMap { $0 }.max()
        }
        failures = Array((failures + other.failures).sorted { $0.at > $1.at }.prefix(10))
        guard let others = other.differences else { return }
        guard var own = differences else { return differences = others }
        own.compared += others.compared
        own.different += others.different
        own.examples = Array((own.examples + others.examples).sorted { $0.at > $1.at }.prefix(10))
        differences = own
    }
}
