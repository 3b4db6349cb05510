import ArgumentParser
import ShuntCore
import ShuntRegistry

/// `shunt admin drain`: empties a worker.
struct DrainCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Have a worker take no new clients, and send the present ones to other workers.",
        discussion: """
            Clients of MQTT 5.0 are told another worker by Server Reference, chats and new clients of the exchange protocol by 307; the others \
            are closed, and find another worker by themselves. Producers go first, so that what they send still has takers. Nothing \
            that was acknowledged is lost: a client that has messages to acknowledge goes when it has; a session that keeps messages for a client \
            that is away stays until the client has come for them, or the session ends. --force-after bounds that.

            Only a running master can do this, and only while another worker is live.

              shunt admin drain edge-1
              shunt admin drain edge-1 --rate 1000 --wait
              shunt admin drain edge-1 --exit        its process ends when nobody is left
              shunt admin undrain edge-1             it takes clients again
            """)

    @OptionGroup var options: AdminOptions

    @Option(help: "Clients that are sent away in a second, at most \(DrainRequest.maximumRate).", transform: DepartureRate.init(parsing:))
    var rate = DepartureRate.usual

    @Option(
        help: ArgumentHelp(
            "After this time send away those too that cannot go without loss: a number and s, m, h or d. Without it: never.", valueName: "time"))
    var forceAfter: String?

    @Flag(help: "End the worker's process when nobody is left.")
    var exit = false

    @Flag(help: "Wait until nobody is left, and tell how many are on the way.")
    var wait = false

    @Argument(help: "The worker: its host:port or its worker.name, of which the beginning is enough.")
    var name: String

    func validate() throws {
        if let forceAfter, BanCommand.seconds(forceAfter) == nil {
            throw ValidationError("--force-after is '\(forceAfter)': give a time such as 90s, 10m or 1h.")
        }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        let worker = try await session.worker(name)
        let request = DrainRequest(rate: rate.number, forceAfter: forceAfter.flatMap(BanCommand.seconds), exit: exit ? true : nil)
        var (state, json) = try await session.ask(.drain(worker, request), as: DrainRecord.self)
        if wait { (state, json) = try await DrainListing.wait(for: worker, exits: exit, state, json, session) }
        try await DrainListing.write(state, json, worker, session)
    }
}

/// `shunt admin undrain`: ends a drain.
struct UndrainCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "undrain",
        abstract: "Have a worker that drains take clients again.",
        discussion: """
            Clients that it has sent away stay where they are: `shunt admin balance` tells whether some should come back.

              shunt admin undrain edge-1
            """)

    @OptionGroup var options: AdminOptions

    @Argument(help: "The worker: its host:port or its worker.name, of which the beginning is enough.")
    var name: String

    func report(_ session: AdminSession) async throws(ShuntError) {
        let worker = try await session.worker(name)
        let (state, json) = try await session.ask(.undrain(worker), as: DrainRecord.self)
        try await DrainListing.write(state, json, worker, session)
    }
}

/// `shunt admin balance`: who has more than its share.
struct BalanceCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "balance",
        abstract: "Show which workers have more clients than their share, or have them give some to others.",
        discussion: """
            The share is the mean of all live workers. A worker moves clients if it has a tenth more than that, and ten more: its clients \
            beyond the mean. Only clients move that have no lasting session and no chat there; a worker of message-channel is told the \
            mean, and closes connections that have subscribed nothing.

              shunt admin balance
              shunt admin balance --apply --rate 500
            """)

    @OptionGroup var options: AdminOptions

    @Flag(help: "Have the workers move them.")
    var apply = false

    @Option(
        help: "With --apply, clients that each worker sends away in a second, at most \(DrainRequest.maximumRate).",
        transform: DepartureRate.init(parsing:))
    var rate: DepartureRate?

    func validate() throws {
        guard rate == nil || apply else { throw ValidationError("--rate is for --apply.") }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        let (plan, json) = try await session.ask(apply ? .applyBalance(rate: rate?.number) : .balance, as: BalancePlan.self)
        let workers = await session.named(plan.workers, \.worker)
        switch session.output {
        case .json: try session.write(json: json)
        case .csv:
            var csv = CSV(header: ["worker", "connections", "mean", "move", "error"])
            for worker in plan.workers {
                csv.append([worker.worker, "\(worker.connections)", "\(plan.mean)", "\(worker.move)", worker.error?.message ?? ""])
            }
            try session.write(csv)
        case .table:
            let table = Table(
                columns: [
                    .init(title: "WORKER"), .init(title: "CONNECTIONS", isNumber: true, rank: 2), .init(title: "SHARE", isNumber: true, rank: 1),
                    .init(title: "MOVE", isNumber: true, rank: 3),
                ],
                rows: workers.map { [.init($0.worker), .init("\($0.connections)"), .init("\(plan.mean)"), .init("\($0.move)")] })
            try session.write(table)
        }
        for worker in workers { if let error = worker.error { session.note("\(worker.worker): \(error.message) (\(error.code))") } }
        if plan.workers.isEmpty { session.note("no worker is live") }
        guard !apply, session.output == .table, !plan.workers.isEmpty else { return }
        session.note(plan.moves == 0 ? "all workers have about their share" : "nothing has been moved: --apply moves them")
    }
}

/// How many clients a worker sends away in a second.
struct DepartureRate: CustomStringConvertible {
    static let usual = DepartureRate(number: DrainRequest.usualRate)

    let number: Int

    private init(number: Int) { self.number = number }

    init(parsing text: String) throws {
        guard let number = Int(text), (1...DrainRequest.maximumRate).contains(number) else {
            throw ValidationError("--rate is \(text): give a number from 1 to \(DrainRequest.maximumRate).")
        }
        self.number = number
    }

    var description: String { "\(number)" }
}

enum DrainListing {
    /// Seconds between two questions how far a worker is.
    private static let interval = Duration.seconds(1)

    /// Asks again until nobody is left.
    /// - Parameter exits: whether the worker ends then.
    static func wait(
        for worker: String, exits: Bool, _ first: DrainRecord, _ firstJSON: String, _ session: AdminSession
    ) async throws(ShuntError) -> (DrainRecord, String) {
        var (state, json) = (first, firstJSON)
        var told = ""
        while !state.isEmpty || state.leaving > 0 {
            let text = words(state)
            if text != told { session.note(text) }
            told = text
            guard (try? await Task.sleep(for: interval)) != nil else { break }
            do throws(ShuntError) {
                (state, json) = try await session.ask(.drainState(worker), as: DrainRecord.self)
            } catch {
                // It has ended between two questions.
                guard exits, try await isGone(worker, session) else { throw error }
                state = DrainRecord(draining: true, since: state.since, sent: state.sent, givenUp: state.givenUp)
                json = try session.json(of: state)
            }
            guard state.draining else {
                throw ShuntError(.requestInvalid, "\(worker) takes clients again: another operator has ended the drain")
            }
        }
        return (state, json)
    }

    private static func isGone(_ worker: String, _ session: AdminSession) async throws(ShuntError) -> Bool {
        try await session.ask(.worker(worker), as: WorkerRecord.self).answer.state.isAway
    }

    static func words(_ state: DrainRecord) -> String {
        let left = [
            (state.connections, "connection"), (state.sessions, "session"), (state.chats, "chat"), (state.delayed, "delayed message"),
        ].filter { $0.0 > 0 }.map { Humane.count($0.0, $0.1) }
        let list = left.isEmpty ? "nobody" : left.joined(separator: ", ")
        let lost = state.givenUp.map { "; lost: \(Humane.count($0, "delayed message"))" } ?? ""
        return "left: \(list)" + (state.sent > 0 ? "; sent away: \(state.sent)" : "") + lost + (state.waits.map { "; waits: \($0)" } ?? "")
    }

    static func write(_ state: DrainRecord, _ json: String, _ worker: String, _ session: AdminSession) async throws(ShuntError) {
        switch session.output {
        case .json: try session.write(json: json)
        case .csv:
            var csv = CSV(header: ["worker", "draining", "connections", "sessions", "chats", "delayed", "leaving", "sent", "given_up", "waits"])
            csv.append([
                worker, "\(state.draining)", "\(state.connections)", "\(state.sessions)", "\(state.chats)", "\(state.delayed)", "\(state.leaving)",
                "\(state.sent)", "\(state.givenUp ?? 0)", state.waits ?? "",
            ])
            try session.write(csv)
        case .table:
            let name = Text.printable(await session.workerNames()[worker])
            try session.console.write(state.draining ? "\(name) drains; \(words(state))\n" : "\(name) takes clients\n")
        }
    }
}
