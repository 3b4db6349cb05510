import FoundationEssentials
import GRDB
import Logging
import ShuntCore

@testable import ShuntRegistry

/// A fresh folder for one test, removed with it.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "shunt-registry-\(UUID().uuidString)").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func callAsFunction(_ name: String) -> String { path + "/" + name }
}

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Never writes by itself within a test: only `flush` does.
var byHand: RegistryWriter.Configuration {
    var configuration = RegistryWriter.Configuration()
    configuration.batchInterval = .seconds(3_600)
    configuration.maximumRetryDelay = .seconds(3_600)
    return configuration
}

func worker(
    _ name: String, state: WorkerRecord.State = .live, heartbeatAt: Double = 1_000, requests: Int = 0
) -> WorkerRecord {
    let parts = name.split(separator: ":")
    return WorkerRecord(
        name: name, host: String(parts[0]), port: parts.count > 1 ? Int(parts[1]) ?? 0 : 0, state: state, machine: "m-1",
        version: "shunt 0.1.0", listeners: ["mqtt": "127.0.0.1:1883", "web_Socket": "127.0.0.1:8083"], startedAt: 900.25,
        heartbeatAt: heartbeatAt, figures: WorkerFigures(connections: 3, requests: requests, deliveries: .max))
}

func event(_ number: Int, kind: EventRecord.Kind = .workerJoined, at: Double? = nil) -> EventRecord {
    EventRecord(at: at ?? Double(number), kind: kind, subject: "w\(number):1", detail: "event \(number)")
}

func read(_ path: String) throws -> Data {
    try Data(contentsOf: URL(filePath: path))
}

func write(_ bytes: some Sequence<UInt8>, to path: String) throws {
    try Data(bytes).write(to: URL(filePath: path))
}

func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

extension Registry {
    /// The file's connections, for what only a test does to it.
    var pool: DatabasePool {
        guard let store = store as? SQLiteStore else { fatalError("the registry is no SQLite file") }
        return store.pool
    }
}

/// What another program would do to the file.
func change(_ path: String, _ sql: String) throws {
    let other = try DatabaseQueue(path: path)
    try other.write { try $0.execute(sql: sql) }
    try other.close()
}

/// The error that `body` throws; nil where it throws none.
func failure(_ body: () async throws(ShuntError) -> Void) async -> ShuntError? {
    do {
        try await body()
        return nil
    } catch {
        return error
    }
}

func device(
    _ uid: String, _ device: String = "phone", tags: [String] = ["vip", "eu"], worker: String = "w:1", isOnline: Bool = true,
    at connectedAt: Double = 900.5, seen: Double? = nil
) -> DeviceRecord {
    DeviceRecord(
        uid: uid, device: device, tags: tags, alias: ["\(uid)-alias"], worker: worker, address: "10.1.0.1:50000",
        isOnline: isOnline, connectedAt: connectedAt, lastSeenAt: seen ?? connectedAt)
}

func chat(_ id: String, worker: String = "w:1", members: Int = 2) -> ChatRecord {
    ChatRecord(chat: id, worker: worker, createdAt: 900.25, members: members, updatedAt: 901)
}
