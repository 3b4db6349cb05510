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

    private static let parameters = ["since", "until", "step", "figures"]

    private var ofCluster: HTTPRoute {
        HTTPRoute(.get, "/api/v1/history", parameters: Self.parameters) { [registry, now] call in
            .json(try RecordJSON.encode(try await registry.history(try Self.query(call, now: now()))))
        }
    }

    private var ofWorker: HTTPRoute {
        HTTPRoute(.get, "/api/v1/workers/{name}/history", parameters: Self.parameters) { [registry, now] call in
            var query = try Self.query(call, now: now())
            query.worker = try await registry.worker(call.segment).name
            return .json(try RecordJSON.encode(try await registry.history(query)))
        }
    }

    private static func query(_ call: HTTPCall, now: Double) throws(ShuntError) -> HistoryQuery {
        let latest = Int64(253_402_300_799)
        let until = try call.integer("until", in: 0...latest).map(Double.init)
        let figures = call.parameters["figures"].map { $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init) }
        if let figures { try HistoryDocument.check(figures) }
        return HistoryQuery(
            since: try call.integer("since", in: 0...latest).map(Double.init), until: until ?? now, step: try step(call), figures: figures)
    }

    private static func step(_ call: HTTPCall) throws(ShuntError) -> HistoryStep? {
        guard let text = call.parameters["step"] else { return nil }
        guard let step = Int(text).flatMap({ HistoryStep(rawValue: $0) }) else {
            throw ShuntError(
                .requestInvalid, "'\(text)' is not something that 'step' can be", at: "step",
                help: "give one of \(HistoryStep.allCases.map { "\($0.seconds)" }.joined(separator: ", ")), in seconds")
        }
        return step
    }
}
