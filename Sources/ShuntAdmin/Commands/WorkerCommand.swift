import ArgumentParser
import ShuntCore
import ShuntRegistry

/// `shunt admin worker`: one worker in detail.
struct WorkerCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Show all that is known of one worker.",
        discussion: """
            By host:port, or by the name that its configuration gives it (worker.name). The beginning is enough where it is one \
            worker's alone.

              shunt admin worker 10.0.0.1:4091
              shunt admin worker 10.0.0.1
              shunt admin worker edge-1
            """)

    @OptionGroup var options: AdminOptions

    @Argument(help: "The worker's host:port or its name, as `shunt admin workers` lists them.")
    var name: String

    func validate() throws {
        guard !name.isEmpty else { throw ValidationError("The name is empty: give one that `shunt admin workers` lists.") }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        let (worker, json) = try await session.ask(.worker(name), as: WorkerRecord.self)
        switch session.output {
        case .json: try session.write(json: json)
        case .csv: try session.write(WorkerListing.csv([worker]))
        case .table: try session.console.write(WorkerListing.detail(worker, now: session.console.now(), width: session.console.width))
        }
    }
}
