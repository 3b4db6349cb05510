import FoundationEssentials
import Glibc
import GRDB
import ShuntCore
import Testing

@testable import ShuntRegistry

@Suite struct RegistryWriterTests {
    private func open(_ folder: TemporaryFolder, _ writing: RegistryWriter.Configuration = byHand) throws -> Registry {
        try Registry.open(path: folder("registry.sqlite"), writing: writing, logger: quiet)
    }

    @Test("All of a worker's record comes back as it was written")
    func roundTrip() async throws {
        let folder = try TemporaryFolder()
        let registry = try open(folder)
        var record = worker("10.0.0.1:4091", requests: 42)
        record.machine = "'; DROP TABLE workers; -- \n é"
        registry.writer.submit([.worker(record)])
        try await registry.writer.flush()
        #expect(try await registry.reader.workers() == [record])
        try await registry.close()
    }

    @Test("A batch is one transaction, and is written by itself within the interval")
    func batches() async throws {
        let folder = try TemporaryFolder()
        var writing = RegistryWriter.Configuration()
        writing.batchInterval = .milliseconds(20)
        let registry = try open(folder, writing)
        let changes = (0..<1_000).flatMap { [RegistryChange.worker(worker("w:\($0 % 10)")), .event(event($0))] }
        registry.writer.submit(changes)
        while registry.writer.figures.batches == 0 { await Task.yield() }
        #expect(registry.writer.figures.batches == 1)
        #expect(
            try await registry.reader.counts()
                == RegistryCounts(workers: ["live": 10, "draining": 0, "left": 0, "lost": 0, "unknown": 0], events: 1_000))
        try await registry.close()
    }

    @Test("Submitting from many threads loses nothing")
    func manyThreads() async throws {
        let folder = try TemporaryFolder()
        var writing = RegistryWriter.Configuration()
        writing.batchInterval = .milliseconds(1)
        let registry = try open(folder, writing)
        await withTaskGroup(of: Void.self) { group in
            for thread in 0..<8 {
                group.addTask {
                    for number in 0..<250 {
                        registry.writer.submit([.event(event(number)), .worker(worker("t\(thread):\(number)"))])
                    }
                }
            }
        }
        try await registry.writer.flush()
        let counts = try await registry.reader.counts()
        #expect(counts.events == 2_000)
        #expect(counts.workers["live"] == 2_000)
        try await registry.close()
    }

    @Test("A change of state leaves the rest of the record, and says since when; for an unknown worker it does nothing")
    func stateChange() async throws {
        let folder = try TemporaryFolder()
        let registry = try open(folder)
        registry.writer.submit([.worker(worker("a:1", heartbeatAt: 10))])
        try await registry.writer.flush()
        registry.writer.submit([.worker(worker("a:1", heartbeatAt: 20)), .workerState(name: "nobody:1", .lost, at: 20)])
        try await registry.writer.flush()
        #expect(try await registry.reader.query("SELECT state, state_at FROM workers").rows == [[.text("live"), .real(10)]])
        registry.writer.submit([.workerState(name: "a:1", .lost, at: 33.5)])
        try await registry.writer.flush()
        #expect(try await registry.reader.workers() == [worker("a:1", state: .lost, heartbeatAt: 20)])
        #expect(try await registry.reader.query("SELECT state_at FROM workers").rows == [[.real(33.5)]])
        try await registry.close()
    }

    @Test("Only the newest events are kept, and their ids go on")
    func trimsEvents() async throws {
        let folder = try TemporaryFolder()
        var writing = byHand
        writing.eventsKept = 5
        let registry = try open(folder, writing)
        for batch in 0..<4 {
            registry.writer.submit((0..<4).map { .event(event(batch * 4 + $0)) })
            try await registry.writer.flush()
        }
        let events = try await registry.reader.events(EventQuery()).events
        #expect(events.map(\.id) == [12, 13, 14, 15, 16])
        try await registry.close()
    }

    @Test("A number that is not one does not stop the batch")
    func notANumber() async throws {
        let folder = try TemporaryFolder()
        let registry = try open(folder)
        registry.writer.submit([
            .worker(worker("a:1", heartbeatAt: .nan)), .event(event(1, at: .infinity)), .worker(worker("b:1")),
            .workerState(name: "b:1", .lost, at: .nan),
        ])
        try await registry.writer.flush()
        #expect(try await registry.reader.workers().map(\.heartbeatAt) == [0, 1_000])
        try await registry.close()
    }

    @Test("While the disk is full nothing blocks, memory is bounded, and what waits is written once there is room")
    func diskFull() async throws {
        let folder = try TemporaryFolder()
        var writing = byHand
        writing.maximumPendingEvents = 500
        let registry = try open(folder, writing)
        try await registry.pool.writeWithoutTransaction { db in
            let pages = try Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0
            try db.execute(sql: "PRAGMA max_page_count = \(pages)")
        }
        for number in 0..<2_000 {
            registry.writer.submit([.event(event(number)), .worker(worker("a:1", heartbeatAt: Double(number)))])
        }
        for _ in 0..<3 {
            #expect(await failure { () throws(ShuntError) in try await registry.writer.flush() }?.code == .registryUnavailable)
            #expect(registry.problem?.code == .registryUnavailable)
        }
        let figures = registry.writer.figures
        #expect(figures.failures == 3)
        #expect(figures.pendingEvents == 500)
        #expect(figures.pendingWorkers == 1)
        #expect(figures.droppedEvents == 1_500)
        #expect(try await registry.reader.counts().events == 0)

        try await registry.pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA max_page_count = 100000") }
        try await registry.writer.flush()
        #expect(try await registry.reader.counts().events == 500)
        #expect(try await registry.reader.worker("a:1").heartbeatAt == 1_999)
        #expect(registry.writer.figures.pendingEvents == 0)
        #expect(registry.writer.figures.droppedEvents == 1_500)
        try await registry.close()
    }

    @Test("While another program holds the write lock, changes wait and are retried without being asked")
    func locked() async throws {
        let folder = try TemporaryFolder()
        var writing = RegistryWriter.Configuration()
        writing.batchInterval = .milliseconds(5)
        let registry = try open(folder, writing)
        let other = try DatabaseQueue(path: registry.path)
        try await other.writeWithoutTransaction { db in
            try db.execute(sql: "BEGIN IMMEDIATE")
            registry.writer.submit([.event(event(1))])
            while registry.writer.figures.failures == 0 { sched_yield() }
            try db.execute(sql: "ROLLBACK")
        }
        while registry.writer.figures.batches == 0 { await Task.yield() }
        #expect(try await registry.reader.counts().events == 1)
        try other.close()
        try await registry.close()
    }

    @Test("A registry whose file is gone is not written, and says so, until the file is back", arguments: [false, true])
    func fileGone(isReplaced: Bool) async throws {
        let folder = try TemporaryFolder()
        let registry = try open(folder)
        #expect(registry.problem == nil)
        try FileManager.default.moveItem(atPath: registry.path, toPath: folder("away"))
        if isReplaced { try write([], to: registry.path) }
        #expect(registry.problem?.code == .registryUnavailable, "before anything is to be written")
        registry.writer.submit([.event(event(1))])
        #expect(await failure { () throws(ShuntError) in try await registry.writer.flush() } == registry.problem)
        if isReplaced { try FileManager.default.removeItem(atPath: registry.path) }
        try FileManager.default.moveItem(atPath: folder("away"), toPath: registry.path)
        try await registry.writer.flush()
        #expect(registry.problem == nil)
        #expect(try await registry.reader.counts().events == 1)
        try await registry.close()
    }

    @Test("Closing a registry whose file is gone tells what was not written, and makes no new one")
    func closeGone() async throws {
        let folder = try TemporaryFolder()
        let registry = try open(folder)
        registry.writer.submit([.event(event(1)), .worker(worker("a:1"))])
        try FileManager.default.removeItem(atPath: registry.path)
        #expect(await failure { () throws(ShuntError) in try await registry.close() }?.code == .registryUnavailable)
        #expect(registry.writer.figures.pendingEvents == 1)
        #expect(registry.writer.figures.pendingWorkers == 1)
        #expect(!exists(registry.path))
    }

    @Test("Closing writes what waits; what is submitted afterwards is ignored")
    func close() async throws {
        let folder = try TemporaryFolder()
        let registry = try open(folder)
        registry.writer.submit([.event(event(1))])
        try await registry.close()
        registry.writer.submit([.event(event(2))])
        #expect(registry.writer.figures.pendingEvents == 0)
        #expect(try await Registry.openReader(path: registry.path).counts().events == 1)
    }
}
