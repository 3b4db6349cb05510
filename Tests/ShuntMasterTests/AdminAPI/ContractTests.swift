import Foundation
import RawHTTP
import ShuntCore
import ShuntJSON
import Testing

@testable import ShuntHTTP
@testable import ShuntMaster

private let docs = URL(filePath: #filePath).appending(path: "../../../../docs").standardized

/// The document of the admin API against the routes, the pages and itself.
@Suite("The admin API's contract")
struct ContractTests {
    private func document(_ body: ([HTTPRoute], [String: JSONValue]) async throws -> Void) async throws {
        try await serving { fixture async throws in
            let routes = fixture.endpoint.routes
            guard case .object(let document) = AdminContract.document.json(of: routes) else { throw CancellationError() }
            try await body(routes, document)
        }
    }

    /// After a change of routes or records: `UPDATE_REFERENCE=1 swift test --filter ContractTests`
    @Test("docs/openapi.json is what the routes declare")
    func committed() async throws {
        try await document { _, document in
            let file = docs.appending(path: "openapi.json")
            let text = try JSONValue.object(document).encoded(isIndented: true) + Array("\n".utf8)
            if ProcessInfo.processInfo.environment["UPDATE_REFERENCE"] == "1" { try Data(text).write(to: file) }
            #expect(try Data(contentsOf: file) == Data(text))
        }
    }

    @Test("The master serves it, to those without a token too, and once more only where it has changed")
    func served() async throws {
        try await serving { fixture async throws in
            let answer = try await fixture.get("/api/v1/openapi.json")
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "application/json")
            let made = try AdminContract.document.json(of: fixture.endpoint.routes).encoded()
            #expect(Array(answer.body.utf8) == made)
            let tag = try #require(answer.headers["etag"])
            let request = "GET /api/v1/openapi.json HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: \(tag)\r\nConnection: close\r\n\r\n"
            #expect(try await RawHTTP.exchange(request, port: fixture.endpoint.port).status == 304)
        }
    }

    @Test("Every route is in the document except the page's files, and every operation is a route")
    func routes() async throws {
        try await document { routes, document in
            let page = Set(DashboardRoutes.all.map(\.path))
            let declared = Set(routes.filter { !page.contains($0.path) }.map { "\($0.method.rawValue.lowercased()) \($0.path)" })
            guard case .object(let paths)? = document["paths"] else { throw CancellationError() }
            let described = paths.flatMap { path, methods -> [String] in
                guard case .object(let methods) = methods else { return [] }
                return methods.keys.map { "\($0) \(path)" }
            }
            #expect(Set(described) == declared)
            #expect(declared.count == routes.count - page.count)
        }
    }

    @Test("Every parameter, member, answer and error has its sentence, and every note is used")
    func sentences() async throws {
        try await document { routes, document in
            var texts: Set<String> = []
            let silent = Self.silent(in: .object(document), at: "", &texts)
            #expect(silent == [])
            #expect(AdminContract.notes.filter { !texts.contains($0.value.text) }.map(\.key) == [])
            let codes = Set(routes.flatMap { OpenAPIDocument.errors(of: $0) })
            #expect(codes.filter { AdminContract.errors[$0] == nil }.map(\.rawValue) == [])
            #expect(AdminContract.errors.keys.filter { !codes.contains($0) }.map(\.rawValue) == [])
        }
    }

    /// Where members and parameters stand that say nothing of themselves. Gathers all descriptions.
    private static func silent(in value: JSONValue, at place: String, _ texts: inout Set<String>) -> [String] {
        switch value {
        case .array(let values): return values.enumerated().flatMap { silent(in: $1, at: "\(place)/\($0)", &texts) }
        case .object(let members):
            if case .string(let text)? = members["description"] { texts.insert(text) }
            var found = members.flatMap { silent(in: $1, at: "\(place)/\($0)", &texts) }
            if case .object(let properties)? = members["properties"] {
                for (name, schema) in properties where !isDescribed(schema) && name != "base64" { found.append("\(place)/\(name)") }
            }
            if members["in"] != nil, !isDescribed(value) { found.append(place) }
            return found
        default: return []
        }
    }

    private static func isDescribed(_ schema: JSONValue) -> Bool {
        guard case .object(let members) = schema else { return false }
        if case .string(let text)? = members["description"] { return !text.isEmpty }
        return members["$ref"] != nil || members["enum"] != nil && members["type"] == nil || members["const"] != nil
    }

    @Test("docs/admin-api.md has a row for each route, with its parameters and the members of its body, and a row for each error")
    func page() async throws {
        let text = try String(contentsOf: docs.appending(path: "admin-api.md"), encoding: .utf8)
        let rows = text.split(separator: "\n").filter { $0.hasPrefix("|") }
        try await document { routes, _ in
            for route in routes where route.sheet != nil {
                let row = rows.first { $0.contains("`\(route.method.rawValue) \(route.path)`") }
                #expect(row != nil, "\(route.method.rawValue) \(route.path)")
                for parameter in route.parameters { #expect(row?.contains("`\(parameter.name)`") == true, "\(route.path): \(parameter.name)") }
                for code in OpenAPIDocument.errors(of: route) {
                    #expect(rows.contains { $0.hasPrefix("| \(code.status) |") && $0.contains("`\(code.rawValue)`") }, "\(code.rawValue)")
                }
            }
        }
    }
}
