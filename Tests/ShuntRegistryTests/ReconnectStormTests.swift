import GRDB
import ShuntCore
import Testing

@testable import ShuntRegistry

/// Very many devices at once. What it takes is printed; how long it may take is for a benchmark to say.
@Suite struct ReconnectStormTests {
    private static let count = 100_000

    private func storm(worker: String, tags: [String]) -> [RegistryChange] {
        (0..<Self.count).map { .device(.device(device("user-\($0 % 90_000)", "device-\($0)", tags: tags, worker: worker))) }
    }

    @Test("100,000 devices reach the file in transactions of a bounded size; meanwhile reading and other changes go on")
    func storm() async throws {
        let folder = try TemporaryFolder()
        let registry = try Registry.open(path: folder("registry.sqlite"), logger: quiet)
        let changes = storm(worker: "w:1", tags: ["vip", "eu"])
        let clock = ContinuousClock()
        let start = clock.now
        for batch in stride(from: 0, to: changes.count, by: 500) { registry.writer.submit(Array(changes[batch..<batch + 500])) }
        let submitted = clock.now - start

        var reads: [Duration] = []
        var passed: [Int] = []
        while registry.writer.figures.pendingDevices > 0 {
            let before = clock.now
            passed.append(try await registry.reader.devices(DeviceSessionQuery(uid: "user-7")).total)
            _ = try await registry.reader.devices(DeviceSessionQuery(worker: "w:1", limit: 100))
            reads.append(clock.now - before)
        }
        let written = clock.now - start
        let page = try await registry.reader.devices(DeviceSessionQuery(limit: 1))
        #expect(page.total == Self.count)
        #expect(passed == passed.sorted())
        let figures = registry.writer.figures
        #expect(figures.batches >= Self.count / RegistryWriter.Configuration().rowsPerTransaction)
        #expect(figures.droppedDevices == 0)
        let slowest = reads.max() ?? .zero
        print(
            "\(Self.count) devices: submitted in \(submitted), written in \(written) by \(figures.batches) transactions; "
                + "\(reads.count) times two queries meanwhile, slowest \(slowest)")

        // The worker is lost, and its devices come to another one.
        let lost = clock.now
        registry.writer.submit([.device(.workerLost(worker: "w:1", at: 2_000))])
        try await registry.writer.flush()
        print("its worker lost: \(clock.now - lost)")
        #expect(try await registry.reader.devices(DeviceSessionQuery(isOnline: true, limit: 1)).total == 0)
        let moved = clock.now
        registry.writer.submit(storm(worker: "w:2", tags: ["vip"]))
        try await registry.writer.flush()
        print("come to another worker: \(clock.now - moved)")
        #expect(
            try await registry.reader.devices(DeviceSessionQuery(worker: "w:2", isOnline: true, limit: 1)).total == Self.count)
        let all = clock.now
        #expect(try await registry.reader.devices().count == Self.count)
        print("all read: \(clock.now - all)")
        let tagged = clock.now
        #expect(try await registry.reader.devices(DeviceSessionQuery(tag: "eu")).total == 0)
        print("looked for by tag: \(clock.now - tagged)")
        try await registry.close()
    }

    @Test("What happens while devices are being written is written between them, not after them")
    func interleaves() async throws {
        let folder = try TemporaryFolder()
        var writing = byHand
        writing.rowsPerTransaction = 50
        let registry = try Registry.open(path: folder("registry.sqlite"), writing: writing, logger: quiet)
        try await registry.pool.write { db in
            try db.execute(
                sql: """
                    CREATE TABLE seen (devices INTEGER);
                    CREATE TRIGGER look AFTER INSERT ON events BEGIN INSERT INTO seen SELECT count(*) FROM devices; END
                    """)
        }
        let writer = registry.writer
        let observer = FirstCommit {
            writer.submit([.event(event(1)), .device(.left(uid: "u0", device: "phone", at: 5))])
        }
        registry.pool.add(transactionObserver: observer)
        writer.submit((0..<1_000).map { .device(.device(device("u\($0)"))) })
        try await writer.flush()
        #expect(try await registry.reader.query("SELECT devices FROM seen").rows == [[.integer(50)]])
        try await writer.flush()
        #expect(try await registry.reader.device("u0").devices.map(\.isOnline) == [false])
        #expect(try await registry.reader.devices(DeviceSessionQuery(isOnline: true, limit: 1)).total == 999)
        try await registry.close()
    }
}

/// Does something within the first commit.
private final class FirstCommit: TransactionObserver {
    private var body: (() -> Void)?

    init(_ body: @escaping () -> Void) {
        self.body = body
    }

    func observes(eventsOfKind eventKind: DatabaseEventKind) -> Bool { true }

    func databaseDidChange(with event: DatabaseEvent) {}

    func databaseDidCommit(_ db: Database) {
        body?()
        body = nil
    }

    func databaseDidRollback(_ db: Database) {}
}
