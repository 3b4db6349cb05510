import FoundationEssentials
import Logging
import RawHTTP
import ShuntCore
import ShuntHTTP
import ShuntJSON
import ShuntRegistry
import Synchronization
import Testing

@testable import ShuntMaster

private let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Ids of the chats that were to be closed.
final class ClosingChats: Sendable {
    let asked = Mutex<[String]>([])
}

/// An admin API over a registry with three workers, two events, three devices and two chats.
final class Fixture: Sendable {
    let folder: URL
    let registry: Registry
    let endpoint: HTTPEndpoint
    let closing = ClosingChats()

    /// What workers say of clients, and of rules.
    private static let answers: AdminServer.CommandWorkers = { command in
        switch command.name {
        case .client, .kick, .subscriptions, .groups, .topics: await ClientRoutesTests.answers(command)
        case .traceRead, .traceEnd: AnswerNotesTests.noTrace(command)
        default: await RuleRoutesTests.answers(command)
        }
    }

    /// - Parameters:
    ///   - role: nil: of a master without peers.
    ///   - settle: how the registry is waited for.
    init(role: MasterRoleRecord? = nil, settle: @escaping AdminServer.SettleRegistry = { nil }) async throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "shunt-admin-api-\(UUID().uuidString)")
        var writing = RegistryWriter.Configuration()
        writing.batchInterval = .seconds(3_600)
        registry = try Registry.open(path: folder.appending(path: "registry.sqlite").path, writing: writing, logger: quiet)
        registry.writer.submit([
            .worker(Self.worker("10.0.0.1:4091", .live)), .worker(Self.worker("10.0.0.2:4091", .live)),
            .worker(Self.worker("10.0.0.3:4091", .lost)),
            .event(EventRecord(at: 5, kind: .workerJoined, subject: "10.0.0.1:4091", detail: "first heartbeat")),
            .event(EventRecord(at: 9.5, kind: .workerLost, subject: "10.0.0.3:4091", detail: "no heartbeat for 10 s")),
            .device(.device(Self.device("a/b c%", "phone", ["vip", "x&y"]))), .device(.device(Self.device("bob", "laptop", []))),
            .device(.device(Self.device("bob", "phone", ["vip"]))), .device(.left(uid: "bob", device: "laptop", at: 9.5)),
            .chat(.chat(ChatRecord(chat: "room/1 ü", worker: "10.0.0.1:4091", createdAt: 5.5, members: 2, updatedAt: 6))),
            .chat(.chat(ChatRecord(chat: "room2", worker: "10.0.0.2:4091", createdAt: 5, members: 3, updatedAt: 6))),
        ])
        try await registry.writer.flush()
        let writer = registry.writer
        endpoint = try await AdminServer.start(
            .init(host: "127.0.0.1", port: 0), registry: registry.reader,
            status: { MasterStatus(version: "shunt 0.1.0", startedAt: 100, uptimeSeconds: 7.5, writer: writer.figures, role: role) },
            closeChat: { [closing] chat in
                closing.asked.withLock { $0.append(chat) }
                return chat.hasPrefix("room") ? nil : ShuntError.unknownChat(chat)
            }, command: Self.answers, settle: settle, logger: quiet)
    }

    static func device(_ uid: String, _ device: String, _ tags: [String]) -> DeviceRecord {
        DeviceRecord(
            uid: uid, device: device, tags: tags, alias: ["al"], worker: "10.0.0.1:4091", address: "10.9.0.1:50000",
            connectedAt: 5.25, lastSeenAt: 5.5)
    }

    static func worker(_ name: String, _ state: WorkerRecord.State) -> WorkerRecord {
        WorkerRecord(
            name: name, host: String(name.prefix { $0 != ":" }), port: 4091, state: state, machine: "m", version: "shunt 0.1.0",
            listeners: ["web_Socket": "10.0.0.1:8083"], startedAt: 1, heartbeatAt: 2.5,
            figures: WorkerFigures(connectionsAccepted: 4))
    }

    func get(_ target: String) async throws -> RawHTTP.Answer {
        try await RawHTTP.get(target, port: endpoint.port)
    }

    func send(_ method: String, _ target: String) async throws -> RawHTTP.Answer {
        try await RawHTTP.exchange(
            "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", port: endpoint.port)
    }

    func close() async throws {
        await endpoint.stop()
        try await registry.close()
        try FileManager.default.removeItem(at: folder)
    }
}

/// A fixture for a test, closed when it ends.
func serving(
    role: MasterRoleRecord? = nil, settle: @escaping AdminServer.SettleRegistry = { nil }, _ body: (Fixture) async throws -> Void
) async throws {
    let fixture = try await Fixture(role: role, settle: settle)
    do {
        try await body(fixture)
    } catch {
        try await fixture.close()
        throw error
    }
    try await fixture.close()
}

@Suite struct AdminAPITests {
    @Test("A worker is JSON with snake_case keys, and listener names as they are")
    func worker() async throws {
        try await serving { fixture async throws in
            let answer = try await fixture.get("/api/v1/workers/10.0.0.1%3A4091")
            #expect(answer.status == 200)
            #expect(answer.headers["content-type"] == "application/json")
            #expect(
                answer.body == """
                    {"configured_name":"","figures":{"connection_errors":0,"connections":0,"connections_accepted":4,"deliveries":0,\
                    "held_producers":0,"mqtt_absent":0,"mqtt_clients":0,"mqtt_held_bytes":0,"mqtt_queued":0,"mqtt_retained":0,\
                    "mqtt_retained_bytes":0,"mqtt_sessions":0,\
                    "request_bytes":0,"requests":0,"response_bytes":0,"response_milliseconds":0,"responses":0,\
                    "responses_failed":0,"responses_succeeded":0,"stuck_consumers":0,"subscriptions":0},\
                    "heartbeat_at":2.5,"host":"10.0.0.1","listeners":{"web_Socket":"10.0.0.1:8083"},"machine":"m","name":"10.0.0.1:4091",\
                    "port":4091,"started_at":1,"state":"live","stuck":[],"version":"shunt 0.1.0"}
                    """)
            let decoded = try RecordJSON.decode(WorkerRecord.self, from: Array(answer.body.utf8))
            #expect(decoded == Fixture.worker("10.0.0.1:4091", .live))
            #expect(try await fixture.get("/api/v1/workers/10.0.0.2").body.contains(#""name":"10.0.0.2:4091""#))
        }
    }

    @Test(
        "Workers are filtered and paged; a page beyond the end is empty",
        arguments: [
            ("", 3, 3), ("?state=live", 2, 2), ("?state=draining", 0, 0), ("?limit=1&offset=1", 1, 3), ("?offset=100", 0, 3),
            ("?offset=9223372036854775807", 0, 3), ("?state=lost&limit=1000", 1, 1),
        ])
    func pages(_ query: String, _ count: Int, _ total: Int) async throws {
        try await serving { fixture async throws in
            let answer = try await fixture.get("/api/v1/workers" + query)
            let page = try RecordJSON.decode(WorkerPage.self, from: Array(answer.body.utf8))
            #expect(page.workers.count == count)
            #expect(page.total == total)
        }
    }

    @Test("Events come oldest first with what to ask next")
    func events() async throws {
        try await serving { fixture async throws in
            let body = try await fixture.get("/api/v1/events?limit=1").body
            let page = try RecordJSON.decode(EventPage.self, from: Array(body.utf8))
            #expect(page.registry.utf8.count == 16)
            #expect(
                body == """
                    {"events":[{"at":9.5,"detail":"no heartbeat for 10 s","id":2,"kind":"worker.lost","subject":"10.0.0.3:4091"}],"next_after":2,\
                    "oldest":1,"registry":"\(page.registry)"}
                    """)
            #expect(
                try await fixture.get("/api/v1/events?after=2").body
                    == #"{"events":[],"next_after":2,"oldest":1,"registry":"\#(page.registry)"}"#)
            #expect(try await fixture.get("/api/v1/events?kind=worker.joined").body.contains(#""id":1"#))
            #expect(try await fixture.get("/api/v1/events?since=6").body.contains(#""id":2"#))
        }
    }

    @Test("A query's rows come typed, by POST and by GET")
    func query() async throws {
        try await serving { fixture async throws in
            let expected = #"{"columns":["name","port"],"rows":[["10.0.0.3:4091",4091]],"truncated":false}"#
            let sql = "SELECT name, port FROM workers WHERE state = 'lost'"
            #expect(try await RawHTTP.post("/api/v1/query", #"{"sql": "\#(sql)"}"#, port: fixture.endpoint.port).body == expected)
            #expect(try await fixture.get("/api/v1/query?sql=" + QueryString.encode(sql)).body == expected)
        }
    }

    @Test(
        "Devices are filtered and paged",
        arguments: [
            ("", 3, 3), ("?uid=bob", 2, 2), ("?uid=a%2Fb+c%25", 1, 1), ("?tag=vip", 2, 2), ("?tag=x%26y", 1, 1), ("?tag=", 0, 0),
            ("?worker=10.0.0.1%3A4091", 3, 3), ("?worker=10.0.0.1", 0, 0), ("?online=true", 2, 2), ("?online=false&uid=bob", 1, 1),
            ("?limit=1&offset=1", 1, 3), ("?offset=9223372036854775807", 0, 3),
        ])
    func devices(_ query: String, _ count: Int, _ total: Int) async throws {
        try await serving { fixture async throws in
            let answer = try await fixture.get("/api/v1/devices" + query)
            let page = try RecordJSON.decode(DevicePage.self, from: Array(answer.body.utf8))
            #expect(page.devices.count == count)
            #expect(page.total == total)
        }
    }

    @Test("All sessions of a uid are one answer, whatever characters it has")
    func device() async throws {
        try await serving { fixture async throws in
            #expect(
                try await fixture.get("/api/v1/devices/a%2Fb%20c%25").body == """
                    {"devices":[{"address":"10.9.0.1:50000","alias":["al"],"connected_at":5.25,"device":"phone","last_seen_at":5.5,\
                    "online":true,"tags":["vip","x&y"],"uid":"a/b c%","worker":"10.0.0.1:4091"}],"limit":1000,"offset":0,"total":1}
                    """)
            let answer = try await fixture.get("/api/v1/devices/bob")
            let page = try RecordJSON.decode(DevicePage.self, from: Array(answer.body.utf8))
            #expect(page.devices.map(\.device) == ["laptop", "phone"])
            #expect(page.devices.map(\.isOnline) == [false, true])
            #expect(page.devices.map(\.lastSeenAt) == [9.5, 5.5])
        }
    }

    @Test("Chats come by id, one by its whole id, whatever characters it has")
    func chats() async throws {
        try await serving { fixture async throws in
            let room = #"{"chat":"room/1 ü","created_at":5.5,"members":2,"updated_at":6,"worker":"10.0.0.1:4091"}"#
            #expect(
                try await fixture.get("/api/v1/chats?limit=1").body == #"{"chats":[\#(room)],"limit":1,"offset":0,"total":2}"#)
            #expect(try await fixture.get("/api/v1/chats?worker=10.0.0.2:4091").body.contains(#""total":1"#))
            #expect(try await fixture.get("/api/v1/chats/room%2F1%20%C3%BC").body == room)
        }
    }

    @Test("A chat is closed by DELETE, and by nothing else")
    func closeChat() async throws {
        try await serving { fixture async throws in
            for method in ["GET", "HEAD", "POST", "PUT"] {
                _ = try await fixture.send(method, "/api/v1/chats/room2")
            }
            #expect(fixture.closing.asked.withLock { $0 }.isEmpty)
            let answer = try await fixture.send("DELETE", "/api/v1/chats/room%2F1%20%C3%BC")
            #expect(answer.status == 200)
            #expect(answer.body == #"{"closed":"room/1 ü"}"#)
            #expect(try await fixture.send("DELETE", "/api/v1/chats/nothing").status == 404)
            #expect(fixture.closing.asked.withLock { $0 } == ["room/1 ü", "nothing"])
        }
    }

    @Test("The status tells version, uptime, counts and how the registry's writer does")
    func status() async throws {
        try await serving { fixture async throws in
            let answer = try await fixture.get("/api/v1/status")
            let status = try RecordJSON.decode(StatusDocument.self, from: Array(answer.body.utf8))
            #expect(status.version == "shunt 0.1.0")
            #expect(status.uptimeSeconds == 7.5)
            #expect(status.workers == ["live": 2, "draining": 0, "left": 0, "lost": 1, "unknown": 0])
            #expect(status.events == 2)
            #expect(status.devices == 3)
            #expect(status.chats == 2)
            #expect(status.registry.writer.batches == 1)
            #expect(try await fixture.get("/healthz").status == 200)
            #expect(try await fixture.get("/readyz").status == 200)
        }
    }

    @Test(
        "Each wrong request has its own status and code, and help",
        arguments: [
            ("GET", "/api/v1/nothing", "", 404, "not_found"), ("GET", "/api/v2/workers", "", 404, "not_found"),
            ("GET", "/api/v1/workers/nobody", "", 404, "worker.unknown"),
            ("GET", "/api/v1/workers/10.0.0", "", 404, "worker.unknown"),
            ("DELETE", "/api/v1/workers", "", 405, "method.not_allowed"),
            ("POST", "/api/v1/events", "", 405, "method.not_allowed"),
            ("GET", "/api/v1/workers?state=asleep", "", 400, "request.invalid"),
            ("GET", "/api/v1/workers?limit=0", "", 400, "request.invalid"),
            ("GET", "/api/v1/workers?limit=1001", "", 400, "request.invalid"),
            ("GET", "/api/v1/workers?offset=-1", "", 400, "request.invalid"),
            ("GET", "/api/v1/workers?page=2", "", 400, "request.invalid"),
            ("GET", "/api/v1/devices/nobody", "", 404, "device.unknown"), ("GET", "/api/v1/devices/bo", "", 404, "device.unknown"),
            ("GET", "/api/v1/devices/", "", 404, "not_found"), ("GET", "/api/v1/devices/%FF", "", 400, "request.invalid"),
            ("DELETE", "/api/v1/devices/bob", "", 405, "method.not_allowed"),
            ("GET", "/api/v1/devices?online=yes", "", 400, "request.invalid"),
            ("GET", "/api/v1/devices?alias=al", "", 400, "request.invalid"),
            ("GET", "/api/v1/devices?limit=1001", "", 400, "request.invalid"),
            ("GET", "/api/v1/chats?limit=0", "", 400, "request.invalid"), ("GET", "/api/v1/chats?uid=x", "", 400, "request.invalid"),
            ("GET", "/api/v1/chats/nothing", "", 404, "chat.unknown"), ("DELETE", "/api/v1/chats/nothing", "", 404, "chat.unknown"),
            ("DELETE", "/api/v1/chats", "", 405, "method.not_allowed"),
            ("DELETE", "/api/v1/chats/room2?force=1", "", 400, "request.invalid"),
            ("GET", "/api/v1/events?kind=x", "", 400, "request.invalid"),
            ("GET", "/api/v1/events?after=-1", "", 400, "request.invalid"), ("GET", "/api/v1/query", "", 400, "request.invalid"),
            ("POST", "/api/v1/query", "", 400, "request.invalid"), ("POST", "/api/v1/query", "SELECT 1", 400, "request.invalid"),
            ("POST", "/api/v1/query", #"{"sql": 1}"#, 400, "request.invalid"),
            ("POST", "/api/v1/query", #"{"SQL": "SELECT 1"}"#, 400, "request.invalid"),
            ("POST", "/api/v1/query", #"{"sql": "SELECT 1", "limit": "2"}"#, 400, "request.invalid"),
            ("POST", "/api/v1/query", String(repeating: "[", count: 100_000), 400, "request.invalid"),
            ("POST", "/api/v1/query", #"{"sql": "SELEC 1"}"#, 400, "query.invalid"),
            ("POST", "/api/v1/query", #"{"sql": "DELETE FROM workers"}"#, 403, "registry.read_only"),
            ("POST", "/api/v1/query", #"{"sql": "SELECT 1; SELECT 2"}"#, 400, "query.invalid"),
            ("POST", "/api/v1/query", String(repeating: " ", count: 2 << 20), 413, "frame.too_large"),
        ])
    func errors(_ method: String, _ target: String, _ body: String, _ status: Int, _ code: String) async throws {
        try await serving { fixture async throws in
            let answer = try await RawHTTP.exchange(
                "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)",
                port: fixture.endpoint.port)
            #expect(answer.status == status)
            #expect(answer.headers["content-type"] == "application/problem+json")
            let details = try JSONDecoder().decode(ProblemDetails.self, from: Data(answer.body.utf8))
            #expect(details.code == code)
            #expect(details.help != nil)
        }
    }

    @Test("docs/admin-api.md tells of every figure and kind of event")
    func documentation() throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let document = String(decoding: try Data(contentsOf: root.appending(path: "docs/admin-api.md")), as: UTF8.self)
        for figure in WorkerFigures.columns { #expect(document.contains("\"\(figure.name)\"")) }
        for kind in EventRecord.Kind.allCases { #expect(document.contains("`\(kind.rawValue)`")) }
    }
}
