import ShuntCore
import ShuntHTTP
import ShuntJSON
import ShuntRegistry

/// `/api/v1/events/stream`: events as they happen, as server-sent events.
struct EventStreamRoutes {
    let registry: any RegistryReader
    let feed: EventFeed

    var follow: HTTPRoute {
        let sheet = RouteSheet(
            "Follows events as they happen.", .text(type: "text/event-stream"),
            gives: """
                Server-sent events, until either side ends it. Without a name: an event (`StoredEvent`). `open`: where it begins. `gap`: events \
                `from` … `to` were missed, or are kept no longer. `reset`: the ids are another registry's, and it begins anew. `closed`: why the \
                master ends it, as problem details. Each `id` is `REGISTRY:ID`.
                """, errors: .registry + [.followerLimit])
        let parameters = [
            HTTPParameter("after", "Begins behind this event: an id, or `REGISTRY:ID`. Without it: with what happens from now on."),
            HTTPParameter.choice("kind", EventRecord.Kind.self, "Only events of this kind."),
        ]
        let last = HTTPParameter("Last-Event-ID", "As `after`, which it goes before: browsers send it when they come again.")
        return HTTPRoute(.get, "/api/v1/events/stream", sheet, parameters: parameters, fields: [last]) { [registry, feed] call in
            let place = try Self.place(call)
            let first = try await registry.events(EventQuery(limit: 1))
            let (key, wakes) = try feed.join()
            let follower = EventFollower(registry: registry, feed: feed, wakes: wakes, kind: call.parameters["kind"], mayStill: call.mayStill)
            let stream = HTTPStream(run: { send in try await follower.run(from: place, first, send) }, ended: { feed.leave(key) })
            return .stream(stream, type: "text/event-stream")
        }
    }

    /// - Throws: `request.invalid`.
    private static func place(_ call: HTTPCall) throws(ShuntError) -> EventPlace? {
        for (name, text) in [("Last-Event-ID", call.fields["Last-Event-ID"]), ("after", call.parameters["after"])] {
            guard let text, !text.isEmpty else { continue }
            guard let place = EventPlace(text) else {
                throw ShuntError(.requestInvalid, "this is no place among events", at: name, help: "give an id, or REGISTRY:ID as events have it")
            }
            return place
        }
        return nil
    }
}

/// One program that follows events.
struct EventFollower: Sendable {
    let registry: any RegistryReader
    let feed: EventFeed
    let wakes: EventFeed.Wakes
    /// nil: every kind.
    let kind: String?
    /// Whether the token that it came with still counts.
    let mayStill: @Sendable () -> Bool

    /// Sends what happens until the client has gone, the feed ends, or the token does not count any longer.
    /// - Parameter first: the newest event, with what the registry says of itself.
    func run(from place: EventPlace?, _ first: EventPage, _ send: HTTPStream.Send) async throws {
        do throws(ShuntError) {
            try await follow(place, first, send)
        } catch {
            try await send(try closing(error))
        }
    }

    private func closing(_ error: ShuntError) throws -> [UInt8] {
        EventFrame.frame("closed", id: nil, try RecordJSON.encode(ProblemDetails(error)))
    }

    private func follow(_ place: EventPlace?, _ first: EventPage, _ send: HTTPStream.Send) async throws(ShuntError) {
        let name = first.registry
        var position = place?.id ?? first.nextAfter
        // Nobody has an id that is not given yet, but from another registry, or from this one before a copy of it was brought back.
        let isReset = place?.registry.map { $0 != name } ?? false || position > first.nextAfter
        if isReset { position = 0 }
        try await sent(send) { try EventFrame.opening(position, oldest: first.oldest, registry: name) }
        if isReset { try await sent(send) { try EventFrame.reset(registry: name) } }
        repeat { position = try await catchUp(from: position, send) } while !feed.follow(from: position, registry: name)
        for await _ in wakes {
            guard mayStill() else {
                throw ShuntError(.accessCredentials, "the token is none of this master's any more", help: "master.admin.tokens_file lists them")
            }
            var isSilent = true
            while true {
                let step = feed.step(after: position, kind: kind)
                position = step.position
                if let gap = step.gap { try await sent(send) { try EventFrame.gap(gap, registry: name) } }
                if !step.frames.isEmpty { try await sent(send) { step.frames } }
                isSilent = isSilent && step.gap == nil && step.frames.isEmpty
                guard step.hasMore else { break }
            }
            if isSilent { try await sent(send) { EventFrame.heartbeat } }
        }
        throw ShuntError(.connectionLost, "the master ends", help: "come again when it runs")
    }

    /// Sends what the registry has behind a place, and gives the place behind that.
    private func catchUp(from start: Int64, _ send: HTTPStream.Send) async throws(ShuntError) -> Int64 {
        var position = start
        while true {
            let query = EventQuery(after: position, kind: kind.flatMap { EventRecord.Kind(rawValue: $0) }, limit: EventQuery.maximumLimit)
            let page = try await registry.events(query)
            if let gap = page.gap(after: position) { try await sent(send) { try EventFrame.gap(gap, registry: page.registry) } }
            for event in page.events { try await sent(send) { try EventFrame.event(event, registry: page.registry) } }
            position = page.nextAfter
            guard page.events.count == EventQuery.maximumLimit else { return position }
        }
    }

    /// - Throws: `connection.lost` where the client has gone.
    private func sent(_ send: HTTPStream.Send, _ frame: () throws -> [UInt8]) async throws(ShuntError) {
        do {
            try await send(try frame())
        } catch {
            throw ShuntError(.connectionLost, "the client has gone")
        }
    }
}
