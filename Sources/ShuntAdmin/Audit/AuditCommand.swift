import ArgumentParser
import ShuntCore
import ShuntRegistry

/// `shunt admin audit`: what looks wrong.
struct AuditCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Look at a live cluster, and tell what looks wrong.",
        discussion: """
            Workers that are lost, uneven, full or of different versions; clients that read too slowly; groups that are \
            uneven; clocks apart; certificates that expire \
            within two weeks; rules that are off, fail, differ between workers or come near their budget; refusals of the last hour. It changes \
            nothing.

              shunt admin audit
              shunt admin audit --output json

            Exit codes beside those of shunt admin: 1 where something was found.
            """)

    @OptionGroup var options: AdminOptions

    func report(_ session: AdminSession) async throws(ShuntError) {
        let began = session.console.now()
        let status = try await session.ask(.status, as: StatusDocument.self).answer
        let workers = try await session.allWorkers()
        let conditions = try await session.ask(.conditions, as: WorkerAnswersRecord<WorkerCondition>.self).answer
        let spent = session.console.now() - began
        let rules = try await session.ask(.rules(worker: nil), as: WorkerAnswersRecord<RuleSetRecord>.self).answer
        let groups = try await session.ask(
            .groups(SubscriptionQuestion(limit: SubscriptionQuestion.maximumLimit), worker: nil), as: WorkerAnswersRecord<GroupsRecord>.self
        ).answer
        let events = try await session.ask(.events(EventQuery(limit: EventQuery.maximumLimit)), as: EventPage.self).answer.events
        let audit = ClusterAudit(
            workers: workers, conditions: conditions, rules: rules, groups: groups, events: events, certificates: status.certificates ?? [],
            registryProblem: status.registry.problem, now: status.now, spent: spent)
        let findings = audit.findings
        switch session.output {
        case .json: try session.write(json: try session.json(of: ["findings": findings]))
        case .csv:
            var csv = CSV(header: ["severity", "subject", "what", "help"])
            for finding in findings { csv.append([finding.severity.rawValue, finding.subject, finding.what, finding.help]) }
            try session.write(csv)
        case .table: try session.console.write(text(findings, workers, session))
        }
        guard findings.isEmpty else { throw ShuntError(.auditFindings, Self.counted(findings)) }
    }

    private func text(_ findings: [ClusterAudit.Finding], _ workers: [WorkerRecord], _ session: AdminSession) -> String {
        let count = workers.count { $0.state == .live }
        guard !findings.isEmpty else { return "Nothing looks wrong: \(Humane.count(count, "live worker")) looked at.\n" }
        return findings.map { finding in
            let head = "\(finding.severity.rawValue)  "
            return FieldList.hanging(head, Text.printable("\(finding.subject): \(finding.what)"), width: session.console.width)
                + FieldList.hanging(String(repeating: " ", count: head.count), Text.printable(finding.help), width: session.console.width)
        }.joined()
    }

    private static func counted(_ findings: [ClusterAudit.Finding]) -> String {
        let problems = findings.count { $0.severity == .problem }
        let warnings = findings.count - problems
        return "\(Humane.count(problems, "problem")), \(Humane.count(warnings, "warning"))"
    }
}
