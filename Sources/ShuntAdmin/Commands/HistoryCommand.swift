import ArgumentParser
import ShuntCore
import ShuntRegistry

/// `shunt admin history`: figures over time, of one worker or of all together.
struct HistoryCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "Show a worker's figures over time, or those of all workers together.",
        discussion: """
            The master keeps them by ten seconds for an hour, by the minute for a day, by the hour for thirty days (master.registry.history). \
            What a worker counts is shown a second, the rest as its mean; of held_producers and stuck_consumers the highest. Nothing is shown \
            of times in which the master heard nothing. Times are UTC. A table sums up what would be more than 60 lines, unless --step \
            says how finely; csv and json have every step.

              shunt admin history                              all workers, the last hour
              shunt admin history edge-1 --since 1h --plot
              shunt admin history edge-1 --since 7d --figure connections --figure requests
              shunt admin history --since 1d --step 1h --output csv
            """)

    @OptionGroup var options: AdminOptions

    @Argument(help: "The worker's host:port or its name; without it, all workers together.")
    var name: String?

    @Option(
        help: ArgumentHelp("From when on: 90s, 15m, 2h, 7d ago, or since 2026-11-29T14:00:00Z. Default: 1h.", valueName: "time"),
        transform: SinceTime.init(parsing:))
    var since: SinceTime?

    @Option(help: ArgumentHelp("Until when; now by default.", valueName: "time"), transform: SinceTime.init(parsing:))
    var until: SinceTime?

    @Option(help: "How finely: 10s, 1m or 1h. Default: the finest that is kept for so long.")
    var step: HistoryStep?

    @Option(
        name: .customLong("figure"),
        help: ArgumentHelp("Only this figure, as json names it, such as requests or mqtt_queued; may be given several times.", valueName: "name"))
    var figures: [String] = []

    @Flag(help: "Draw charts.")
    var plot = false

    func validate() throws {
        if name?.isEmpty == true { throw ValidationError("The name is empty: give one that `shunt admin workers` lists.") }
        guard !plot || options.output == .table else { throw ValidationError("--plot and --output exclude each other: a chart is for people.") }
        do throws(ShuntError) {
            try HistoryDocument.check(figures)
        } catch {
            throw ValidationError("\(error.message): \(error.help ?? "").")
        }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        let now = session.console.now()
        let end = until?.seconds(now: now) ?? now
        let begin = since?.seconds(now: now) ?? max(0, end - 3_600)
        guard begin <= end else {
            throw ShuntError(.usage, "the time that --since gives is after that of --until", help: "--since is the earlier one")
        }
        // Charts and tables sum up; they need what means are weighted by.
        let asked = options.output == .table || figures.isEmpty ? nil : figures
        let request = HistoryRequest(since: Int(begin), until: Int(end), step: step, figures: asked)
        let (found, json) = try await session.ask(.history(request, worker: name), as: HistoryDocument.self)
        switch session.output {
        case .json: try session.write(json: json)
        case .csv: try session.write(HistoryListing.csv(found))
        case .table where plot: try session.console.write(HistoryPlot(found, figures: figures, width: session.console.width ?? 80).text)
        case .table:
            let shown = step == nil ? found.merged(into: 61) : found
            try session.write(HistoryListing.table(shown, figures: figures))
            if shown.step != found.step { session.note("each line sums up \(Humane.duration(Double(shown.step)))") }
        }
        if options.output == .table, let step, now - begin > Double(step.kept) + 60 {
            session.note("steps of \(step.argument) are kept for \(Humane.duration(Double(step.kept))): what is older has longer steps")
        }
        if options.output == .table, found.isEmpty {
            session.note("nothing is known of this time: the master keeps what master.registry.history says, from when it first heard the worker")
        }
    }
}

extension HistoryStep: ExpressibleByArgument {
    public init?(argument: String) {
        guard let step = Self.allCases.first(where: { $0.argument == argument }) else { return nil }
        self = step
    }

    public static var allValueStrings: [String] { allCases.map(\.argument) }

    /// The option's help tells them.
    public static var allValueDescriptions: [String: String] { [:] }

    public var defaultValueDescription: String { argument }

    fileprivate var argument: String {
        switch self {
        case .tenSeconds: "10s"
        case .minute: "1m"
        case .hour: "1h"
        }
    }
}
