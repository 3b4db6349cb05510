import ShuntCore
import ShuntHTTP
import ShuntJSON
import ShuntRegistry

/// Follows a master's events, as it sends them. It waits for a master that goes away; of several it follows the one that serves.
struct EventFollowing {
    let masters: MastersSource
    let session: AdminSession
    let kind: EventRecord.Kind?
    /// Seconds between two tries to reach a master.
    let pause: Double

    /// Errors that pass by themselves.
    private static let passing: [ErrorCode] = [.masterUnavailable, .masterStandby, .registryUnavailable, .connectionLost, .followerLimit]

    private struct Gap: Decodable { var from, to: Int64 }

    /// Where it is.
    private struct Position {
        var master: APISource
        /// `REGISTRY:ID`.
        var place: String
        /// When the last event happened, by its master's clock.
        var at = 0.0
        /// Of the workers that there were when this was asked last.
        var names: WorkerNames
    }

    /// Follows events until the task is cancelled.
    /// - Parameter after: the id that the operator has given.
    func run(from first: EventQuery, after: Int64?) async throws(ShuntError) {
        let master = try await masters.serving()
        let page = try await page(first, of: master)
        let gap = after.flatMap { page.gap(after: $0) }.map { EventListing.gap($0, at: session.console.now()) }
        var position = Position(
            master: master, place: "\(page.registry):\(page.nextAfter)", at: page.events.last?.at ?? session.console.now(),
            names: await session.workerNames())
        try await write((gap.map { [$0] } ?? []) + page.events, isFirst: true, &position.names)
        var isAway = false
        while !Task.isCancelled {
            do throws(ShuntError) {
                try await goOn(&position, &isAway)
            } catch {
                guard !Task.isCancelled else { return }
                guard Self.passing.contains(error.code) else { throw error }
                if !isAway { session.note("shunt: \(error.location ?? position.master.name): \(error.message); waiting") }
                isAway = true
                // Cancelled: the condition ends the loop.
                try? await Task.sleep(for: .seconds(pause))
            }
        }
    }

    private func goOn(_ position: inout Position, _ isAway: inout Bool) async throws(ShuntError) {
        let master = try await masters.serving()
        if master.address != position.master.address { try await change(to: master, &position) }
        // Of several masters one that makes way says so by an event, of whatever kind the operator wants.
        let several = masters.areSeveral
        try await master.follow(after: position.place, kind: several ? nil : kind) { event throws(ShuntError) in
            if isAway { session.note("\(master.name) is reached again") }
            isAway = false
            if let id = event.id { position.place = id }
            guard let shown = try read(event, of: master) else { return true }
            if event.name.isEmpty { position.at = shown.at }
            if kind == nil || kind?.rawValue == shown.kind || !event.name.isEmpty { try await write([shown], &position.names) }
            return !(several && shown.kind == EventRecord.Kind.masterStandby.rawValue)
        }
    }

    /// Another master has a registry of its own: what it tells since the last event follows.
    private func change(to master: APISource, _ position: inout Position) async throws(ShuntError) {
        let page = try await page(EventQuery(since: position.at, kind: kind, limit: EventQuery.maximumLimit), of: master)
        try await write([EventListing.moved(at: session.console.now(), to: master.name)] + page.events, &position.names)
        (position.master, position.place) = (master, "\(page.registry):\(page.nextAfter)")
        position.at = page.events.last?.at ?? position.at
    }

    /// Writes events about workers under the names that people give these. A worker that has come is asked for once.
    private func write(_ events: [StoredEvent], isFirst: Bool = false, _ names: inout WorkerNames) async throws(ShuntError) {
        if events.contains(where: { $0.kind == EventRecord.Kind.workerJoined.rawValue && names[$0.subject] == $0.subject }) {
            names = await session.workerNames()
        }
        try EventListing.write(names.named(events, \.subject), isFirst: isFirst, session)
    }

    private func page(_ query: EventQuery, of master: APISource) async throws(ShuntError) -> EventPage {
        try await AdminSession(source: master, console: session.console, output: session.output).ask(.events(query), as: EventPage.self).answer
    }

    /// - Returns: what is shown of it.
    private func read(_ event: ServerSentEvent, of master: APISource) throws(ShuntError) -> StoredEvent? {
        func decoded<Record: Decodable>(_ type: Record.Type) throws(ShuntError) -> Record {
            if let record = try? RecordJSON.decode(type, from: event.data) { return record }
            throw ShuntError(
                .masterUnavailable, "an event is not what a master of this version sends", at: master.name,
                help: "use the `shunt` of the master's own version")
        }
        switch event.name {
        case "": return try decoded(StoredEvent.self)
        case "gap":
            let gap = try decoded(Gap.self)
            guard gap.from <= gap.to else { return nil }
            return EventListing.gap(gap.from...gap.to, at: session.console.now(), isStream: true)
        case "reset": return EventListing.reset(at: session.console.now(), source: master.name)
        case "closed":
            var error = try decoded(ProblemDetails.self).error
            error.location = error.location ?? master.name
            throw error
        default: return nil
        }
    }
}
