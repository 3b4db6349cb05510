import HTTPTypes
public import Hummingbird
import Logging
import NIOCore
import ShuntCore

/// What a request comes with.
public struct CallContext: RequestContext {
    public var coreContext: CoreRequestContextStorage
    let channel: any Channel

    public init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}

/// Finds the route of a request, and answers what has none with the list of those there are.
public struct RouteTable: HTTPResponder {
    public typealias Context = CallContext

    public let routes: [HTTPRoute]

    public init(_ routes: [HTTPRoute]) {
        self.routes = routes
    }

    /// Never throws: an error becomes an `application/problem+json` answer.
    public func respond(to request: Request, context: Context) async -> Response {
        let response: Response
        do {
            response = try await answer(request, context)
        } catch let error as ShuntError {
            response = .problem(error)
        } catch {
            context.logger.error("A request failed", metadata: ["path": "\(request.uri.path)", "error": "\(error)"])
            response = .problem(ShuntError(.internalError, "the server failed to answer", help: "its log says why"))
        }
        return request.method == .head ? response.createHeadResponse() : response
    }

    private func answer(_ request: Request, _ context: Context) async throws -> Response {
        if let fault = request.headers[HostFault.field] { throw HostFault.decode(fault) }
        let segments = try Self.segments(of: request.uri.path)
        let matching = routes.compactMap { route in Self.match(route.path, segments).map { (route: route, segment: $0) } }
        guard !matching.isEmpty else {
            throw ShuntError(
                .notFound, "there is nothing at this path", at: request.uri.path,
                help: "there is " + paths.joined(separator: ", "))
        }
        // HEAD is GET without the body (RFC 9110 §9.3.2).
        let method = request.method == .head ? .get : request.method
        guard let (route, segment) = matching.first(where: { $0.route.method == method }) else {
            let allowed = matching.map(\.route.method.rawValue).joined(separator: ", ")
            var response = Response.problem(
                ShuntError(
                    .methodNotAllowed, "\(request.method.rawValue) cannot be done here", at: request.uri.path,
                    help: "use " + allowed))
            response.headers[.allow] = allowed
            return response
        }
        let parameters = try QueryString.parse(request.uri.query ?? "", known: route.parameters)
        return try await route.handle(HTTPCall(segment: segment, parameters: parameters, request: request, channel: context.channel))
    }

    /// Each once, in the order of the table.
    private var paths: [String] {
        routes.reduce(into: []) { paths, route in
            if !paths.contains(route.path) { paths.append(route.path) }
        }
    }

    private static func segments(of path: String) throws(ShuntError) -> [String] {
        var segments: [String] = []
        for segment in path.split(separator: "/", omittingEmptySubsequences: false).dropFirst() {
            guard let decoded = QueryString.decode(segment, plusIsSpace: false) else {
                throw ShuntError(.requestInvalid, "the path is not percent-encoded UTF-8", at: path, help: QueryString.encodingHelp)
            }
            segments.append(decoded)
        }
        return segments
    }

    /// What the pattern's `{…}` stands for, empty without one; nil where the pattern does not match.
    private static func match(_ pattern: String, _ segments: [String]) -> String? {
        let parts = pattern.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        guard parts.count == segments.count else { return nil }
        var taken = ""
        for (part, segment) in zip(parts, segments) {
            if part.hasPrefix("{") {
                guard !segment.isEmpty else { return nil }
                taken = segment
            } else if part != segment {
                return nil
            }
        }
        return taken
    }
}
