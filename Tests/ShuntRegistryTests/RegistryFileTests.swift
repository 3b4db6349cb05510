import FoundationEssentials
import Glibc
import GRDB
import ShuntCore
import Testing

@testable import ShuntRegistry

@Suite struct RegistryFileTests {
    @Test("Opening creates the folder and an empty registry; closing leaves one file; opening again keeps what is there")
    func createsAndReopens() async throws {
        let folder = try TemporaryFolder()
        let path = folder("var/deep/registry.sqlite")
        let first = try Registry.open(path: path, writing: byHand, logger: quiet)
        first.writer.submit([.worker(worker("a:1")), .event(event(1))])
        try await first.writer.flush()
        #expect(try await first.reader.workers().count == 1)
        try await first.close()
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder("var/deep")) == ["registry.sqlite"])

        let second = try Registry.open(path: path, writing: byHand, logger: quiet)
        #expect(try await second.reader.workers() == [worker("a:1")])
        #expect(try await second.reader.events(EventQuery()).events.map(\.detail) == ["event 1"])
        try await second.close()
    }

    enum NotARegistry: String, CaseIterable, CustomTestStringConvertible {
        case text, otherDatabase, newer, folder, damaged, fifo, unknownMigration, missingTable, strangeTables
        var testDescription: String { rawValue }

        func make(at path: String) throws {
            switch self {
            case .text: try write("not a database, but long enough to be looked at\n".utf8, to: path)
            case .otherDatabase: try change(path, "CREATE TABLE accounts (id)")
            case .newer:
                try change(path, "CREATE TABLE x (id); PRAGMA application_id = \(RegistrySchema.applicationID)")
                try change(path, "PRAGMA user_version = \(RegistrySchema.version + 1)")
            case .folder: try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            case .damaged: try write(Array("SQLite format 3\0".utf8) + Array(repeating: 0xAA, count: 5_000), to: path)
            case .fifo: #expect(mkfifo(path, 0o600) == 0)
            case .unknownMigration: try changedRegistry(path, "INSERT INTO grdb_migrations VALUES ('something of a fork')")
            case .missingTable: try changedRegistry(path, "DROP TABLE devices")
            case .strangeTables:
                try change(path, "CREATE TABLE x (id); PRAGMA application_id = \(RegistrySchema.applicationID); PRAGMA user_version = 1")
            }
        }
    }

    @Test("A file that is not a registry is refused with help, and left as it is", arguments: NotARegistry.allCases)
    func refuses(_ kind: NotARegistry) async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        try kind.make(at: path)
        let before = kind == .folder || kind == .fifo ? nil : try read(path)
        let masterError = #expect(throws: ShuntError.self) { try Registry.open(path: path, logger: quiet) }
        let readerError = #expect(throws: ShuntError.self) { try Registry.openReader(path: path) }
        for error in [masterError, readerError] {
            #expect(error?.code == .registryInvalid)
            #expect(error?.location == path)
            #expect(error?.help != nil)
        }
        if let before { #expect(try read(path) == before) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["registry.sqlite"])
    }

    @Test(
        "The refusal of a registry that was changed says what is wrong",
        arguments: [
            (NotARegistry.unknownMigration, "'something of a fork'"), (.missingTable, "'devices'"), (.strangeTables, "'meta'"),
        ])
    func saysWhy(_ kind: NotARegistry, _ what: String) throws {
        let folder = try TemporaryFolder()
        try kind.make(at: folder("registry.sqlite"))
        let error = #expect(throws: ShuntError.self) { try Registry.open(path: folder("registry.sqlite"), logger: quiet) }
        #expect(error?.message.contains(what) == true)
        #expect(error?.code.exitCode == 78)
    }

    @Test("A second master is refused with the first one's number, also by another path; readers are not")
    func locked() async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        let first = try Registry.open(path: path, writing: byHand, logger: quiet)
        try FileManager.default.createSymbolicLink(atPath: folder("link"), withDestinationPath: path)
        for other in [path, folder("link")] {
            let error = #expect(throws: ShuntError.self) { try Registry.open(path: other, logger: quiet) }
            #expect(error?.code == .registryUnavailable)
            #expect(error?.code.exitCode == 69)
            #expect(error?.message.hasSuffix("in use by another master (pid \(getpid()))") == true)
        }
        first.writer.submit([.worker(worker("a:1"))])
        try await first.writer.flush()
        #expect(try await Registry.openReader(path: path).workers().count == 1)
        try await first.close()
        try await Registry.open(path: path, logger: quiet).close()
    }

    @Test("A second master is refused where the first one's .lock was removed, and by a hard link and a new name")
    func lockedFile() async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        let first = try Registry.open(path: path, writing: byHand, logger: quiet)
        try FileManager.default.removeItem(atPath: path + ".lock")
        try FileManager.default.linkItem(atPath: path, toPath: folder("other.sqlite"))
        try FileManager.default.moveItem(atPath: path, toPath: folder("moved.sqlite"))
        for other in ["other.sqlite", "moved.sqlite"] {
            let error = #expect(throws: ShuntError.self) { try Registry.open(path: folder(other), logger: quiet) }
            #expect(error?.code == .registryUnavailable)
            #expect(error?.message == "the registry is in use by another master")
        }
        try FileManager.default.moveItem(atPath: folder("moved.sqlite"), toPath: path)
        try await first.close()
        try await Registry.open(path: path, logger: quiet).close()
    }

    @Test(
        "A log that is deleted is told as not ready, readers do not take the file for all there is, and nothing written is lost",
        arguments: ["-wal", "-shm"])
    func logDeleted(_ suffix: String) async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        let registry = try Registry.open(path: path, writing: byHand, logger: quiet)
        registry.writer.submit([.worker(worker("a:1"))])
        try await registry.writer.flush()
        #expect(registry.problem == nil)
        try FileManager.default.removeItem(atPath: path + suffix)
        let problem = try #require(registry.problem)
        #expect(problem.code == .registryUnavailable)
        #expect(problem.location == path + suffix)
        #expect(problem.help?.contains("restart the master") == true)
        registry.writer.submit([.worker(worker("b:1"))])
        #expect(await failure { () throws(ShuntError) in try await registry.writer.flush() } == problem)
        #expect(throws: problem) { try Registry.openReader(path: path) }
        #expect(await failure { () throws(ShuntError) in _ = try await registry.reader.query("SELECT 1") } == problem)
        #expect(await failure { () throws(ShuntError) in try await registry.close() } == problem)
        #expect(try await Registry.openReader(path: path).workers() == [worker("a:1")])
    }

    @Test("A log that another has taken the place of is told too")
    func logReplaced() async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        let registry = try Registry.open(path: path, writing: byHand, logger: quiet)
        try FileManager.default.removeItem(atPath: path + "-wal")
        try write([], to: path + "-wal")
        #expect(registry.problem?.location == path + "-wal")
        try await registry.close()
    }

    @Test("A file or log that is cut short is told, and what comes then waits", arguments: ["", "-wal"])
    func cutShort(_ suffix: String) async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        let registry = try Registry.open(path: path, writing: byHand, logger: quiet)
        registry.writer.submit([.worker(worker("a:1"))])
        try await registry.writer.flush()
        #expect(registry.problem == nil)
        try #require(truncate(path + suffix, 0) == 0)
        #expect(registry.problem?.location == path + suffix)
        #expect(registry.problem?.code == .registryUnavailable)
        registry.writer.submit([.worker(worker("b:1"))])
        #expect(await failure { () throws(ShuntError) in try await registry.writer.flush() }?.location == path + suffix)
        #expect(await failure { () throws(ShuntError) in try await registry.close() } != nil)
    }

    @Test("A file that a killed master left locks nobody out")
    func staleLock() async throws {
        let folder = try TemporaryFolder()
        try write("4711\n".utf8, to: folder("registry.sqlite.lock"))
        try await Registry.open(path: folder("registry.sqlite"), logger: quiet).close()
        #expect(!exists(folder("registry.sqlite.lock")))
    }

    @Test("A missing registry cannot be read, and reading does not create it")
    func missing() async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        let error = #expect(throws: ShuntError.self) { try Registry.openReader(path: path) }
        #expect(error?.code == .registryUnavailable)
        #expect(!exists(path))
    }

    @Test("A folder that cannot be made is registry.unavailable")
    func noFolder() async throws {
        let folder = try TemporaryFolder()
        try write([1], to: folder("file"))
        let error = #expect(throws: ShuntError.self) { try Registry.open(path: folder("file/registry.sqlite"), logger: quiet) }
        #expect(error?.code == .registryUnavailable)
    }

    @Test(
        "A file or a folder without permission is registry.unavailable", .enabled(if: geteuid() != 0, "root may read everything"))
    func noPermission() async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        try await Registry.open(path: path, logger: quiet).close()
        for place in [path, folder.path] {
            #expect(chmod(place, 0) == 0)
            let masterError = #expect(throws: ShuntError.self) { try Registry.open(path: path, logger: quiet) }
            let readerError = #expect(throws: ShuntError.self) { try Registry.openReader(path: path) }
            #expect(masterError?.code == .registryUnavailable)
            #expect(readerError?.code == .registryUnavailable)
            #expect(chmod(place, 0o700) == 0)
        }
    }

    @Test("An empty file, or one left from before the first migration, becomes a registry")
    func empty() async throws {
        let folder = try TemporaryFolder()
        try write([], to: folder("zero"))
        try change(folder("premigration"), "CREATE TABLE grdb_migrations (identifier TEXT NOT NULL PRIMARY KEY)")
        for name in ["zero", "premigration"] {
            let error = #expect(throws: ShuntError.self) { try Registry.openReader(path: folder(name)) }
            #expect(error?.code == .registryUnavailable)
            let registry = try Registry.open(path: folder(name), logger: quiet)
            #expect(try await registry.reader.workers().isEmpty)
            try await registry.close()
        }
    }

    @Test(
        "A path's odd characters are just characters",
        arguments: ["a b%20?mode=memory#x.sqlite", "file:x?mode=memory", "ü/registry"])
    func oddPaths(_ name: String) async throws {
        let folder = try TemporaryFolder()
        let registry = try Registry.open(path: folder(name), writing: byHand, logger: quiet)
        registry.writer.submit([.worker(worker("a:1"))])
        try await registry.close()
        #expect(exists(folder(name)))
        #expect(try await Registry.openReader(path: folder(name)).workers().count == 1)
    }

    @Test("A registry whose tables were changed by something else gives an error, not a crash")
    func tampered() async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        let registry = try Registry.open(path: path, writing: byHand, logger: quiet)
        registry.writer.submit([.worker(worker("a:1"))])
        try await registry.close()
        try change(path, "UPDATE workers SET state = 'sleeping'")
        let reader = try Registry.openReader(path: path)
        #expect(await failure { () throws(ShuntError) in _ = try await reader.workers() }?.code == .registryInvalid)
        try change(path, "ALTER TABLE workers DROP COLUMN machine")
        #expect(await failure { () throws(ShuntError) in _ = try await reader.worker("a:1") }?.code == .registryInvalid)
        try change(path, "DROP TABLE workers")
        #expect(await failure { () throws(ShuntError) in _ = try await reader.workers() }?.code == .registryInvalid)
    }
}

/// A registry that a master has made, and something else has changed since.
private func changedRegistry(_ path: String, _ sql: String) throws {
    try RegistrySchema.migrate(try DatabaseQueue(path: path))
    try change(path, sql)
}
