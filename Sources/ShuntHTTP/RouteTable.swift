import Logging
import NIOHTTP1
import ShuntCore

/// Finds the route of a request, and answers what has none with the list of those there are.
struct RouteTable: Sendable {
    private let routes: [HTTPRoute]
    private let authority: (any HTTPAuthority)?
    private let logger: Logger

    init(_ routes: [HTTPRoute], authority: (any HTTPAuthority)? = nil, logger: Logger) {
        self.routes = routes
        self.authority = authority
        self.logger = logger
    }

    /// An error becomes an `application/problem+json` answer.
    /// - Parameters:
    ///   - source: the client's IP address.
    ///   - body: reads the request's body; called once, where a route takes it.
    func respond(
        to request: HTTPRequestHead, from source: String, body: () async throws(ShuntError) -> [UInt8]
    ) async -> HTTPResponse {
        let target = RequestTarget(request.uri)
        do {
            return try await answer(request, target, source, body)
        } catch let error as ShuntError {
            var response = HTTPResponse.problem(error)
            response.addChallenge(for: error)
            return response
        } catch {
            logger.error("A request failed", metadata: ["path": "\(target.path)", "error": "\(error)"])
            return .problem(ShuntError(.internalError, "the server failed to answer", help: "its log says why"))
        }
    }

    private func answer(
        _ request: HTTPRequestHead, _ target: RequestTarget, _ source: String, _ body: () async throws(ShuntError) -> [UInt8]
    ) async throws -> HTTPResponse {
        let name = request.method.rawValue
        let segments = try Self.segments(of: target.path)
        let matching = routes.compactMap { route in Self.match(route.path, segments).map { (route: route, segment: $0) } }
        // HEAD is GET without the body (RFC 9110 §9.3.2).
        let method = name == "HEAD" ? .get : HTTPRoute.Method(rawValue: name)
        let found = matching.first { $0.route.method == method }
        if method != .get { try Self.checkOrigin(of: request) }
        // What there is to ask for is told to those who may ask.
        let caller = try await caller(of: request, source, (found ?? matching.first)?.route.need ?? .read)
        guard !matching.isEmpty else {
            throw ShuntError(
                .notFound, "there is nothing at this path", at: target.path,
                help: "there is " + paths.joined(separator: ", "))
        }
        guard let (route, segment) = found else {
            let allowed = matching.flatMap { $0.route.method == .get ? ["GET", "HEAD"] : [$0.route.method.rawValue] }.joined(separator: ", ")
            var response = HTTPResponse.problem(
                ShuntError(.methodNotAllowed, "\(name) cannot be done here", at: target.path, help: "use " + allowed))
            response.headers["Allow"] = allowed
            return response
        }
        let parameters = try QueryString.parse(target.query, known: route.parameters)
        let body = route.method == .post ? try await body() : []
        try route.body?.check(body)
        var fields: [String: String] = [:]
        for field in route.fields { fields[field.name] = request.headers.first(name: field.name) }
        let call = HTTPCall(
            segment: segment, parameters: parameters, declared: route.parameters, fields: fields, body: body, caller: caller,
            mayStill: mayStill(request, route.need))
        let response = try await route.handle(call)
        return route.method == .get ? response.unless(request.headers["if-none-match"]) : response
    }

    /// A browser names the server whose page asks (RFC 6454). Pages of other servers give no commands: they could where no token is asked for.
    private static func checkOrigin(of request: HTTPRequestHead) throws(ShuntError) {
        // A browser's own word; no page can write this field.
        guard request.headers["sec-fetch-site"] != ["same-origin"] else { return }
        let host = request.headers.first(name: "host") ?? ""
        for origin in request.headers["origin"] where !isSame(origin, host) {
            throw ShuntError(
                .accessDenied, "the page that asks is another server's", at: "Origin: \(origin.prefix(100))",
                help: "give commands from this server's own page; a proxy before it hands the Host field on as it is")
        }
    }

    /// - Parameters:
    ///   - origin: scheme and authority, without the scheme's usual port.
    ///   - host: an authority; proxies write the usual port too.
    private static func isSame(_ origin: String, _ host: String) -> Bool {
        let parts = origin.lowercased().split(separator: "://", maxSplits: 1)
        guard parts.count == 2 else { return false }
        let host = host.lowercased()
        let usual = parts[0] == "https" ? ":443" : ":80"
        return host == parts[1] || host == parts[1] + usual
    }

    private func caller(of request: HTTPRequestHead, _ source: String, _ need: HTTPRoute.Need) async throws(ShuntError) -> String? {
        guard let authority, need != .nothing else { return nil }
        let fields = request.headers["authorization"]
        return try await authority.admit(authorization: fields.count == 1 ? fields[0] : nil, from: source, to: need)
    }

    private func mayStill(_ request: HTTPRequestHead, _ need: HTTPRoute.Need) -> @Sendable () -> Bool {
        guard let authority, need != .nothing else { return { true } }
        let authorization = request.headers.first(name: "authorization")
        return { authority.stillAdmits(authorization: authorization, to: need) }
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
            guard !decoded.utf8.contains(0) else { throw ShuntError(.requestInvalid, "the path has a NUL in it", at: path, help: "no name has one") }
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

/// What a request asks for (RFC 9112 §3.2).
struct RequestTarget: Equatable {
    var path: String
    /// Without the question mark; empty where there is none.
    var query: String

    /// - Parameter text: as it stands in the request line: a path, or a whole URL.
    init(_ text: String) {
        var rest = text.prefix { $0 != "#" }
        if !rest.hasPrefix("/"), let scheme = rest.firstRange(of: "://") {
            rest = rest[scheme.upperBound...].drop { $0 != "/" && $0 != "?" }
        }
        let parts = rest.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        path = parts.first.flatMap { $0.isEmpty ? nil : String($0) } ?? "/"
        query = parts.count > 1 ? String(parts[1]) : ""
    }
}
