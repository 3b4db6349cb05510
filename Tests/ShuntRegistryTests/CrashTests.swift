import FoundationEssentials
import Glibc
import GRDB
import ShuntCore
import Testing

@testable import ShuntRegistry

/// A child process writes and is killed with SIGKILL in the midst of it.
@Suite struct CrashTests {
    /// Runs in the child: writes events, notes in `progress` how many have been flushed, and is killed while it goes on.
    private static func writeUntilKilled(_ path: String, progress: String, after killAt: Int) async throws {
        var writing = RegistryWriter.Configuration()
        writing.batchInterval = .milliseconds(1)
        let registry = try Registry.open(path: path, writing: writing, logger: quiet)
        for number in 1... {
            registry.writer.submit([.event(event(number)), .worker(worker("w:\(number % 50)", heartbeatAt: Double(number)))])
            guard number % 10 == 0 else { continue }
            try await registry.writer.flush()
            // Atomically: the kill may hit this writing too.
            try Data("\(number)".utf8).write(to: URL(filePath: progress), options: .atomic)
            if number >= killAt {
                // From another thread, so that it hits anywhere in the writing that goes on.
                killFromAnotherThread()
            }
        }
    }

    private func crash(_ path: String, _ progress: String, at killAt: Int) async {
        await #expect(processExitsWith: .signal(SIGKILL)) { [path, progress, killAt] in
            try await CrashTests.writeUntilKilled(path, progress: progress, after: killAt)
        }
    }

    private func flushed(_ progress: String) throws -> Int {
        try #require(Int(String(decoding: try read(progress), as: UTF8.self)))
    }

    @Test("A master killed with -9 loses nothing that was flushed, and the next start goes on", arguments: [10, 370, 2_000])
    func kill(at killAt: Int) async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        await crash(path, folder("progress"), at: killAt)
        let flushed = try flushed(folder("progress"))
        #expect(flushed >= killAt)

        let registry = try Registry.open(path: path, writing: byHand, logger: quiet)
        let events = try await registry.reader.counts().events
        #expect(events >= flushed)
        let check = try await registry.pool.read { try String.fetchOne($0, sql: "PRAGMA integrity_check") }
        #expect(check == "ok")
        registry.writer.submit([.event(event(0))])
        try await registry.writer.flush()
        #expect(try await registry.reader.counts().events == events + 1)
        try await registry.close()
    }

    @Test("After a kill the file can be read before any master starts, and reading changes neither file nor log")
    func readAfterKill() async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        await crash(path, folder("progress"), at: 100)
        let before = (try read(path), try read(path + "-wal"))
        try FileManager.default.createDirectory(atPath: folder("copy"), withIntermediateDirectories: true)
        for name in ["registry.sqlite", "registry.sqlite-wal"] {
            try FileManager.default.copyItem(atPath: folder(name), toPath: folder("copy/" + name))
        }
        for place in [path, folder("copy/registry.sqlite")] {
            let reader = try Registry.openReader(path: place)
            #expect(try await reader.counts().events >= flushed(folder("progress")))
            #expect(try await reader.query("SELECT count(*) FROM workers").rows.count == 1)
            #expect(try read(place) == before.0)
            #expect(try read(place + "-wal") == before.1)
        }
    }
}

private func killFromAnotherThread() {
    var thread = pthread_t()
    pthread_create(
        &thread, nil,
        { _ in
            kill(getpid(), SIGKILL)
            return nil
        }, nil)
}
