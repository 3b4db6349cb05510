import ArgumentParser

/// `shunt dev`: a master and a worker in one process.
struct Dev: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "A master and a worker in one process, for trying it out.",
        discussion: "Example: shunt dev --config config/dev.yaml --set worker.loops=1")
    @OptionGroup var options: ProcessOptions

    func run() async throws { try await ServerProcess.run(.dev, options) }
}

/// `shunt master`: the process that knows the workers.
struct MasterProcess: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "master",
        abstract: "The process that knows the workers: registration, allocation, registry, admin API.",
        discussion: "Example: shunt master --config config/master.yaml")
    @OptionGroup var options: ProcessOptions

    func run() async throws { try await ServerProcess.run(.master, options) }
}

struct WorkerProcess: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "A process that holds client connections and routes their messages through the rules.",
        discussion: """
            Start as many as there is work for; each tells the masters of worker.masters that it is there.

            Example: shunt worker --config config/worker.yaml

            A second one on the same host needs ports of its own:
            shunt worker --config config/worker.yaml \\
            --set worker.listeners.exchange.listen=0.0.0.0:4092 \\
            --set worker.http.listen=127.0.0.1:4093
            """)
    @OptionGroup var options: ProcessOptions

    func run() async throws { try await ServerProcess.run(.worker, options) }
}
