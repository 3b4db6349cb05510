public import ShuntCore
public import ShuntJSON

/// The OpenAPI 3.1 document of an endpoint: what its routes declare, and no more.
public struct OpenAPIDocument: Sendable {
    public var title: String
    /// Of the API, not of the software.
    public var version: String
    /// What holds for all routes; Markdown.
    public var text: String
    /// What records and their members mean, by `Type`, `Type.member` or `member`.
    public var notes: [String: JSONSchema.Note]
    /// When a route answers with an error.
    public var errors: [ErrorCode: String]

    public init(title: String, version: String, text: String, notes: [String: JSONSchema.Note], errors: [ErrorCode: String]) {
        (self.title, self.version, self.text, self.notes, self.errors) = (title, version, text, notes, errors)
    }

    /// - Parameter routes: those without a sheet are left out.
    public func json(of routes: [HTTPRoute]) -> JSONValue {
        var parts = Parts()
        var paths: [String: [String: JSONValue]] = [:]
        for route in routes {
            guard let sheet = route.sheet else { continue }
            paths[route.path, default: [:]][route.method.rawValue.lowercased()] = operation(route, sheet, &parts)
        }
        let token: JSONValue = [
            "type": "http", "scheme": "bearer",
            "description": "A token of the master's master.admin.tokens_file. A master without such a file asks for none.",
        ]
        return [
            "openapi": "3.1.0",
            "info": ["title": .string(title), "version": .string(version), "description": .string(text)],
            "servers": [["url": "/", "description": "The master that serves this document."]],
            "paths": .object(paths.mapValues { .object($0) }),
            "components": [
                "schemas": .object(parts.schemas), "responses": .object(parts.responses), "securitySchemes": ["token": token],
            ],
        ]
    }

    /// What several operations refer to.
    private struct Parts {
        var schemas: [String: JSONValue] = [:]
        var responses: [String: JSONValue] = [:]
    }

    private func operation(_ route: HTTPRoute, _ sheet: RouteSheet, _ parts: inout Parts) -> JSONValue {
        var operation: [String: JSONValue] = [
            "summary": .string(sheet.summary), "operationId": .string(Self.name(of: route)), "tags": [.string(Self.tag(of: route))],
            "security": Self.security(route.need), "responses": .object(responses(route, sheet, &parts)),
        ]
        let parameters =
            Self.segment(route, sheet) + route.parameters.map { Self.parameter($0, in: "query") }
            + route.fields.map { Self.parameter($0, in: "header") }
        if !parameters.isEmpty { operation["parameters"] = .array(parameters) }
        if let body = route.body {
            let schema = body.schema.json(shared: &parts.schemas)
            operation["requestBody"] = [
                "required": true, "content": ["application/json": ["schema": schema]],
                "description": .string("At most \(HTTPRoute.maximumBodyLength) bytes of JSON, such as \(body.example)."),
            ]
        }
        return .object(operation)
    }

    private static func security(_ need: HTTPRoute.Need) -> JSONValue {
        switch need {
        case .nothing: []
        case .read: [["token": ["read"]], [:]]
        case .operate: [["token": ["operate"]], [:]]
        }
    }

    // MARK: Names

    private static func parts(of route: HTTPRoute) -> [Substring] {
        let parts = route.path.split(separator: "/")
        return parts.starts(with: ["api", "v1"]) ? Array(parts.dropFirst(2)) : parts
    }

    /// `getWorkersByName`.
    private static func name(of route: HTTPRoute) -> String {
        parts(of: route).reduce(into: route.method.rawValue.lowercased()) { name, part in
            let words = part.split { !$0.isLetter }.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
            name += (part.hasPrefix("{") ? "By" : "") + words
        }
    }

    private static func tag(of route: HTTPRoute) -> String {
        route.path.hasPrefix("/api/") ? parts(of: route).first.map(String.init) ?? "api" : "health"
    }

    // MARK: Parameters

    /// The path's, where it has one.
    private static func segment(_ route: HTTPRoute, _ sheet: RouteSheet) -> [JSONValue] {
        route.path.split(separator: "/").filter { $0.hasPrefix("{") }.map { part in
            [
                "name": .string(String(part.dropFirst().dropLast())), "in": "path", "required": true, "description": .string(sheet.segment),
                "schema": ["type": "string", "minLength": 1],
            ]
        }
    }

    private static func parameter(_ parameter: HTTPParameter, in place: String) -> JSONValue {
        var schema: [String: JSONValue]
        switch parameter.form {
        case .text(let least, let most, let pattern):
            schema = ["type": "string"]
            if least > 0 { schema["minLength"] = .integer(Int64(least)) }
            if let pattern { schema["pattern"] = .string(pattern) }
            if let most { schema["maxLength"] = .integer(Int64(most)) }
        case .integer(let range, let usual):
            schema = [
                "type": "integer", "format": "int64", "minimum": .integer(range.lowerBound), "maximum": .integer(range.upperBound),
            ]
            if let usual { schema["default"] = .integer(usual) }
        case .boolean: schema = ["type": "boolean"]
        case .choice(let values): schema = ["type": "string", "enum": .array(values.map { .string($0) })]
        }
        return [
            "name": .string(parameter.name), "in": .string(place), "required": .bool(parameter.wanted != nil), "description": .string(parameter.text),
            "schema": .object(schema),
        ]
    }

    // MARK: Answers

    private func responses(_ route: HTTPRoute, _ sheet: RouteSheet, _ parts: inout Parts) -> [String: JSONValue] {
        var responses: [String: JSONValue] = [:]
        let content: JSONValue
        switch sheet.answer {
        case .json(let schema): content = ["application/json": ["schema": schema(notes).json(shared: &parts.schemas)]]
        case .anyJSON: content = ["application/json": ["schema": ["type": "object"]]]
        case .text(let type): content = .object([type: ["schema": ["type": "string"]]])
        }
        responses["200"] = ["description": .string(sheet.gives), "content": content]
        for (status, codes) in Dictionary(grouping: Self.errors(of: route, sheet), by: \.status) {
            responses["\(status)"] = problem(status, codes, &parts)
        }
        for (status, text) in sheet.problems { responses["\(status)"] = Self.problem(text, problemSchema(&parts), status: status) }
        return responses
    }

    /// The codes that a route answers with, each once.
    public static func errors(of route: HTTPRoute) -> [ErrorCode] { route.sheet.map { errors(of: route, $0) } ?? [] }

    private static func errors(of route: HTTPRoute, _ sheet: RouteSheet) -> [ErrorCode] {
        var codes: [ErrorCode] = [.requestInvalid, .hostUnknown, .internalError]
        if route.need != .nothing { codes += [.accessCredentials, .accessRate] }
        if route.need == .operate || route.method != .get { codes.append(.accessDenied) }
        if route.method == .post { codes.append(.frameTooLarge) }
        return codes + sheet.errors.filter { !codes.contains($0) }
    }

    /// A reference to the answer with one of these codes.
    private func problem(_ status: Int, _ codes: [ErrorCode], _ parts: inout Parts) -> JSONValue {
        let codes = codes.sorted { $0.rawValue < $1.rawValue }
        let name = "\(status)." + codes.map(\.rawValue).joined(separator: "-")
        if parts.responses[name] == nil {
            let text = codes.map { "`\($0.rawValue)`: \(errors[$0] ?? "")" }.joined(separator: "\n\n")
            guard case .object(var schema) = problemSchema(&parts) else { return [:] }
            schema["properties"] = [
                "code": ["enum": .array(codes.map { .string($0.rawValue) })], "status": ["const": .integer(Int64(status))],
            ]
            parts.responses[name] = Self.problem(text, .object(schema), status: status)
        }
        return ["$ref": .string("#/components/responses/" + name)]
    }

    private func problemSchema(_ parts: inout Parts) -> JSONValue {
        JSONSchema(of: ProblemDetails.self, notes: notes).json(shared: &parts.schemas)
    }

    private static func problem(_ text: String, _ schema: JSONValue, status: Int) -> JSONValue {
        var response: [String: JSONValue] = ["description": .string(text), "content": .object([ProblemDetails.mediaType: ["schema": schema]])]
        let header: JSONValue? =
            switch status {
            case 401: ["WWW-Authenticate": ["description": "The scheme that is asked for.", "schema": ["type": "string"]]]
            case 429: ["Retry-After": ["description": "Seconds to wait.", "schema": ["type": "integer"]]]
            default: nil
            }
        if let header { response["headers"] = header }
        return .object(response)
    }
}
