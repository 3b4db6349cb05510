import ArgumentParser
import ShuntCore
import ShuntRegistry

/// `shunt admin workers`: the list of workers.
struct WorkersCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "workers",
        abstract: "List the workers.",
        discussion: """
            live: heard of lately. draining: takes no new clients. lost: not heard of for longer than live_for; in a registry's \
            file, for longer than 20 s.

              shunt admin workers
              shunt admin workers --state lost --output json
              shunt admin workers --registry var/registry.sqlite     while no master runs
            """)

    @OptionGroup var options: AdminOptions
    @OptionGroup var page: PageOptions

    @Option(help: "Only workers in this state.")
    var state: WorkerRecord.State?

    func report(_ session: AdminSession) async throws(ShuntError) {
        let query = WorkerQuery(state: state, limit: page.limit, offset: page.offset)
        let (found, json) = try await session.ask(.workers(query), as: WorkerPage.self)
        switch session.output {
        case .json: try session.write(json: json)
        case .csv: try session.write(WorkerListing.csv(found.workers))
        case .table:
            try session.write(WorkerListing.table(found.workers, now: session.console.now()))
            if found.workers.count < found.total {
                session.note("\(found.workers.count) of \(found.total) workers; the others with --limit and --offset")
            }
        }
    }
}

extension WorkerRecord.State: ExpressibleByArgument {}
