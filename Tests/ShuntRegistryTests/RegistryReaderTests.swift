import FoundationEssentials
import Glibc
import ShuntCore
import Testing

@testable import ShuntRegistry

@Suite struct RegistryReaderTests {
    /// A registry with what `changes` hold, and readers of both kinds.
    private func filled(_ changes: [RegistryChange], _ body: (any RegistryReader) async throws -> Void) async throws {
        let folder = try TemporaryFolder()
        let registry = try Registry.open(path: folder("registry.sqlite"), writing: byHand, logger: quiet)
        registry.writer.submit(changes)
        try await registry.writer.flush()
        try await body(registry.reader)
        try await body(Registry.openReader(path: registry.path))
        try await registry.close()
        try await body(Registry.openReader(path: registry.path))
    }

    @Test("Workers come by name, filtered by state, in pages; a page beyond the end is empty")
    func pages() async throws {
        let workers = (0..<25).map { worker("w\(10 + $0):1", state: $0 % 5 == 0 ? .lost : .live) }
        try await filled(workers.reversed().map { .worker($0) }) { reader async throws in
            #expect(try await reader.workers() == workers)
            let page = try await reader.workers(WorkerQuery(state: .live, limit: 5, offset: 15))
            #expect(page.total == 20)
            #expect(page.workers == Array(workers.filter { $0.state == .live }[15...]))
            #expect(try await reader.workers(WorkerQuery(limit: 5, offset: 100)).workers.isEmpty)
            #expect(try await reader.workers(WorkerQuery(limit: -1, offset: -1)).workers.isEmpty)
            #expect(try await reader.workers(WorkerQuery(limit: .max, offset: .max)).workers.isEmpty)
        }
    }

    @Test("A worker is found by its name, its address, or by its host or the beginning of its name if that is one worker's alone")
    func finds() async throws {
        var named = worker("alpha")
        named.host = "10.1.1.1"
        named.port = 4091
        let workers = [
            worker("10.0.0.1:4091"), worker("10.0.0.1:40910"), worker("10.0.0.2:4091"), worker("10.0.0.20:4091"), named,
        ]
        try await filled(workers.map { .worker($0) }) { reader async throws in
            #expect(try await reader.worker("10.0.0.1:4091").name == "10.0.0.1:4091")
            #expect(try await reader.worker("10.0.0.2").name == "10.0.0.2:4091")
            #expect(try await reader.worker("10.0.0.20:").name == "10.0.0.20:4091")
            #expect(try await reader.worker("10.1.1.1:4091").name == "alpha")
            #expect(try await reader.worker("al").name == "alpha")
            for wrong in ["", "nobody", "10.0.0.1", "%", "_lpha", "'"] {
                #expect(
                    await failure { () throws(ShuntError) in _ = try await reader.worker(wrong) }?.code == .workerUnknown,
                    "\(wrong)")
            }
            let ambiguous = await failure { () throws(ShuntError) in _ = try await reader.worker("10.0") }
            #expect(ambiguous?.help?.contains("10.0.0.1:4091, 10.0.0.1:40910, 10.0.0.20:4091, 10.0.0.2:4091") == true)
        }
    }

    @Test("Events come oldest first: the newest, or those after an id, since a time, of a kind")
    func events() async throws {
        let events = (1...20).map { RegistryChange.event(event($0, kind: $0 % 2 == 0 ? .workerLost : .workerJoined)) }
        try await filled(events) { reader async throws in
            func ids(_ query: EventQuery) async throws -> [Int64] { try await reader.events(query).events.map(\.id) }
            #expect(try await ids(EventQuery(limit: 3)) == [18, 19, 20])
            #expect(try await ids(EventQuery(after: 0, limit: 3)) == [1, 2, 3])
            #expect(try await ids(EventQuery(after: 18)) == [19, 20])
            #expect(try await ids(EventQuery(after: 20)) == [])
            #expect(try await ids(EventQuery(since: 18.5)) == [19, 20])
            #expect(try await ids(EventQuery(after: 3, kind: .workerLost, limit: 2)) == [4, 6])
            #expect(try await reader.events(EventQuery(after: 3, kind: .workerLost, limit: 2)).nextAfter == 6)
            #expect(try await reader.events(EventQuery(after: 3, kind: .masterStarted)).nextAfter == 20)
            #expect(try await reader.events(EventQuery(after: 99)).nextAfter == 99)
        }
    }

    @Test("Following by nextAfter sees every event once, while they are being written")
    func follows() async throws {
        let folder = try TemporaryFolder()
        var writing = RegistryWriter.Configuration()
        writing.batchInterval = .milliseconds(1)
        let registry = try Registry.open(path: folder("registry.sqlite"), writing: writing, logger: quiet)
        let reader = try Registry.openReader(path: registry.path)
        async let submitting: Void = {
            for number in 0..<2_000 {
                registry.writer.submit([.event(event(number))])
                if number % 50 == 0 { try await registry.writer.flush() }
            }
        }()
        var seen: [Int64] = []
        var after: Int64 = 0
        while seen.count < 2_000 {
            let page = try await reader.events(EventQuery(after: after, limit: 70))
            seen += page.events.map(\.id)
            after = page.nextAfter
        }
        try await submitting
        #expect(seen == Array(1...2_000))
        try await registry.close()
    }

    @Test("Reading a registry that no master has open leaves the folder as it was")
    func leavesNoTrace() async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        let registry = try Registry.open(path: path, writing: byHand, logger: quiet)
        registry.writer.submit([.worker(worker("a:1"))])
        try await registry.close()
        let before = try read(path)
        let reader = try Registry.openReader(path: path)
        #expect(try await reader.workers().count == 1)
        #expect(try await reader.query("SELECT count(*) FROM workers").rows == [[.integer(1)]])
        #expect(try read(path) == before)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["registry.sqlite"])
    }

    @Test("Through a link, too, a reader sees what the master writes")
    func link() async throws {
        let folder = try TemporaryFolder()
        let registry = try Registry.open(path: folder("registry.sqlite"), writing: byHand, logger: quiet)
        try FileManager.default.createSymbolicLink(atPath: folder("link"), withDestinationPath: registry.path)
        let reader = try Registry.openReader(path: folder("link"))
        registry.writer.submit([.worker(worker("a:1"))])
        try await registry.writer.flush()
        #expect(try await reader.workers().count == 1)
        #expect(try await reader.query("SELECT count(*) FROM workers").rows == [[.integer(1)]])
        try await registry.close()
    }

    @Test("A reader opened before the master starts again sees what it then writes")
    func outlivesMasters() async throws {
        let folder = try TemporaryFolder()
        let path = folder("registry.sqlite")
        try await Registry.open(path: path, logger: quiet).close()
        let reader = try Registry.openReader(path: path)
        #expect(try await reader.workers().isEmpty)
        for run in 1...3 {
            let registry = try Registry.open(path: path, writing: byHand, logger: quiet)
            registry.writer.submit([.worker(worker("w\(run):1"))])
            try await registry.writer.flush()
            #expect(try await reader.workers().count == run)
            try await registry.close()
            #expect(try await reader.workers().count == run)
        }
    }
}
