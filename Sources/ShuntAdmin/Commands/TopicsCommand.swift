import ArgumentParser
import ShuntCore

/// `shunt admin topics`: what carries most.
struct TopicsCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "topics",
        abstract: "List the topics that carry most, of all workers together or of one.",
        discussion: """
            With --top by what came in the last ten to twenty seconds, else by totals since the topic is counted. Recipients are the \
            recipients that were chosen for the messages; a topic that nobody has subscribed has none. Only a running master can ask the \
            workers: not with --registry.

              shunt admin topics --top
              shunt admin topics --top --by bytes --limit 5
              shunt admin topics --by recipients --worker edge-1 --output csv
            """)

    /// How many are listed where nobody says.
    static let usualLimit = 20

    @OptionGroup var options: AdminOptions
    @OptionGroup var only: OneWorkerOption

    @Flag(help: "The busiest now, by rate, instead of those with the highest totals.")
    var top = false

    @Option(help: "What makes a topic busy: messages, bytes or recipients.")
    var by: TopicQuestion.Measure = .messages

    @Option(parsing: .unconditional, help: "How many, at most \(TopicQuestion.maximumLimit).")
    var limit = Self.usualLimit

    func validate() throws {
        guard (1...TopicQuestion.maximumLimit).contains(limit) else {
            throw ValidationError("--limit is \(limit): give a number from 1 to \(TopicQuestion.maximumLimit).")
        }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        let worker = try await only.name(session)
        // A topic that is busy at all workers together may stand further down at each.
        let asked = min(worker == nil ? max(TopicQuestion.usualLimit, 4 * limit) : limit, TopicQuestion.maximumLimit)
        let question = TopicQuestion(by: by, over: top ? .now : .total, limit: session.output == .json ? limit : asked)
        let (answers, json) = try await session.ask(.topics(question, worker: worker), as: WorkerAnswersRecord<TopicsRecord>.self)
        let found = await session.named(answers)
        try session.requireWorkers(found)
        let rows = TopicListing(found, question).rows.prefix(limit)
        switch session.output {
        case .json: try session.write(json: json)
        case .csv: try session.write(TopicListing.csv(rows))
        case .table:
            try session.write(TopicListing.table(rows))
            let counted = found.workers.map { $0.answer?.counted ?? 0 }.max() ?? 0
            if rows.count < counted { session.note("\(rows.count) of \(counted) topics or more; the others with --limit") }
        }
        session.noteRefusals(found)
        session.noteMissing(found, "its messages are not counted")
    }
}

extension TopicQuestion.Measure: ExpressibleByArgument {}

/// The topics of all workers, each once.
struct TopicListing {
    struct Row: Equatable {
        var topic: String
        var load: TopicLoad
        /// How many workers have named the topic.
        var workers: Int
    }

    /// The busiest first.
    let rows: [Row]

    init(_ found: WorkerAnswersRecord<TopicsRecord>, _ question: TopicQuestion) {
        var rows: [ExactText: Row] = [:]
        for topic in found.workers.flatMap({ $0.answer?.topics ?? [] }) {
            var row = rows[ExactText(topic.topic)] ?? Row(topic: topic.topic, load: TopicLoad(), workers: 0)
            row.load += topic.load
            row.workers += 1
            rows[ExactText(topic.topic)] = row
        }
        self.rows = rows.values.sorted { one, other in
            let (left, right) = (one.load.measure(question), other.load.measure(question))
            return left != right ? left > right : one.topic < other.topic
        }
    }

    static func csv(_ rows: some Sequence<Row>) -> CSV {
        var csv = CSV(header: [
            "topic", "messages_per_second", "bytes_per_second", "recipients_per_second", "messages", "bytes", "recipients", "workers",
        ])
        for row in rows {
            let (load, total) = (row.load, row.load.total)
            csv.append([
                row.topic, "\(load.messageRate)", "\(load.byteRate)", "\(load.recipientRate)", "\(total.messages)", "\(total.bytes)",
                "\(total.recipients)", "\(row.workers)",
            ])
        }
        return csv
    }

    static func table(_ rows: some Sequence<Row>) -> Table {
        let columns: [Table.Column] = [
            .init(title: "TOPIC", rank: 9), .init(title: "MESSAGES/S", isNumber: true, rank: 8), .init(title: "BYTES/S", isNumber: true, rank: 6),
            .init(title: "RECIPIENTS/S", isNumber: true, rank: 7), .init(title: "MESSAGES", isNumber: true, rank: 5),
            .init(title: "BYTES", isNumber: true, rank: 3), .init(title: "RECIPIENTS", isNumber: true, rank: 4),
            .init(title: "WORKERS", isNumber: true, rank: 2),
        ]
        return Table(
            columns: columns,
            rows: rows.map { row in
                let (load, total) = (row.load, row.load.total)
                return [
                    row.topic, Humane.rate(load.messageRate), Humane.bytes(Int(clamping: Int64(load.byteRate.rounded()))),
                    Humane.rate(load.recipientRate), "\(total.messages)", Humane.bytes(total.bytes), "\(total.recipients)", "\(row.workers)",
                ].map { Table.Cell($0) }
            })
    }
}
