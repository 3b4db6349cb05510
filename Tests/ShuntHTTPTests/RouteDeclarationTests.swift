import ShuntCore
import ShuntJSON
import Testing

@testable import ShuntHTTP

/// What a route declares is what its requests are held to.
@Suite struct RouteDeclarationTests {
    private struct Order: Codable, Sendable {
        enum Kind: String, Codable, CaseIterable { case small, large }
        struct Part: Codable {
            var partName: String
            var count: Int?
        }

        var topicName: String
        var seconds: Double?
        var kind: Kind?
        var parts: [Part]
        var sizes: [String: Int]
        var isUrgent = false
    }

    private struct Wish: Codable, Sendable {
        var name: String
        var seconds: Double?
        var isUrgent: Bool?
        var times: Int?
        var secret: String?
    }

    /// As notes name a type.
    private static func name(of type: Any.Type) -> String {
        String(reflecting: type).split(separator: ".").dropFirst().joined(separator: ".")
    }

    private static let wish = HTTPBody(
        JSONSchema(
            of: Wish.self,
            notes: [
                "\(name(of: Wish.self)).name": .init("A name.", minimumLength: 1, maximumLength: 5),
                "times": .init("How often.", minimum: 1, maximum: 9),
            ],
            isRequest: true, omitting: ["secret"]), example: #"{"name": "x"}"#)

    @Test("A record's schema is what its own decoding asks for")
    func record() throws {
        let schema = JSONSchema(of: Order.self, notes: ["\(Self.name(of: Order.self)).parts": "The parts.", "count": "How many."])
        var shared: [String: JSONValue] = [:]
        guard case .object(let members) = schema.json(shared: &shared), case .object(let properties)? = members["properties"] else {
            Issue.record("no object")
            return
        }
        #expect(members["required"] == ["topic_name", "parts", "sizes", "is_urgent"])
        #expect(properties["topic_name"] == ["type": "string"])
        #expect(properties["seconds"] == ["type": "number"])
        #expect(properties["kind"] == ["type": "string", "enum": ["small", "large"]])
        #expect(properties["sizes"] == ["type": "object", "additionalProperties": ["type": "integer", "format": "int64"]])
        #expect(properties["is_urgent"] == ["type": "boolean"])
        let part: JSONValue = [
            "type": "object", "required": ["part_name"],
            "properties": [
                "part_name": ["type": "string"], "count": ["type": "integer", "format": "int64", "description": "How many."],
            ],
        ]
        #expect(properties["parts"] == ["type": "array", "items": part, "description": "The parts."])
    }

    @Test(
        "A body that is what the route declares is taken",
        arguments: [
            #"{"name": "a"}"#, #"{"name": "aäöü€", "seconds": 1, "is_urgent": false, "times": 9}"#,
            #"{"name": "a", "seconds": null, "times": 2.0}"#, #" {"name":"a"} "#,
        ])
    func bodies(_ json: String) throws {
        try Self.wish.check(Array(json.utf8))
    }

    @Test(
        "A body that is something else is refused, with the member",
        arguments: [
            ("", "the body"), ("{", "the body"), ("[]", "the body"), ("1", "the body"), ("null", "the body"), ("{}", "name"),
            (#"{"name": null}"#, "name"), (#"{"name": 1}"#, "name"), (#"{"name": ""}"#, "name"), (#"{"name": "abcdef"}"#, "name"),
            (#"{"name": "a", "secnds": 1}"#, "secnds"), (#"{"name": "a", "secret": "x"}"#, "secret"),
            (#"{"name": "a", "isUrgent": true}"#, "isUrgent"),
            (#"{"name": "a", "seconds": "1"}"#, "seconds"), (#"{"name": "a", "seconds": 1e400}"#, "seconds"),
            (#"{"name": "a", "times": 1.5}"#, "times"),
            (#"{"name": "a", "times": 0}"#, "times"), (#"{"name": "a", "times": 10}"#, "times"),
            (#"{"name": "a", "times": 99999999999999999999}"#, "times"), (#"{"name": "a", "is_urgent": 1}"#, "is_urgent"),
            (#"{"name": "a", "is_urgent": []}"#, "is_urgent"),
            (String(repeating: "[", count: 100_000), "the body"),
        ])
    func refusedBodies(_ json: String, _ place: String) {
        #expect { try Self.wish.check(Array(json.utf8)) } throws: { error in
            let error = error as? ShuntError
            return error?.code == .requestInvalid && error?.location == place
        }
    }

    @Test("A parameter that must be given is asked for, with the sentence that helps")
    func wanted() {
        let known = [HTTPParameter("sql", "A statement.", wanted: "give ?sql=SELECT…"), .offset]
        #expect(throws: ShuntError(.requestInvalid, "there is no 'sql'", at: "sql", help: "give ?sql=SELECT…")) {
            try QueryString.parse("offset=1", known: known)
        }
        #expect(throws: Never.self) { try QueryString.parse("sql=", known: known) }
    }

    @Test(
        "A parameter takes what it declares",
        arguments: [
            ("limit=1", true), ("limit=10", true), ("limit=0", false), ("limit=11", false), ("limit=", false), ("limit=1.0", false),
            ("limit=99999999999999999999", false), ("on=true", true), ("on=false", true), ("on=1", false), ("on=", false), ("kind=a", true),
            ("kind=A", false), ("text=12345", true), ("text=123456", false), ("text=%C3%A4%C3%A4%C3%A4%C3%A4%C3%A4", true),
        ])
    func values(_ query: String, _ isRight: Bool) {
        let known = [
            HTTPParameter.limit(10), HTTPParameter("on", .boolean, ""), HTTPParameter("kind", .choice(["a", "b"]), ""),
            HTTPParameter("text", .text(most: 5), ""),
        ]
        #expect((try? QueryString.parse(query, known: known)) != nil || !isRight)
        #expect((try? QueryString.parse(query, known: known)) == nil || isRight)
    }

    @Test("The document has what a route declares, and the errors that any route may answer with")
    func document() throws {
        let sheet = RouteSheet("Does it.", Order.self, gives: "It is done.", segment: "Which one.", errors: [.workerUnknown, .notFound])
        let route = HTTPRoute(.post, "/api/v1/things/{name}/do-it", sheet, parameters: [.limit(7)], body: Self.wish, need: .operate) { _ in .text("")
        }
        let document = OpenAPIDocument(title: "t", version: "1", text: "", notes: [:], errors: [:])
        guard case .object(let all) = document.json(of: [route, HTTPRoute(.get, "/page") { _ in .text("") }]),
            case .object(let paths)? = all["paths"], case .object(let methods)? = paths["/api/v1/things/{name}/do-it"],
            case .object(let operation)? = methods["post"], case .object(let responses)? = operation["responses"]
        else {
            Issue.record("no operation")
            return
        }
        #expect(paths.count == 1)
        #expect(operation["operationId"] == "postThingsByNameDoIt")
        #expect(Set(responses.keys) == ["200", "400", "401", "403", "404", "413", "421", "429", "500"])
        #expect(responses["404"] == ["$ref": "#/components/responses/404.not_found-worker.unknown"])
        #expect(
            operation["parameters"] == [
                ["name": "name", "in": "path", "required": true, "description": "Which one.", "schema": ["type": "string", "minLength": 1]],
                [
                    "name": "limit", "in": "query", "required": false, "description": "How many entries the answer has at most.",
                    "schema": ["type": "integer", "format": "int64", "minimum": 1, "maximum": 7, "default": 100],
                ],
            ])
    }
}
