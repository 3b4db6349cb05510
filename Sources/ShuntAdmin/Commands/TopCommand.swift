import ArgumentParser
import ShuntCore
import ShuntRegistry

/// `shunt admin top`: workers and what they do at this moment, as it changes.
struct TopCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "top",
        abstract: "Show what workers do at this moment, and go on showing.",
        discussion: """
            Clients, and a second: requests, deliveries, bytes in and out, between a worker's last two heartbeats, which come every 3 s; the \
            busiest worker first. In a pipe each look is a table below the last one.

              shunt admin top
              shunt admin top --sort clients --interval 5
              shunt admin top --count 1              one look, for scripts
            """)

    enum Order: String, ExpressibleByArgument, CaseIterable {
        case deliveries, requests, clients, name
    }

    @OptionGroup var options: AdminOptions

    @Option(parsing: .unconditional, help: ArgumentHelp("How often to look, in seconds.", valueName: "seconds"))
    var interval = 3.0

    @Option(parsing: .unconditional, help: "How many looks; without it, until it is stopped.")
    var count: Int?

    @Option(help: "What the order goes by.")
    var sort: Order = .deliveries

    func validate() throws {
        guard interval >= 0.1, interval <= 3_600 else { throw ValidationError("--interval takes from 0.1 to 3600 seconds.") }
        guard count.map({ $0 > 0 }) ?? true else { throw ValidationError("--count is 1 or more.") }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        var rates = try await WorkerRates.first(session)
        var shown = 0
        while !Task.isCancelled {
            try show(rates, session)
            shown += 1
            if shown == count { return }
            // Cancelled: the condition ends the loop.
            try? await Task.sleep(for: .seconds(interval))
            do throws(ShuntError) {
                rates = WorkerRates.next(rates, try await session.allWorkers())
            } catch {
                guard count == nil, error.code == .masterUnavailable || error.code == .registryUnavailable else { throw error }
                session.note("shunt: \(error.location ?? session.source.name): \(error.message); waiting")
            }
        }
    }

    private func show(_ rates: [WorkerRates], _ session: AdminSession) throws(ShuntError) {
        let sorted = rates.sorted { one, other in
            switch sort {
            case .deliveries where one.deliveries != other.deliveries: one.deliveries > other.deliveries
            case .requests where one.requests != other.requests: one.requests > other.requests
            case .clients where one.worker.figures.connections != other.worker.figures.connections:
                one.worker.figures.connections > other.worker.figures.connections
            default: one.worker.name < other.worker.name
            }
        }
        switch session.output {
        case .json: try session.write(json: try session.json(of: sorted.map(WorkerRates.Line.init)))
        case .csv:
            var csv = CSV(header: [
                "worker", "configured_name", "state", "clients", "requests", "deliveries", "bytes_in", "bytes_out", "held", "stuck",
            ])
            for one in sorted {
                let line = WorkerRates.Line(one)
                csv.append([
                    line.worker, line.configuredName, line.state, "\(line.clients)", "\(line.requests)", "\(line.deliveries)", "\(line.bytesIn)",
                    "\(line.bytesOut)", "\(line.held)", "\(line.stuck)",
                ])
            }
            try session.write(csv)
        case .table:
            // Home, and nothing below: the screen does not flicker as it would if it were cleared first.
            let rendered = Self.table(sorted).render(width: session.console.width, colors: session.console.colors)
            let head = Self.head(sorted, at: session.console.now()) + "\n"
            try session.console.write((session.console.isTerminal && count == nil ? "\u{1B}[H\u{1B}[J" : "") + head + rendered.text + "\n")
        }
    }

    static func head(_ rates: [WorkerRates], at now: Double) -> String {
        let clients = rates.reduce(0) { $0 + $1.worker.figures.connections }
        let (requests, deliveries) = rates.reduce((0.0, 0.0)) { ($0.0 + $1.requests, $0.1 + $1.deliveries) }
        let workers = Humane.count(rates.count, "worker")
        let traffic = "\(WorkerRates.text(requests)) requests/s  \(WorkerRates.text(deliveries)) deliveries/s"
        return "\(Humane.time(now))  \(workers)  \(Humane.count(clients, "client"))  \(traffic)"
    }

    static func table(_ rates: [WorkerRates]) -> Table {
        Table(
            columns: [
                .init(title: "WORKER"), .init(title: "NAME", rank: 8), .init(title: "STATE", isWhole: true, rank: 9),
                .init(title: "CLIENTS", isNumber: true, rank: 7), .init(title: "REQUESTS/S", isNumber: true, rank: 5),
                .init(title: "DELIVERIES/S", isNumber: true, rank: 6), .init(title: "IN/S", isNumber: true, rank: 2),
                .init(title: "OUT/S", isNumber: true, rank: 3), .init(title: "HELD", isNumber: true, rank: 1),
                .init(title: "STUCK", isNumber: true, rank: 4),
            ],
            rows: rates.map { one in
                let figures = one.worker.figures
                return [
                    .init(one.worker.name), .init(one.worker.configuredName.isEmpty ? "-" : one.worker.configuredName),
                    .init(one.worker.state.rawValue, one.worker.state.tone),
                    .init("\(figures.connections)"), .init(WorkerRates.text(one.requests)), .init(WorkerRates.text(one.deliveries)),
                    .init(Humane.bytes(Int(one.bytesIn))), .init(Humane.bytes(Int(one.bytesOut))), .init("\(figures.heldProducers)"),
                    .init("\(figures.stuckConsumers)", figures.stuckConsumers > 0 ? .bad : .plain),
                ]
            })
    }
}

/// What a worker did between its last two heartbeats, a second.
struct WorkerRates {
    /// As JSON and CSV have it.
    struct Line: Encodable {
        var worker: String
        var configuredName: String
        var state: String
        var clients: Int
        /// A second, as those that follow.
        var requests: Double
        var deliveries: Double
        var bytesIn: Double
        var bytesOut: Double
        var held: Int
        var stuck: Int

        init(_ rates: WorkerRates) {
            (worker, configuredName, state) = (rates.worker.name, rates.worker.configuredName, rates.worker.state.rawValue)
            clients = rates.worker.figures.connections
            (requests, deliveries, bytesIn, bytesOut) = (rates.requests, rates.deliveries, rates.bytesIn, rates.bytesOut)
            (held, stuck) = (rates.worker.figures.heldProducers, rates.worker.figures.stuckConsumers)
        }
    }

    var worker: WorkerRecord
    var requests = 0.0
    var deliveries = 0.0
    var bytesIn = 0.0
    var bytesOut = 0.0

    /// Looks until all live workers have sent a heartbeat, at most for some seconds.
    static func first(_ session: AdminSession) async throws(ShuntError) -> [WorkerRates] {
        var rates = try await session.allWorkers().map { WorkerRates(worker: $0) }
        let heard = rates.map(\.worker.heartbeatAt)
        for _ in 0..<8 where !Task.isCancelled {
            try? await Task.sleep(for: .seconds(0.5))
            rates = next(rates, try await session.allWorkers())
            let silent = zip(rates, heard).contains { !$0.worker.state.isAway && $0.worker.heartbeatAt == $1 }
            if !silent { break }
        }
        return rates
    }

    /// A worker that has sent no heartbeat meanwhile has the rates that it had. One that has begun anew, or has just come, has none yet.
    static func next(_ known: [WorkerRates], _ workers: [WorkerRecord]) -> [WorkerRates] {
        let known = Dictionary(known.map { ($0.worker.name, $0) }) { first, _ in first }
        return workers.map { worker in
            var rates = WorkerRates(worker: worker)
            guard let before = known[worker.name], before.worker.startedAt == worker.startedAt else { return rates }
            let seconds = worker.heartbeatAt - before.worker.heartbeatAt
            guard seconds > 0 else {
                rates = before
                rates.worker = worker
                return rates
            }
            func rate(_ value: KeyPath<WorkerFigures, Int>) -> Double {
                // A worker may report any number.
                max(0, Double(worker.figures[keyPath: value]) - Double(before.worker.figures[keyPath: value])) / seconds
            }
            (rates.requests, rates.deliveries) = (rate(\.requests), rate(\.deliveries))
            (rates.bytesIn, rates.bytesOut) = (rate(\.requestBytes), rate(\.responseBytes))
            return rates
        }
    }

    /// Whole from ten on.
    static func text(_ rate: Double) -> String {
        guard rate < 1e15 else { return "-" }
        if rate >= 9.95 || rate == 0 { return "\(Int(rate.rounded()))" }
        let tenths = Int((rate * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}
