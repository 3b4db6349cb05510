import ArgumentParser
import ShuntCore

/// `shunt admin subscriptions`: the filters that the workers' clients subscribe.
struct SubscriptionsCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "subscriptions",
        abstract: "List the topic filters with the most subscriptions, of each worker.",
        discussion: """
            FILTER is a topic filter: only filters that it takes, as if they were topics. Who has subscribed one, `shunt admin client` tells. \
            Only a running master can ask the workers: not with --registry.

              shunt admin subscriptions
              shunt admin subscriptions 'sensors/#' --limit 20
              shunt admin subscriptions --worker edge-1 --output csv
            """)

    @OptionGroup var options: AdminOptions
    @OptionGroup var only: OneWorkerOption
    @OptionGroup var most: MostOption

    @Argument(help: "Only filters that this filter takes; all without one.")
    var filter: String?

    func validate() throws {
        guard let filter else { return }
        do throws(ShuntError) {
            try RetainedRequest.check(filter)
        } catch {
            throw ValidationError("\(error.message): \(error.help ?? "").")
        }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        let question = SubscriptionQuestion(filter: filter, limit: most.limit)
        let worker = try await only.name(session)
        let (answers, json) = try await session.ask(.subscriptions(question, worker: worker), as: WorkerAnswersRecord<SubscriptionsRecord>.self)
        let found = await session.named(answers)
        try session.requireWorkers(found)
        let rows = found.workers.flatMap { one in (one.answer?.filters ?? []).map { [$0.filter, "\($0.subscriptions)", one.worker] } }
        try most.report(rows, ["filter", "subscriptions", "worker"], numbers: [1], json, session)
        for one in found.workers {
            guard let answer = one.answer, answer.filters.count < answer.total else { continue }
            session.note("\(one.worker): \(answer.filters.count) of \(answer.total) filters, with \(answer.subscriptions) subscriptions in all")
        }
        session.noteRefusals(found)
        session.noteMissing(found, "its filters are not listed")
    }
}

/// `shunt admin groups`: the consumer groups of the workers.
struct GroupsCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "groups",
        abstract: "List the largest consumer groups of each worker.",
        discussion: """
            With the subscriptions that each has, and how a member is chosen for a message. Only a running master can ask the workers: not with \
            --registry.

              shunt admin groups
              shunt admin groups --worker edge-1 --output csv
            """)

    @OptionGroup var options: AdminOptions
    @OptionGroup var only: OneWorkerOption
    @OptionGroup var most: MostOption

    func report(_ session: AdminSession) async throws(ShuntError) {
        let worker = try await only.name(session)
        let question = SubscriptionQuestion(limit: most.limit)
        let (answers, json) = try await session.ask(.groups(question, worker: worker), as: WorkerAnswersRecord<GroupsRecord>.self)
        let found = await session.named(answers)
        try session.requireWorkers(found)
        let rows = found.workers.flatMap { one in
            (one.answer?.groups ?? []).map { [$0.group, "\($0.subscriptions)", $0.strategy, one.worker] }
        }
        try most.report(rows, ["group", "subscriptions", "strategy", "worker"], numbers: [1], json, session)
        for one in found.workers {
            guard let answer = one.answer, answer.groups.count < answer.total else { continue }
            session.note("\(one.worker): \(answer.groups.count) of \(answer.total) groups, with \(answer.subscriptions) subscriptions in all")
        }
        session.noteRefusals(found)
        session.noteMissing(found, "its groups are not listed")
    }
}

/// How many of the largest are listed.
struct MostOption: ParsableArguments {
    @Option(parsing: .unconditional, help: "How many of each worker, at most \(SubscriptionQuestion.maximumLimit).")
    var limit = SubscriptionQuestion.usualLimit

    func validate() throws {
        guard (1...SubscriptionQuestion.maximumLimit).contains(limit) else {
            throw ValidationError("--limit is \(limit): give a number from 1 to \(SubscriptionQuestion.maximumLimit).")
        }
    }

    func report(_ rows: [[String]], _ names: [String], numbers: Set<Int>, _ json: String, _ session: AdminSession) throws(ShuntError) {
        switch session.output {
        case .json: try session.write(json: json)
        case .csv:
            var csv = CSV(header: names)
            for row in rows { csv.append(row) }
            try session.write(csv)
        case .table:
            let columns = names.enumerated().map { Table.Column(title: $1.uppercased(), isNumber: numbers.contains($0), rank: names.count - $0) }
            try session.write(Table(columns: columns, rows: rows.map { row in row.map { .init($0) } }))
        }
    }
}
