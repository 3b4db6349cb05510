public import Logging
public import ShuntCore

/// What a process tells those who watch it: whether it lives, whether it can serve, and its metrics.
public enum HealthServer {
    /// nil when the process can serve, else why it cannot.
    public typealias Readiness = @Sendable () async -> ShuntError?
    /// What is not as it should be of a process that can serve; nil where all is well.
    public typealias Note = @Sendable () -> String?

    /// `/healthz`, `/readyz` and `/metrics` on an endpoint of their own.
    ///
    /// `metrics` gives Prometheus text; it is called for each request, on none of the caller's threads.
    public static func start(
        _ configuration: HTTPEndpoint.Configuration, readiness: @escaping Readiness, note: @escaping Note = { nil },
        metrics: @escaping @Sendable () -> String, logger: Logger
    ) async throws(ShuntError) -> HTTPEndpoint {
        try await HTTPEndpoint.start(
            routes(readiness: readiness, note: note) + [metricsRoute(metrics)], configuration, logger: logger)
    }

    /// `/healthz` and `/readyz`.
    public static func routes(readiness: @escaping Readiness, note: @escaping Note = { nil }) -> [HTTPRoute] {
        [
            HTTPRoute(
                .get, "/healthz", RouteSheet("Tells whether the process lives.", .text(type: "text/plain"), gives: "It lives."), need: .nothing
            ) { _ in .text("ok\n") },
            HTTPRoute(.get, "/readyz", ready, need: .nothing) { _ in
                guard let reason = await readiness() else { return .text(note().map { "ready; \($0)\n" } ?? "ready\n") }
                return .problem(reason, status: 503)
            },
        ]
    }

    private static var ready: RouteSheet {
        var sheet = RouteSheet(
            "Tells whether the process can serve.", .text(type: "text/plain"), gives: "It can; behind a semicolon, what is not as it should be.")
        sheet.problems[503] = "It cannot serve now: `detail` says why."
        return sheet
    }

    /// `/metrics`, in Prometheus' text format 0.0.4.
    public static func metricsRoute(_ metrics: @escaping @Sendable () -> String) -> HTTPRoute {
        let sheet = RouteSheet("Gives the figures for Prometheus.", .text(type: "text/plain"), gives: "Prometheus' text format 0.0.4.")
        return HTTPRoute(.get, "/metrics", sheet) { _ in .text(metrics(), type: "text/plain; version=0.0.4; charset=utf-8") }
    }
}
