import Logging
import RawHTTP
import ShuntAccess
import ShuntCore
import ShuntHTTP
import Synchronization
import Testing

@testable import ShuntMaster

@Suite struct AdminDoorTests {
    private static let reader = "readers-token-0123456789"
    private static let operating = "operators-token-0123456789"

    /// What was recorded.
    private final class Events: Sendable {
        private let all = Mutex<[String]>([])
        var texts: [String] { all.withLock { $0 } }
        func add(_ text: String) { all.withLock { $0.append(text) } }
    }

    private let events = Events()

    private static func tokens() throws -> AdminTokens {
        try AdminTokens("read:dash:\(reader)\noperate:ops:\(operating)", name: "tokens")
    }

    private func serving(_ body: (AdminDoor, Int) async throws -> Void) async throws {
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let door = AdminDoor(try Self.tokens(), record: { [events] in events.add("\($0): \($1)") }, logger: quiet)
        var configuration = HTTPEndpoint.Configuration(host: "127.0.0.1", port: 0)
        configuration.authority = door
        let routes =
            HealthServer.routes(readiness: { nil }) + [
                HealthServer.metricsRoute { "metrics" }, HTTPRoute(.get, "/things") { .text($0.caller ?? "nobody") },
                HTTPRoute(.post, "/things") { .text("\($0.body.count)") },
                HTTPRoute(.delete, "/things", need: .operate) { .text($0.caller ?? "nobody") },
            ]
        let endpoint = try await HTTPEndpoint.start(routes, configuration, logger: quiet)
        do { try await body(door, endpoint.port) } catch {
            await endpoint.stop()
            throw error
        }
        await endpoint.stop()
    }

    private func ask(_ port: Int, _ line: String, _ fields: String...) async throws -> RawHTTP.Answer {
        let head = ["\(line) HTTP/1.1", "Host: localhost", "Connection: close"] + fields
        return try await RawHTTP.exchange(head.joined(separator: "\r\n") + "\r\n\r\n", port: port)
    }

    @Test("Each route is for those whom it is for") func roles() async throws {
        try await serving { (_, port) async throws in
            let rows: [(line: String, token: String?, status: Int, body: String)] = [
                ("GET /healthz", nil, 200, "ok\n"), ("GET /readyz", nil, 200, "ready\n"),
                ("GET /metrics", nil, 401, "access.credentials"), ("GET /metrics", Self.reader, 200, "metrics"),
                ("GET /things", nil, 401, "access.credentials"), ("GET /things", "wrong", 401, "access.credentials"),
                ("GET /things", Self.reader, 200, "dash"), ("GET /things", Self.operating, 200, "ops"),
                ("DELETE /things", nil, 401, "access.credentials"), ("DELETE /things", Self.reader, 403, "access.denied"),
                ("DELETE /things", Self.operating, 200, "ops"),
                // Who may not ask is not told what there is.
                ("GET /nothing", nil, 401, "access.credentials"), ("GET /nothing", Self.reader, 404, "/things"),
                ("POST /nothing", nil, 401, "access.credentials"), ("PUT /things", nil, 401, "access.credentials"),
            ]
            for row in rows {
                let answer = try await ask(port, row.line, row.token.map { "Authorization: Bearer \($0)" } ?? "X-Nothing: 1")
                #expect(answer.status == row.status, "\(row)")
                #expect(answer.body.contains(row.body), "\(row): \(answer.body)")
                #expect((answer.headers["www-authenticate"] == #"Bearer realm="shunt""#) == (row.status == 401), "\(row)")
                for secret in [Self.reader, Self.operating, "wrong\""] { #expect(!answer.body.contains(secret)) }
            }
        }
    }

    @Test("The scheme is read in any letter case, and nothing else is taken for a token") func schemes() async throws {
        try await serving { (_, port) async throws in
            for good in ["bearer \(Self.reader)", "BEARER   \(Self.reader)"] {
                #expect(try await ask(port, "GET /things", "Authorization: \(good)").status == 200)
            }
            for bad in ["Bearer", "Bearer ", "Basic \(Self.reader)", Self.reader, "Bearer \(Self.reader) x"] {
                #expect(try await ask(port, "GET /things", "Authorization: \(bad)").status == 401, "\(bad)")
            }
            let field = "Authorization: Bearer \(Self.reader)"
            #expect(try await ask(port, "GET /things", field, field).status == 401)
        }
    }

    @Test("A body is not read of one who may not send it") func body() async throws {
        try await serving { (_, port) async throws in
            let answer = try await ask(port, "POST /things", "Content-Length: 1000000", "Expect: 100-continue")
            #expect(answer.status == 401)
        }
    }

    @Test("Tokens are exchanged while it runs, and taken away") func live() async throws {
        try await serving { (door, port) async throws in
            door.set(try AdminTokens("read:new:another-token-0123456789", name: "tokens"))
            #expect(try await ask(port, "GET /things", "Authorization: Bearer \(Self.reader)").status == 401)
            #expect(try await ask(port, "GET /things", "Authorization: Bearer another-token-0123456789").body == "new")
            door.set(nil)
            #expect(try await ask(port, "DELETE /things").body == "nobody")
        }
    }

    @Test("A client that guesses waits for its answers, and at last gets none; a right token does not wait") func guesses() async throws {
        try await serving { (door, port) async throws in
            let began = ContinuousClock.now
            for _ in 0..<8 { #expect(try await ask(port, "GET /things", "Authorization: Bearer wrong").status == 401) }
            // 0.1 + 0.2 + 0.4 s
            #expect(began.duration(to: .now) >= .milliseconds(600))
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for _ in 0..<30 { group.addTask { try await ask(port, "GET /things", "Authorization: Bearer wrong").status } }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            #expect(Set(statuses) == [401, 429])
            #expect(try await ask(port, "GET /healthz").status == 200)
            let asked = ContinuousClock.now
            #expect(try await ask(port, "GET /things", "Authorization: Bearer \(Self.reader)").status == 200)
            #expect(asked.duration(to: .now) < .seconds(4))
            #expect(door.refused(.token) == 8 + statuses.count { $0 == 401 } && door.refused(.rate) == statuses.count { $0 == 429 })
            // One event for many.
            #expect(events.texts.count < 4 && events.texts.first == "127.0.0.1: a wrong token", "\(events.texts)")
        }
    }
}
