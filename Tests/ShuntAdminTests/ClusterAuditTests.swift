import ShuntCore
import ShuntRegistry
import Testing

@testable import ShuntAdmin

@Suite("What an audit finds") struct ClusterAuditTests {
    private static let now = 1_800_000_000.0

    private static func worker(_ name: String, _ change: (inout WorkerRecord) -> Void = { _ in }) -> WorkerRecord {
        var worker = WorkerRecord(
            name: name, host: "h", port: 1, state: .live, version: "shunt 0.1.0", startedAt: now - 100, heartbeatAt: now - 1)
        change(&worker)
        return worker
    }

    private static func condition(_ change: (inout WorkerCondition) -> Void = { _ in }) -> WorkerCondition {
        var condition = WorkerCondition(now: now, clients: 10, clientLimit: 1000)
        change(&condition)
        return condition
    }

    private static func audit(_ workers: [WorkerRecord], _ change: (inout ClusterAudit) -> Void = { _ in }) -> ClusterAudit {
        var audit = ClusterAudit(
            workers: workers,
            conditions: WorkerAnswersRecord(workers: workers.map { .init(worker: $0.name, result: .success(condition())) }, missing: []),
            rules: WorkerAnswersRecord(workers: [], missing: []), events: [], now: now)
        change(&audit)
        return audit
    }

    private static func told(_ audit: ClusterAudit) -> [String] { audit.findings.map { "\($0.severity) \($0.subject): \($0.what)" } }

    @Test("In a cluster that is well, nothing")
    func nothing() {
        #expect(Self.audit([Self.worker("a"), Self.worker("b")]).findings.isEmpty)
    }

    @Test("Groups with stuck members, with one that is given far more, or at one worker of several; sticky ones and small differences are well")
    func groups() {
        typealias Group = GroupsRecord.Group
        func audit(_ first: [Group], _ second: [Group]?, total: Int? = nil) -> [String] {
            Self.told(
                Self.audit([Self.worker("a"), Self.worker("b")]) { audit in
                    let answers = [("a", first), ("b", second ?? [])].prefix(second == nil ? 1 : 2).map { name, groups in
                        (worker: name, result: GroupsRecord(groups: groups, total: total ?? groups.count, subscriptions: 9))
                    }
                    audit.groups = WorkerAnswersRecord(
                        workers: answers.map { .init(worker: $0.worker, result: .success($0.result)) }, missing: second == nil ? ["b"] : [])
                })
        }
        func group(_ name: String, _ subscriptions: Int = 3, stuck: Int = 0, strategy: String = "least_delivered", most: Int = 10) -> Group {
            Group(
                group: name, strategy: strategy, subscriptions: subscriptions, stuck: stuck, absent: 0,
                uneven: .init(filter: "t/#", members: 3, delivered: most + 200, most: most))
        }
        #expect(audit([group("g")], [group("g")]) == [])
        #expect(
            audit([group("g", stuck: 1)], [group("g", stuck: 3)]) == [
                "problem group g: 1 of its 3 subscriptions at a belong to clients that read too slowly: the others get their messages",
                "problem group g: 3 of its 3 subscriptions at b belong to clients that read too slowly: nobody gets its messages in time",
            ])
        #expect(
            audit([group("g", most: 1_401)], [group("g", most: 1_400)]) == [
                "warning group g: one of its 3 members at a was given 1401 messages of t/#, the others 100 on average"
            ])
        #expect(audit([group("g", strategy: "sticky", most: 9_000)], [group("g")]) == [])
        let alone = "warning group g: all of its 3 subscriptions are at a: messages of other workers do not reach it"
        #expect(audit([group("g")], []) == [alone])
        #expect(audit([group("g", 1)], []) == [])
        // Nobody knows.
        #expect(audit([group("g")], [], total: 5) == [] && !audit([group("g")], nil).contains(alone))
    }

    @Test("Workers that are lost, drain, do not answer, or have each other's names; and that there is none")
    func workers() {
        #expect(Self.told(Self.audit([])) == ["problem cluster: no worker is live: no client can be served"])
        let lost = Self.worker("b") { ($0.state, $0.heartbeatAt) = (.lost, Self.now - 120) }
        let old = Self.worker("c") { ($0.state, $0.heartbeatAt) = (.lost, Self.now - 90_000) }
        let drains = Self.worker("d") { $0.state = .draining }
        let found = Self.told(
            Self.audit([Self.worker("a"), lost, old, drains]) { $0.conditions = WorkerAnswersRecord(workers: [], missing: ["a"]) })
        #expect(
            found == [
                "problem b: is lost: its last heartbeat came 2m ago", "problem a: does not answer its master",
                "warning d: drains: it takes no new clients",
            ])
        let twins = ["a", "b"].map { Self.worker($0) { $0.configuredName = "x" } }
        #expect(Self.told(Self.audit(twins)).contains("warning x: is the name of 2 live workers: a, b"))
    }

    @Test("A worker with far more clients than the others, and several versions")
    func uneven() {
        let full = Self.worker("a") { $0.figures.connections = 1000 }
        let others = ["b", "c"].map { Self.worker($0) { $0.figures.connections = 100 } }
        #expect(Self.told(Self.audit([full] + others)) == ["warning a: has 1000 clients, where the workers have 400 on average"])
        let close = Self.worker("a") { $0.figures.connections = 150 }
        #expect(Self.audit([close] + others).findings.isEmpty)
        // Of few clients, too; but not of so few that it means nothing.
        let few = [3, 4].map { count in Self.worker("w\(count)") { $0.figures.connections = count } }
        let most = Self.worker("a") { $0.figures.connections = 121 }
        #expect(Self.told(Self.audit([most] + few)) == ["warning a: has 121 clients, where the workers have 43 on average"])
        #expect(Self.audit([Self.worker("a") { $0.figures.connections = 30 }] + few).findings.isEmpty)
        let new = Self.worker("z") { $0.version = "shunt 0.2.0" }
        #expect(
            Self.told(Self.audit([Self.worker("a"), new])).contains(
                "warning cluster: workers run several versions: shunt 0.1.0 on 1, shunt 0.2.0 on 1"))
    }

    @Test("Clients that read too slowly, and those that wait for them")
    func slow() {
        let worker = Self.worker("a") {
            ($0.figures.stuckConsumers, $0.figures.heldProducers, $0.stuck) = (2, 3, ["10.0.0.9:5 bob"])
        }
        let found = Self.told(Self.audit([worker]))
        #expect(found.count == 2)
        #expect(found[0].hasPrefix("problem a: has 2 clients too slow for anybody to wait for, such as 10.0.0.9:5 bob"))
        #expect(found[1].hasPrefix("warning a: does not read from 3 clients"))
    }

    @Test("Clocks, room, certificates and budgets")
    func conditions() {
        let workers = [Self.worker("a") { $0.configuredName = "edge" }]
        let found = Self.told(
            Self.audit(workers) {
                let condition = Self.condition {
                    ($0.now, $0.clients) = (Self.now - 30, 950)
                    $0.certificates = [
                        .init(listener: "tls", file: "old.pem", expiresAt: Self.now - 5),
                        .init(listener: "tls", file: "soon.pem", expiresAt: Self.now + 86_400 * 3),
                        .init(listener: "tls", file: "good.pem", expiresAt: Self.now + 86_400 * 90),
                        .init(listener: "cluster", file: "node.pem", expiresAt: Self.now + 86_400 * 2),
                    ]
                    $0.hooks = [
                        .init(rule: "r", hook: "on_message", p99: 0.0015, budget: 0.002),
                        .init(rule: "s", hook: "on_tick", p99: 0.0001, budget: 0.002),
                    ]
                }
                $0.conditions = WorkerAnswersRecord(workers: [.init(worker: "a", result: .success(condition))], missing: [])
                $0.certificates = [.init(listener: "admin", file: "door.pem", expiresAt: Self.now + 3_700)]
            })
        #expect(
            found == [
                "problem edge (a): has a clock 30 s behind its master's", "problem edge (a): the certificate old.pem of listener tls has expired",
                "warning edge (a): has 950 clients, and room for 1000", "warning edge (a): the certificate soon.pem of listener tls expires in 3d",
                "warning edge (a): the certificate node.pem for the cluster expires in 2d",
                "warning edge (a): rule r: one call in a hundred of on_message takes 75 % of its budget or more",
                "warning master: the certificate door.pem of the admin API expires in 1h",
            ])
    }

    @Test("The time that answers take is no difference of clocks")
    func slowAnswers() {
        let late = Self.condition { $0.now = Self.now + 8 }
        func told(spent: Double) -> [String] {
            Self.told(
                Self.audit([Self.worker("a")]) {
                    $0.conditions = WorkerAnswersRecord(workers: [.init(worker: "a", result: .success(late))], missing: [])
                    $0.spent = spent
                })
        }
        #expect(told(spent: 7) == [])
        #expect(told(spent: 1) == ["problem a: has a clock 7 s ahead of its master's"])
    }

    @Test("A registry that cannot be written, and workers that have not taken what they read last")
    func notTaken() {
        let configuration = RefusalRecord(at: Self.now - 60, why: "acl:17: wrong")
        let rules = RefusalRecord(at: Self.now - 120, why: "rule.lua:1: wrong")
        func set(_ refusal: RefusalRecord?) -> RuleSetRecord {
            RuleSetRecord(version: 1, deployedAt: 0, canRollBack: false, rules: [], refusal: refusal)
        }
        let found = Self.told(
            Self.audit([Self.worker("a"), Self.worker("b")]) {
                $0.registryProblem = "the disk is full"
                $0.conditions = WorkerAnswersRecord(
                    workers: [
                        .init(worker: "a", result: .success(Self.condition { $0.refusal = configuration })),
                        .init(worker: "b", result: .success(Self.condition())),
                    ], missing: [])
                $0.rules = WorkerAnswersRecord(
                    workers: [
                        .init(worker: "a", result: .success(set(configuration))), .init(worker: "b", result: .success(set(rules))),
                    ], missing: [])
            })
        #expect(
            found == [
                "problem master: cannot write its registry: the disk is full", "warning a: did not take its configuration 1m ago: acl:17: wrong",
                "warning b: did not take its rules 2m ago: rule.lua:1: wrong",
            ])
    }

    @Test("Rules that are off or fail, and what has happened within the hour, each once")
    func rulesAndEvents() {
        let hook = RuleHookRecord(hook: "on_message", calls: 1000, verdicts: [:], errors: ["rule.failed": 20], p50: nil, p99: nil)
        let off = RuleRecord(name: "r", plugin: "r", priority: 0, digest: "1", since: 0, offLoops: 1, loops: 2, memory: 0, hooks: [hook])
        var failing = off
        (failing.name, failing.offLoops) = ("s", 0)
        // Two of five are as much of a reason as twenty of a thousand.
        var young = failing
        young.name = "t"
        young.hooks = [RuleHookRecord(hook: "on_message", calls: 5, verdicts: [:], errors: ["rule.failed": 2], p50: nil, p99: nil)]
        let set = RuleSetRecord(version: 1, deployedAt: 0, canRollBack: false, rules: [off, failing, young])
        let events = [
            StoredEvent(id: 1, at: Self.now - 7200, kind: "rules.rolled_back", subject: "c", detail: "by itself: old"),
            // The worker says itself whether that is still so.
            StoredEvent(id: 5, at: Self.now - 60, kind: "rules.refused", subject: "a", detail: "a syntax error"),
            StoredEvent(id: 2, at: Self.now - 120, kind: "rules.rolled_back", subject: "a", detail: "by itself: slower"),
            StoredEvent(id: 3, at: Self.now - 60, kind: "rules.rolled_back", subject: "a", detail: "by itself: slower still"),
            // An operator has asked for it.
            StoredEvent(id: 4, at: Self.now - 60, kind: "rules.rolled_back", subject: "b", detail: "version 2 is gone, version 1 is back"),
        ]
        let found = Self.told(
            Self.audit([Self.worker("a")]) {
                $0.rules = WorkerAnswersRecord(workers: [.init(worker: "a", result: .success(set))], missing: [])
                $0.events = events
            })
        #expect(
            found == [
                "problem a: rule r is switched off on 1 of 2 loops: it failed too often", "warning a: rule s has failed in 20 of 1000 calls",
                "warning a: rule t has failed in 2 of 5 calls",
                "warning a: went back to earlier rules 1m ago: by itself: slower still",
            ])
    }
}

@Suite("Times and rates of operators' commands") struct OperatorFiguresTests {
    @Test(
        "A time is so long ago, or a date",
        arguments: [
            ("90s", 999_910.0), ("15m", 999_100), ("2h", 992_800), ("7d", 395_200), ("1970-01-02", 86_400), ("1970-01-02T00:01:00Z", 86_460),
            ("2026-11-29T14:00:00Z", 1_795_960_800), ("2024-02-29T00:00Z", 1_709_164_800), ("999999999d", 0),
        ])
    func since(text: String, expected: Double) throws {
        #expect(try SinceTime(parsing: text).seconds(now: 1_000_000) == expected)
    }

    @Test(
        "Anything else is no time",
        arguments: ["", "s", "5", "-5m", "1.5h", "2026-13-01", "2026-02-29", "2026-11-29T25:00", "2026-11-29T1:2:3:4", "yesterday", "99999999999s"])
    func noTime(text: String) {
        #expect(throws: (any Error).self) { try SinceTime(parsing: text) }
    }

    @Test("Rates are what was done between two heartbeats; a worker that has begun anew has done nothing")
    func rates() {
        func worker(_ name: String, _ deliveries: Int, at: Double, startedAt: Double = 0) -> WorkerRecord {
            var worker = WorkerRecord(name: name, host: "h", port: 1, state: .live, startedAt: startedAt, heartbeatAt: at)
            worker.figures.deliveries = deliveries
            return worker
        }
        let begin = ["a", "b", "c"].map { WorkerRates(worker: worker($0, 100, at: 10)) }
        let then = WorkerRates.next(
            begin, [worker("a", 300, at: 14), worker("b", 50, at: 14, startedAt: 12), worker("c", 20, at: 14), worker("d", 9, at: 14)])
        #expect(then.map(\.deliveries) == [50, 0, 0, 0])
        let silent = WorkerRates.next(then, [worker("a", 300, at: 14)])
        #expect(silent.map(\.deliveries) == [50])
        #expect(WorkerRates.next(silent, [worker("a", 300, at: 17)]).map(\.deliveries) == [0])
        #expect([0, 0.04, 0.25, 9.94, 9.96, 1234.5].map(WorkerRates.text) == ["0", "0.0", "0.3", "9.9", "10", "1235"])
    }
}
