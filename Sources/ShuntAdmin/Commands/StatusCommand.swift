import ArgumentParser
import ShuntCore
import ShuntRegistry

/// `shunt admin status`: the cluster at a glance.
struct StatusCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show the cluster at a glance: master, workers, clients, rules.",
        discussion: """
              shunt admin status
              shunt admin status --output json

            `shunt admin audit` tells what looks wrong, `shunt admin top` goes on showing.
            """)

    @OptionGroup var options: AdminOptions

    func report(_ session: AdminSession) async throws(ShuntError) {
        let (status, json) = try await session.ask(.status, as: StatusDocument.self)
        switch session.output {
        case .json: return try session.write(json: json)
        case .csv: throw ShuntError(.usage, "status has no CSV", help: "use --output json, or `shunt admin workers --output csv`")
        case .table: break
        }
        guard status.isServing else {
            let fields = Self.standby(status, session.source.name)
            return try session.console.write(FieldList.text(fields, width: session.console.width))
        }
        let live = try await session.allWorkers().filter { !$0.state.isAway }
        let rules = try await session.ask(.rules(worker: nil), as: WorkerAnswersRecord<RuleSetRecord>.self).answer
        try session.console.write(FieldList.text(Self.fields(status, live, rules, session.source.name), width: session.console.width))
        session.noteMissing(rules, "its rules are not counted")
    }

    static func fields(
        _ status: StatusDocument, _ live: [WorkerRecord], _ rules: WorkerAnswersRecord<RuleSetRecord>, _ master: String
    ) -> [(name: String, value: String)] {
        func sum(_ value: KeyPath<WorkerFigures, Int>) -> Int { live.reduce(0) { $0 + $1.figures[keyPath: value] } }
        let states = WorkerRecord.State.allCases.compactMap { state in
            status.workers[state.rawValue].flatMap { $0 > 0 ? "\($0) \(state.rawValue)" : nil }
        }
        let versions = RuleListing.versions(of: rules)
        let off: Int = rules.workers.flatMap { $0.answer?.rules ?? [] }.count { $0.offLoops > 0 }
        let names: Int = Set(versions.map(\.rule.name)).count
        let running = versions.isEmpty ? "none" : off > 0 ? "\(names), switched off at \(off) places" : "\(names)"
        return Self.head(status, master) + [
            ("workers", states.isEmpty ? "none" : states.joined(separator: ", ")),
            ("clients", "\(sum(\.connections)) connected, \(sum(\.mqttClients)) of them by MQTT"),
            ("sessions", "\(status.devices) of devices, \(sum(\.mqttSessions)) of MQTT, \(Humane.count(status.chats, "chat"))"),
            ("subscriptions", "\(sum(\.subscriptions))"),
            ("messages", "\(Humane.count(sum(\.requests), "request")), \(sum(\.deliveries)) delivered since the workers started"),
            ("slow", "\(Humane.count(sum(\.stuckConsumers), "stuck consumer")), \(Humane.count(sum(\.heldProducers), "held producer"))"),
            ("rules", running),
        ]
    }

    /// Of a master that stands by for another: how the cluster is, that one knows.
    static func standby(_ status: StatusDocument, _ master: String) -> [(name: String, value: String)] {
        let heard = status.master?.heard ?? 0
        return head(status, master) + [("workers", "\(heard) heard here; the master that serves knows how they are")]
    }

    /// The workers at the master, of the electorate: right after it has begun, more may have come.
    private static func workers(_ role: MasterRoleRecord) -> String {
        guard let electorate = role.electorate, role.heard <= electorate else { return Humane.count(role.heard, "worker") }
        return "\(role.heard) of \(electorate) workers"
    }

    private static func head(_ status: StatusDocument, _ master: String) -> [(name: String, value: String)] {
        let fields = [("master", "\(master), \(status.version), up \(Humane.duration(status.uptimeSeconds))")]
        guard let role = status.master else { return fields }
        let others = role.masters.map { "\($0.address) \($0.role)" }.joined(separator: ", ")
        let text =
            "\(role.role) in term \(role.term) for \(Humane.duration(max(0, status.now - role.since)))"
            + (status.isServing ? ", \(workers(role))" : role.serving.map { ", \($0) serves" } ?? ", none serves")
        return fields + [("role", text), ("other masters", others)]
    }
}

extension AdminSession {
    /// All workers that the registry knows, page by page.
    func allWorkers() async throws(ShuntError) -> [WorkerRecord] {
        var all: [WorkerRecord] = []
        while true {
            let query = WorkerQuery(state: nil, limit: WorkerQuery.maximumLimit, offset: all.count)
            let page = try await ask(.workers(query), as: WorkerPage.self).answer
            all += page.workers
            if page.workers.isEmpty || all.count >= page.total { return all }
        }
    }
}
