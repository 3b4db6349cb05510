import ArgumentParser
import ShuntCore
import ShuntRegistry

extension WorkerRecord.State: ExpressibleByArgument {}

struct WorkersCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "workers",
        abstract: "List the workers.",
        discussion: """
            live: heard of lately. draining: takes no new clients. lost: not heard of for longer than live_for.

              shunt admin workers
              shunt admin workers --state lost --output json
              shunt admin workers --registry var/registry.sqlite     while no master runs
            """)

    @OptionGroup var options: AdminOptions

    @Option(help: "Only workers in this state.")
    var state: WorkerRecord.State?

    @Option(help: "How many, at most \(WorkerQuery.maximumLimit).")
    var limit = 100

    @Option(help: "How many to skip, in the order of their names.")
    var offset = 0

    func validate() throws {
        guard (1...WorkerQuery.maximumLimit).contains(limit) else {
            throw ValidationError("--limit is \(limit): give a number from 1 to \(WorkerQuery.maximumLimit).")
        }
        guard offset >= 0 else { throw ValidationError("--offset is \(offset): give 0 or more.") }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        let query = WorkerQuery(state: state, limit: limit, offset: offset)
        let (page, json) = try await session.ask(.workers(query), as: WorkerPage.self)
        switch session.output {
        case .json: session.console.write(json + "\n")
        case .csv: session.write(WorkerReport.csv(page.workers))
        case .table:
            session.write(WorkerReport.table(page.workers, now: session.console.now()))
            if page.workers.count < page.total {
                session.note("\(page.workers.count) of \(page.total) workers; the others with --limit and --offset")
            }
        }
    }
}
