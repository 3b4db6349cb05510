import FoundationEssentials
import GRDB
import Glibc
import ShuntCore
import Testing

@testable import ShuntRegistry

@Suite("Care for the registry's file") struct RegistryCareTests {
    /// A registry that is in use, and has events of a few hundred kilobytes.
    private static func used(_ folder: TemporaryFolder) async throws -> Registry {
        let registry = try Registry.open(path: folder("registry.sqlite"), writing: byHand, logger: quiet)
        for number in 0..<40 {
            registry.writer.submit((0..<100).map { .event(event(number * 100 + $0)) })
            try await registry.writer.flush()
        }
        return registry
    }

    @Test("A check of a sound file finds nothing, beside the master and without it")
    func sound() async throws {
        let folder = try TemporaryFolder()
        let registry = try await Self.used(folder)
        let file = try Registry.openReader(path: folder("registry.sqlite"))
        for reader in [registry.reader, file] {
            let check = try await reader.check()
            #expect(check.faults == [] && check.bytes > 0 && check.path == folder("registry.sqlite"))
        }
        try await registry.close()
        #expect(try await file.check().faults == [])
    }

    @Test("A check names what is damaged")
    func damaged() async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        try await Self.used(folder).close()
        // An index that lacks an entry: only a look at all of the file finds it.
        let database = try DatabaseQueue(path: path)
        try await database.write { db in
            try db.execute(sql: "CREATE TABLE care (a); CREATE INDEX care_a ON care (a); INSERT INTO care VALUES (1), (2)")
            let root = try Int.fetchOne(db, sql: "SELECT rootpage FROM sqlite_master WHERE name = 'care_a'") ?? 0
            let changed = "CREATE INDEX care_a ON care (a) WHERE a > 5"
            try db.execute(sql: "PRAGMA writable_schema = ON; UPDATE sqlite_master SET sql = '\(changed)' WHERE rootpage = \(root)")
        }
        try database.close()
        let reader = try Registry.openReader(path: path)
        let faults = try await reader.check().faults
        #expect(!faults.isEmpty && faults.allSatisfy { $0.contains("care_a") }, "\(faults)")
    }

    @Test("A copy is a registry of one moment, for its owner alone, while the master goes on; nothing is written over")
    func copies() async throws {
        let folder = try TemporaryFolder()
        let (path, copy) = (folder("registry.sqlite"), folder("copy.sqlite"))
        let registry = try await Self.used(folder)
        let bytes = try Registry.backUp(path: path, to: copy)
        registry.writer.submit([.event(event(5_000))])
        try await registry.writer.flush()
        var status = stat()
        #expect(stat(copy, &status) == 0 && status.st_mode & 0o777 == 0o600 && Int(status.st_size) == bytes)
        let events = try await Registry.openReader(path: copy).events(EventQuery(limit: 1)).events.map(\.detail)
        #expect(events == ["event 3999"])
        let again = #expect(throws: ShuntError.self) { try Registry.backUp(path: path, to: copy) }
        #expect(again?.code == .ioFailed && again?.message == "the file is there already")
        let nowhere = #expect(throws: ShuntError.self) { try Registry.backUp(path: path, to: folder("no/copy.sqlite")) }
        #expect(nowhere?.code == .ioFailed)
        try await registry.close()
        // Where there is nothing to copy, nothing is left.
        let missing = #expect(throws: ShuntError.self) { try Registry.backUp(path: folder("none.sqlite"), to: folder("other.sqlite")) }
        #expect(missing?.code == .registryUnavailable)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder("")).sorted() == ["copy.sqlite", "registry.sqlite"])
        let reopened = try Registry.open(path: copy, writing: byHand, logger: quiet)
        try await reopened.close()
    }

    @Test("A worker that has come back at another port is meant by its name, rather than what it was before")
    func names() async throws {
        let folder = try TemporaryFolder()
        let registry = try Registry.open(path: folder("registry.sqlite"), writing: byHand, logger: quiet)
        func submit(_ name: String, _ state: WorkerRecord.State) async throws {
            var known = worker(name, state: state)
            known.configuredName = "edge-1"
            registry.writer.submit([.worker(known)])
            try await registry.writer.flush()
        }
        try await submit("h:1", .lost)
        try await submit("h:2", .live)
        #expect(try await registry.reader.worker("edge-1").name == "h:2")
        try await submit("h:3", .draining)
        let error = await #expect(throws: ShuntError.self) { try await registry.reader.worker("edge-1") }
        #expect(error?.code == .workerUnknown && error?.help?.contains("h:2") == true)
        try await registry.close()
    }

    @Test("A vacuum makes the file shorter, and what is written after it is kept")
    func vacuums() async throws {
        let folder = try TemporaryFolder()
        var writing = byHand
        writing.eventsKept = 10
        try await Self.used(folder).close()
        let registry = try Registry.open(path: folder("registry.sqlite"), writing: writing, logger: quiet)
        registry.writer.submit([.event(event(5_000))])
        try await registry.writer.flush()
        // The master has seen how long it is.
        #expect(registry.problem == nil)
        let done = try await registry.writer.vacuum()
        #expect(done.bytes < done.bytesBefore / 2 && done.bytes > 0, "\(done)")
        registry.writer.submit([.event(event(5_001))])
        try await registry.writer.flush()
        #expect(registry.problem == nil)
        #expect(try await registry.reader.events(EventQuery(limit: 1)).events.map(\.detail) == ["event 5001"])
        #expect(try await registry.reader.check().faults == [])
        try await registry.close()
    }
}
