import ArgumentParser
import ShuntCore
import ShuntRegistry

/// `shunt admin events`: what has happened, once or as it happens.
struct EventsCommand: AdminSubcommand {
    static let configuration = CommandConfiguration(
        commandName: "events",
        abstract: "Show what has happened, oldest first.",
        discussion: """
            The newest events, or with --after those that follow an id. With --follow the master sends what happens, until it is stopped; \
            with --output json it then writes a line of JSON for each event. Events that were missed are told as events.gap, another \
            registry in the place of the first as events.reset. It waits for a master that goes away, and goes on behind the last \
            event; of several masters it follows the one that serves.

              shunt admin events --kind worker.lost
              shunt admin events --since 2h --kind command
              shunt admin events --follow
              shunt admin events --after 120 --limit 1000 --output csv
            """)

    @OptionGroup var options: AdminOptions

    @Option(parsing: .unconditional, help: "How many, at most \(EventQuery.maximumLimit).")
    var limit = 20

    @Option(help: "Only events of this kind.")
    var kind: EventRecord.Kind?

    @Option(parsing: .unconditional, help: ArgumentHelp("Only events after the one of this id.", valueName: "id"))
    var after: Int64?

    @Option(
        help: ArgumentHelp("Only events of this time: 90s, 15m, 2h, 7d ago, or since 2026-11-29T14:00:00Z.", valueName: "time"),
        transform: SinceTime.init(parsing:))
    var since: SinceTime?

    @Flag(help: "Go on with what happens from now.")
    var follow = false

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("How often to look for more in a file, or for a master that has gone, in seconds.", valueName: "seconds"))
    var interval = 1.0

    func validate() throws {
        guard (1...EventQuery.maximumLimit).contains(limit) else {
            throw ValidationError("--limit is \(limit): give a number from 1 to \(EventQuery.maximumLimit).")
        }
        guard (after ?? 0) >= 0 else { throw ValidationError("--after takes an id, which is 0 or more.") }
        guard interval >= 0.01, interval <= 3_600 else { throw ValidationError("--interval takes from 0.01 to 3600 seconds.") }
    }

    func report(_ session: AdminSession) async throws(ShuntError) {
        if follow, let masters = session.source as? MastersSource {
            return try await EventFollowing(masters: masters, session: session, kind: kind, pause: interval).run(from: first(session), after: after)
        }
        let (page, json) = try await session.ask(.events(first(session)), as: EventPage.self)
        guard follow else {
            switch session.output {
            case .json: try session.write(json: json)
            case .csv: try session.write(EventListing.csv(page.events, header: true))
            case .table: try session.write(EventListing.table(await session.named(page.events, \.subject)))
            }
            if let after, let gap = page.gap(after: after) { session.note(EventListing.gap(gap, at: 0).detail + ": \(gap)") }
            return
        }
        let gap = after.flatMap { page.gap(after: $0) }.map { EventListing.gap($0, at: session.console.now()) }
        try EventListing.write((gap.map { [$0] } ?? []) + (await session.named(page.events, \.subject)), isFirst: true, session)
        try await goOn(from: page, session)
    }

    private func first(_ session: AdminSession) -> EventQuery {
        EventQuery(after: after, since: since?.seconds(now: session.console.now()), kind: kind, limit: limit)
    }

    /// Looks into a registry's file again and again, until the task is cancelled.
    private func goOn(from first: EventPage, _ session: AdminSession) async throws(ShuntError) {
        var next = first.nextAfter
        var registry = first.registry
        var isAway = false
        while !Task.isCancelled {
            // Cancelled: the condition ends the loop.
            try? await Task.sleep(for: .seconds(interval))
            do throws(ShuntError) {
                let query = EventQuery(after: next, kind: kind, limit: EventQuery.maximumLimit)
                let (page, _) = try await session.ask(.events(query), as: EventPage.self)
                if isAway { session.note("reached again") }
                isAway = false
                guard page.registry == registry else {
                    try EventListing.write([EventListing.reset(at: session.console.now(), source: session.source.name)], isFirst: false, session)
                    registry = page.registry
                    next = 0
                    continue
                }
                let gap = page.gap(after: next).map { EventListing.gap($0, at: session.console.now()) }
                try EventListing.write((gap.map { [$0] } ?? []) + (await session.named(page.events, \.subject)), isFirst: false, session)
                next = page.nextAfter
            } catch {
                guard error.code == .masterUnavailable || error.code == .registryUnavailable else { throw error }
                if !isAway { session.note("shunt: \(error.location ?? session.source.name): \(error.message); waiting") }
                isAway = true
            }
        }
    }
}

extension EventRecord.Kind: ExpressibleByArgument {}
