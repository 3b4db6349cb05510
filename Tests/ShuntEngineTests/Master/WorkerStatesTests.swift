import ExchangeCodec
import ShuntCore
import Testing

@testable import ShuntEngine

@Suite("The states of workers, and since when they run")
struct WorkerStatesTests {
    private var directory = WorkerDirectory(liveFor: 20)

    private func body(uptime: Int? = nil, boot: String = "1", createdTime: Int64 = 1_000_000) -> HeartbeatBody {
        HeartbeatBody(serverName: "a", serverPort: 1, createdTime: createdTime, shunt: ShuntExtension(version: "t", boot: boot, uptime: uptime))
    }

    private mutating func beat(uptime: Int? = nil, boot: String = "1", createdTime: Int64 = 1_000_000, now: Double) throws -> [RegistryChange] {
        try directory.heartbeat(body(uptime: uptime, boot: boot, createdTime: createdTime), source: "", now: now)
    }

    private func events(_ changes: [RegistryChange]) -> [EventRecord.Kind] {
        changes.compactMap { if case .event(let event) = $0 { event.kind } else { nil } }
    }

    private var record: WorkerRecord? { directory.record("a:1") }

    @Test("What a worker tells of itself is written once, also where it tells it again to a master that has started again")
    mutating func toldAgain() throws {
        func told(_ numbers: ClosedRange<Int64>) throws -> [EventRecord] {
            var body = body()
            body.shunt?.events = numbers.map { WorkerEvent(number: $0, at: 900.25, kind: .rulesLoaded, detail: "version \($0)") }
            return try directory.heartbeat(body, source: "", now: 1000).compactMap {
                if case .event(let event) = $0, event.kind == .rulesLoaded { event } else { nil }
            }
        }
        let first = try told(1...2)
        #expect(first.map(\.detail) == ["version 1", "version 2"] && first.allSatisfy { $0.subject == "a:1" })
        #expect(try told(1...3).map(\.detail) == ["version 3"])
        directory = WorkerDirectory(liveFor: 20)
        directory.restore(first)
        #expect(try told(1...4).map(\.detail) == ["version 3", "version 4"])
    }

    @Test("A worker that signs off has left, and is not lost later; it is live again when it comes back")
    mutating func left() throws {
        _ = try beat(now: 1000)
        let changes = try beat(createdTime: HeartbeatBody.signingOff, now: 1003)
        #expect(record?.state == .left && events(changes) == [.workerLeft])
        for second in 1...60 { #expect(directory.tick(now: 1003 + Double(second)).isEmpty) }
        #expect(directory.states == [.left: 1] && directory.allocation.isEmpty && directory.commanded().isEmpty)
        #expect(events(try beat(boot: "2", createdTime: 1_070_000, now: 1070)) == [.workerReturned])
        #expect(record?.state == .live && directory.allocation == ["a:1"])
    }

    @Test("How workers are is unknown to a master while another serves, and none is lost for it")
    mutating func unknown() throws {
        _ = try beat(now: 1000)
        #expect(directory.retire(now: 1001) == [.workerState(name: "a:1", .unknown, at: 1001)])
        for second in 1...60 { #expect(directory.tick(now: 1001 + Double(second)).isEmpty) }
        #expect(directory.states == [.unknown: 1] && directory.clients == 0)
        #expect(directory.retire(now: 1062).isEmpty)
        #expect(events(try beat(now: 1063)) == [.workerReturned] && record?.state == .live)
    }

    @Test("A worker that has left is no matter of a master that stands by")
    mutating func leftBefore() throws {
        _ = try beat(now: 1000)
        _ = try beat(createdTime: HeartbeatBody.signingOff, now: 1003)
        #expect(directory.retire(now: 1004).isEmpty && record?.state == .left)
    }

    @Test("A worker says how long it has run: a master that it comes to later knows when it started")
    mutating func uptime() throws {
        _ = try beat(uptime: 360_000, now: 1000)
        #expect(record?.startedAt == 640)
        // Later ones may have been on their way for longer; the start stays.
        _ = try beat(uptime: 363_000, now: 1003.7)
        _ = try beat(uptime: 366_000, now: 1030)
        #expect(record?.startedAt == 640)
        // Another run.
        _ = try beat(uptime: 500, boot: "2", now: 1040)
        #expect(record?.startedAt == 1039.5)
    }

    @Test("A worker that does not say how long it has run counts from when it was first heard")
    mutating func withoutUptime() throws {
        _ = try beat(now: 1000)
        _ = try beat(now: 1003)
        #expect(record?.startedAt == 1000)
    }

    @Test("What the registry says of a start holds where the worker says the same, and else the worker is right")
    mutating func restored() throws {
        let known = WorkerRecord(name: "a:1", host: "a", port: 1, state: .live, startedAt: 640, heartbeatAt: 900)
        directory.restore([known], now: 999)
        var other = directory
        _ = try beat(uptime: 360_500, now: 1000)
        #expect(record?.startedAt == 640)
        _ = try other.heartbeat(body(uptime: 1000), source: "", now: 1000)
        #expect(other.record("a:1")?.startedAt == 999)
    }

    // MARK: Draining

    private func script() -> MasterEngineTests.Script {
        let script = MasterEngineTests.Script()
        script.beat("a", on: 1)
        script.beat("b", on: 2)
        return script
    }

    private func drain(_ worker: String, _ script: MasterEngineTests.Script, _ name: WorkerCommand.Name = .drain) -> ErrorCode? {
        do {
            _ = try script.engine.command(WorkerCommand(name, worker: worker), now: script.now)
            script.engine.clear()
            return nil
        } catch {
            return error.code
        }
    }

    @Test("The last worker that takes clients is not drained, though the heartbeats of the others do not say yet that they drain")
    func lastOne() {
        let script = script()
        #expect(drain("a:1", script) == nil)
        #expect(drain("b:1", script) == .requestInvalid)
        // The same again is no other worker.
        #expect(drain("a:1", script) == nil)
        #expect(drain("a:1", script, .undrain) == nil)
        #expect(drain("b:1", script) == nil)
    }

    @Test("A worker that was told to drain and does not counts again after some heartbeats")
    func notDrained() {
        let script = script()
        #expect(drain("a:1", script) == nil)
        for _ in 0..<3 {
            script.wait(2)
            script.beat("a", on: 1)
            script.beat("b", on: 2)
        }
        #expect(drain("b:1", script) == nil)
    }
}
