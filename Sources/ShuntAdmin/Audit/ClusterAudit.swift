import ShuntCore
import ShuntRegistry

/// What looks wrong in a cluster, from what its master and its workers say.
struct ClusterAudit {
    struct Finding: Encodable, Equatable {
        enum Severity: String, Encodable {
            /// Somebody is hurt now.
            case problem
            /// Somebody may be soon.
            case warning
        }

        var severity: Severity
        /// A worker, a rule, a group, a certificate.
        var subject: String
        var what: String
        /// What an operator can do.
        var help: String
    }

    var workers: [WorkerRecord]
    var conditions: WorkerAnswersRecord<WorkerCondition>
    var rules: WorkerAnswersRecord<RuleSetRecord>
    var groups = WorkerAnswersRecord<GroupsRecord>(workers: [], missing: [])
    /// The newest ones.
    var events: [StoredEvent]
    /// The master's own.
    var certificates: [WorkerCondition.Certificate] = []
    /// Why the master's registry cannot be written; nil where it can.
    var registryProblem: String?
    /// By the master's clock when it was asked, seconds since 1970.
    var now: Double
    /// Seconds from then until the last worker had answered.
    var spent = 0.0

    private static let day = 86_400.0
    /// Seconds between clocks that are worth a word.
    private static let skew = 2.0
    /// So many clients more than half as many again as the average are worth a word: of a few clients, most are always somewhere.
    private static let fewClients = 20.0
    /// The audit tells what happened in so many seconds before it.
    private static let recent = 3_600.0

    /// Problems first.
    var findings: [Finding] {
        let all = ofWorkers + ofClients + ofVersions + ofConditions + ofMaster + ofRules + ofGroups + ofEvents
        return all.filter { $0.severity == .problem } + all.filter { $0.severity == .warning }
    }

    private var live: [WorkerRecord] { workers.filter { $0.state == .live } }

    func name(_ worker: WorkerRecord) -> String {
        worker.configuredName.isEmpty ? worker.name : "\(worker.configuredName) (\(worker.name))"
    }

    func name(_ worker: String) -> String { workers.first { $0.name == worker }.map { name($0) } ?? worker }

    func problem(_ subject: String, _ what: String, _ help: String) -> Finding {
        Finding(severity: .problem, subject: subject, what: what, help: help)
    }
    func warning(_ subject: String, _ what: String, _ help: String) -> Finding {
        Finding(severity: .warning, subject: subject, what: what, help: help)
    }

    // MARK: Workers

    private var ofWorkers: [Finding] {
        var found: [Finding] = []
        if live.isEmpty {
            found.append(problem("cluster", "no worker is live: no client can be served", "start a worker, or see why it does not reach this master"))
        }
        for worker in workers where worker.state == .lost && now - worker.heartbeatAt < Self.day {
            let since = Humane.age(of: worker.heartbeatAt, now: now)
            found.append(problem(name(worker), "is lost: its last heartbeat came \(since)", "see its log, and the network between it and the master"))
        }
        for worker in workers where worker.state == .draining {
            found.append(warning(name(worker), "drains: it takes no new clients", "`shunt admin undrain` ends it"))
        }
        for worker in conditions.missing {
            found.append(problem(name(worker), "does not answer its master", "see its log: it may be overloaded, or older than its master"))
        }
        for one in conditions.workers {
            guard let error = one.error else { continue }
            found.append(warning(name(one.worker), "cannot be looked at: \(error.message)", "run the same version of Shunt on all workers"))
        }
        let names = Dictionary(grouping: live.filter { !$0.configuredName.isEmpty }, by: \.configuredName).filter { $0.value.count > 1 }
        for (name, same) in names.sorted(by: { $0.key < $1.key }) {
            let addresses = same.map(\.name).sorted().joined(separator: ", ")
            found.append(warning(name, "is the name of \(same.count) live workers: \(addresses)", "give each a worker.name of its own"))
        }
        return found + uneven
    }

    /// Workers that have far more clients than the others.
    private var uneven: [Finding] {
        // Java workers have other clients, and other limits.
        let counts = live.map { (worker: $0, clients: $0.figures.connections) }
        guard counts.count > 1 else { return [] }
        let mean = Double(counts.reduce(0) { $0 + $1.clients }) / Double(counts.count)
        return counts.filter { Double($0.clients) > mean * 1.5 + Self.fewClients }.map { worker, clients in
            warning(
                name(worker), "has \(clients) clients, where the workers have \(Int(mean.rounded())) on average",
                "new clients go to the others; `shunt admin balance` shows who could move, and `--apply` moves them")
        }
    }

    private var ofVersions: [Finding] {
        let versions = Dictionary(grouping: live.filter { $0.version.hasPrefix("shunt ") }, by: \.version)
        guard versions.count > 1 else { return [] }
        let shares = versions.sorted { $0.key < $1.key }.map { "\($0.key) on \($0.value.count)" }.joined(separator: ", ")
        return [warning("cluster", "workers run several versions: \(shares)", "finish the update, or take it back")]
    }

    // MARK: Clients

    private var ofClients: [Finding] {
        live.flatMap { worker -> [Finding] in
            var found: [Finding] = []
            let figures = worker.figures
            if figures.stuckConsumers > 0 {
                let worst = worker.stuck.isEmpty ? "" : ", such as \(worker.stuck.joined(separator: "; "))"
                found.append(
                    problem(
                        name(worker), "has \(Humane.count(figures.stuckConsumers, "client")) too slow for anybody to wait for\(worst)",
                        "see these clients; worker.slow_consumer says what becomes of their messages"))
            }
            if figures.heldProducers > 0 {
                found.append(
                    warning(
                        name(worker),
                        "does not read from \(Humane.count(figures.heldProducers, "client")), since a consumer of their messages is slow",
                        "worker.groups.slow lets a group drop messages instead"))
            }
            return found
        }
    }

    // MARK: Conditions

    private var ofConditions: [Finding] {
        var found: [Finding] = []
        for one in conditions.workers {
            guard let condition = one.answer else { continue }
            let worker = name(one.worker)
            // The worker has looked at its clock at some moment of the time that was spent.
            let ahead = condition.now - min(max(condition.now, now), now + spent)
            if abs(ahead) > Self.skew {
                let text = "\(Int(abs(ahead).rounded())) s \(ahead > 0 ? "ahead of" : "behind") its master's"
                found.append(problem(worker, "has a clock \(text)", "set the clocks by NTP: tokens, bans and what expires go by them"))
            }
            if condition.clients * 10 > condition.clientLimit * 9 {
                found.append(
                    warning(
                        worker, "has \(Humane.count(condition.clients, "client")), and room for \(condition.clientLimit)",
                        "raise its hard limit of open files and limits.connections, or add a worker"))
            }
            found += condition.refusal.map { [refused($0, "configuration", worker, "mend it, then `shunt admin reload`")] } ?? []
            found += condition.certificates.compactMap { expiry($0, worker) }
            found += condition.hooks.filter { $0.p99 * 2 > $0.budget }.map { hook in
                let share = Int((hook.p99 / hook.budget * 100).rounded())
                return warning(
                    worker, "rule \(hook.rule): one call in a hundred of \(hook.hook) takes \(share) % of its budget or more",
                    "`shunt rule bench` shows where; a call over budget counts as an error")
            }
        }
        return found
    }

    private func refused(_ refusal: RefusalRecord, _ what: String, _ worker: String, _ help: String) -> Finding {
        warning(worker, "did not take its \(what) \(Humane.age(of: refusal.at, now: now)): \(refusal.why)", help)
    }

    private var ofMaster: [Finding] {
        let registry = registryProblem.map { why in
            problem(
                "master", "cannot write its registry: \(why)",
                "see its disk: lists grow old, and what workers, bans and events say now is lost if the master ends")
        }
        return [registry].compactMap { $0 } + certificates.compactMap { expiry($0, "master") }
    }

    private func expiry(_ certificate: WorkerCondition.Certificate, _ process: String) -> Finding? {
        let left = certificate.expiresAt - now
        let owner =
            switch certificate.listener {
            case WorkerCondition.Certificate.cluster: "for the cluster"
            case WorkerCondition.Certificate.admin: "of the admin API"
            default: "of listener \(certificate.listener)"
            }
        let place = "\(certificate.file) \(owner)"
        guard left < 14 * Self.day else { return nil }
        guard left > 0 else { return problem(process, "the certificate \(place) has expired", "renew it; SIGHUP loads it") }
        return warning(process, "the certificate \(place) expires in \(Humane.duration(left))", "renew it; SIGHUP loads it")
    }

    // MARK: Rules

    private var ofRules: [Finding] {
        var found: [Finding] = []
        for one in rules.workers {
            let ofConfiguration = conditions.workers.first { $0.worker == one.worker }?.answer?.refusal
            if let refusal = one.answer?.refusal, refusal.why != ofConfiguration?.why {
                found.append(refused(refusal, "rules", name(one.worker), "mend the rule's files, then `shunt admin rules reload`"))
            }
            for rule in one.answer?.rules ?? [] {
                if rule.offLoops > 0 {
                    found.append(
                        problem(
                            name(one.worker), "rule \(rule.name) is switched off on \(rule.offLoops) of \(rule.loops) loops: it failed too often",
                            "`shunt admin rule \(rule.name)` shows its latest failures; `shunt admin rules rollback` brings the version before"))
                }
                let (calls, errors) = (rule.calls, rule.errors)
                if rule.offLoops == 0, errors * 100 > calls {
                    found.append(
                        warning(
                            name(one.worker), "rule \(rule.name) has failed in \(errors) of \(Humane.count(calls, "call"))",
                            "`shunt admin rule \(rule.name)` shows how"))
                }
            }
        }
        for rule in RuleListing.differing(RuleListing.versions(of: rules)) {
            found.append(warning("rule \(rule)", "workers run different versions of it", "`shunt admin rules reload` has all read their files"))
        }
        return found
    }

    // MARK: Events

    private var ofEvents: [Finding] {
        var told: Set<String> = []
        return events.reversed().compactMap { event -> Finding? in
            guard now - event.at < Self.recent, told.insert(event.kind + event.subject).inserted else { return nil }
            let age = Humane.age(of: event.at, now: now)
            switch EventRecord.Kind(rawValue: event.kind) {
            case .rulesRolledBack:
                // What an operator has asked for is not wrong.
                guard event.detail.contains(EventRecord.byItself) else { return nil }
                return warning(name(event.subject), "went back to earlier rules \(age): \(event.detail)", "see what was deployed")
            case .linkRefused: return warning(event.subject, "was refused as a worker \(age): \(event.detail)", "see cluster.token_file there")
            case .adminRefused: return warning(event.subject, "was refused by the admin API \(age): \(event.detail)", "see who asks from there")
            default: return nil
            }
        }
    }
}
