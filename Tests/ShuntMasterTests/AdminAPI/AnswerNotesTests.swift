import ShuntCore
import ShuntMaster
import Synchronization
import Testing

@Suite("What comes with answers, and what is no answer")
struct AnswerNotesTests {
    /// No worker has a trace; of `missing` one has not answered, which may have it.
    static func noTrace(_ command: WorkerCommand) -> Result<WorkerAnswers, ShuntError> {
        let isMissing = String(decoding: command.arguments, as: UTF8.self).contains("missing")
        let unknown = ShuntError(.notFound, "this worker has no such trace")
        return .success(
            WorkerAnswers(answers: ["a:1", "b:1"].map { .init(worker: $0, result: .failure(unknown)) }, missing: isMissing ? ["c:1"] : []))
    }

    private static func role(_ role: String, _ serving: String?) -> MasterRoleRecord {
        MasterRoleRecord(role: role, address: "m1:1", term: 3, since: 100, serving: serving, heard: 2)
    }

    private final class Counter: Sendable {
        private let value = Mutex(0)
        var count: Int { value.withLock { $0 } }
        func add() { value.withLock { $0 += 1 } }
    }

    @Test("A command is answered once the registry is written, an error too; what only reads does not wait")
    func settles() async throws {
        let waited = Counter()
        let settle: AdminServer.SettleRegistry = {
            waited.add()
            return nil
        }
        try await serving(settle: settle) { fixture async throws in
            _ = try await fixture.get("/api/v1/workers")
            #expect(waited.count == 0)
            let answer = try await fixture.send("DELETE", "/api/v1/clients/here")
            #expect(answer.status == 200 && answer.headers["shunt-note"] == nil && waited.count == 1)
            #expect(try await fixture.send("DELETE", "/api/v1/chats/none").status == 404)
            #expect(waited.count == 2)
        }
    }

    @Test("A command that is performed while the disk is slow says so")
    func slow() async throws {
        try await serving(settle: { ShuntError(.registryUnavailable, "its disk is slow – very") }) { fixture async throws in
            let answer = try await fixture.send("DELETE", "/api/v1/chats/room2")
            #expect(answer.status == 200)
            // A header field holds ASCII alone.
            #expect(answer.headers["shunt-note"] == "the command is performed, but lists do not show it yet: its disk is slow ? very")
        }
    }

    @Test("What a standby lists comes with a word about who serves; its status says that itself")
    func standby() async throws {
        try await serving(role: Self.role("standby", "m2:1")) { fixture async throws in
            for path in ["workers", "clients", "devices", "chats", "events", "history"] {
                let note = try await fixture.get("/api/v1/\(path)").headers["shunt-note"]
                #expect(note == "this master is standby and m2:1 serves: ask that one, this one does not know how the cluster is")
            }
            for path in ["/api/v1/status", "/healthz", "/metrics"] {
                #expect(try await fixture.get(path).headers["shunt-note"] == nil)
            }
        }
        try await serving(role: Self.role("standby", nil)) { fixture async throws in
            #expect(try await fixture.get("/api/v1/workers").headers["shunt-note"]?.contains("hears none that serves") == true)
        }
        try await serving(role: Self.role("serving", "m1:1")) { fixture async throws in
            #expect(try await fixture.get("/api/v1/workers").headers["shunt-note"] == nil)
        }
    }

    @Test(
        "A trace that no worker has is 404, unless one may have it that has not answered; a time that ends before it begins is 400",
        arguments: [
            ("GET", "/api/v1/traces/zz", 404), ("DELETE", "/api/v1/traces/zz", 404), ("GET", "/api/v1/recordings/zz", 404),
            ("GET", "/api/v1/traces/missing", 200), ("GET", "/api/v1/history?since=2&until=1", 400),
            ("GET", "/api/v1/workers/10.0.0.1/history?since=2&until=1", 400), ("GET", "/api/v1/history?since=1&until=1", 200),
            ("GET", "/api/v1/history?figures=", 400), ("GET", "/api/v1/history?figures=requests,workers", 200),
        ])
    func statuses(_ method: String, _ target: String, _ status: Int) async throws {
        try await serving { fixture async throws in #expect(try await fixture.send(method, target).status == status) }
    }
}
