import ShuntCore
import ShuntHTTP
import ShuntJSON
import ShuntRegistry

/// `/api/v1/history` and `/api/v1/workers/{name}/history`: the workers' figures over time.
struct HistoryRoutes {
    let registry: any RegistryReader
    /// Seconds since 1970.
    let now: @Sendable () -> Double

    var all: [HTTPRoute] { [ofCluster, ofWorker] }

    private static let latest = Int64(253_402_300_799)

    private static let figuresPattern: String = {
        let name = "(" + HistoryDocument.names.joined(separator: "|") + ")"
        return "^\(name)(,\(name))*$"
    }()

    private static let parameters = [
        HTTPParameter("since", .integer(0...latest), "From when on, in seconds since 1970; without it an hour before `until`."),
        HTTPParameter("until", .integer(0...latest), "Until when, in seconds since 1970; without it now."),
        HTTPParameter(
            "step", .choice(HistoryStep.allCases.map { "\($0.seconds)" }),
            "The length of a step, in seconds; without it the finest that is kept for as long as `since` lies back."),
        HTTPParameter("figures", .text(pattern: figuresPattern), "The names of the figures that are wanted, with commas between; without it all."),
    ]

    private var ofCluster: HTTPRoute {
        let sheet = RouteSheet(
            "Gives the figures of all workers together over time.", HistoryDocument.self, gives: "A series for each figure.", errors: .registry)
        return HTTPRoute(.get, "/api/v1/history", sheet, parameters: Self.parameters) { [registry, now] call in
            .json(try RecordJSON.encode(try await registry.history(try Self.query(call, now: now()))))
        }
    }

    private var ofWorker: HTTPRoute {
        let sheet = RouteSheet(
            "Gives a worker's figures over time.", HistoryDocument.self, gives: "A series for each figure.", segment: AdminContract.workerSegment,
            errors: .registry + [.workerUnknown])
        return HTTPRoute(.get, "/api/v1/workers/{name}/history", sheet, parameters: Self.parameters) { [registry, now] call in
            var query = try Self.query(call, now: now())
            query.worker = try await registry.worker(call.segment).name
            return .json(try RecordJSON.encode(try await registry.history(query)))
        }
    }

    private static func query(_ call: HTTPCall, now: Double) throws(ShuntError) -> HistoryQuery {
        let figures = call.parameters["figures"].map { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
        if let figures { try HistoryDocument.check(figures) }
        let since: Int64? = call.integer("since")
        let until: Int64? = call.integer("until")
        if let since, let until, since > until {
            throw ShuntError(.requestInvalid, "'since' is later than 'until'", at: "since", help: "give the earlier time as 'since'")
        }
        let step = call.parameters["step"].flatMap { Int($0) }.flatMap { HistoryStep(rawValue: $0) }
        return HistoryQuery(since: since.map(Double.init), until: until.map(Double.init) ?? now, step: step, figures: figures)
    }
}
