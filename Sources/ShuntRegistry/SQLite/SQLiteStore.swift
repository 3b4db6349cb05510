import FoundationEssentials
import GRDB
import ShuntCore

/// The registry in one SQLite file. Opened by the master alone; others read the file through ``SQLiteReader``.
final class SQLiteStore: RegistryStore {
    let path: String
    let pool: DatabasePool
    private let places: RegistryPlaces
    private let lock: RegistryLock
    private let owner: OwnerLock
    private let history: HistoryTrim

    /// Throws what ``Registry/open(path:writing:logger:)`` throws.
    /// - Parameter historyKept: the steps of the history that are kept.
    init(path: String, historyKept: [HistoryStep] = HistoryStep.allCases) throws(ShuntError) {
        history = HistoryTrim(steps: historyKept)
        let file = try RegistryFile(path)
        guard !OwnerLock.isHeld(file.resolvedPath) else { throw RegistryLock.taken(file.resolvedPath) }
        if try file.inspect() == .absent {
            try Self.createFolder(of: file.path)
        }
        // The one beside the file tells whose it is, and keeps out masters of versions that do not know the other.
        lock = try RegistryLock(besides: file.resolvedPath)
        owner = try OwnerLock(of: file.resolvedPath)
        self.path = file.path
        do {
            pool = try DatabasePool(path: file.path, configuration: Self.configuration)
            try RegistrySchema.migrate(pool)
            guard FileIdentity(file.path) == owner.file else { throw SQLiteFailure.gone(file.path) }
        } catch {
            throw SQLiteFailure.describe(error, path: file.path)
        }
        places = RegistryPlaces(file.path)
    }

    /// What is no longer where it was opened.
    var fault: ShuntError? { places.fault }

    func write(_ batch: RegistryBatch, keepingEvents: Int) throws(RegistryWriteFailure) {
        do {
            if let fault { throw fault }
            try pool.write { db in
                try batch.changes.write(to: db, keepingEvents: keepingEvents)
                try batch.devices.write(to: db)
                try batch.chats.write(to: db)
                try batch.clients.write(to: db)
                try batch.history.write(to: db)
                try history.trim(db, newest: batch.history.newest)
            }
        } catch {
            throw RegistryWriteFailure(error: SQLiteFailure.describe(error, path: path), mayPass: SQLiteFailure.mayPass(error))
        }
    }

    func vacuum() throws(ShuntError) -> RegistryVacuum {
        do {
            if let fault { throw fault }
            let (before, after) = try pool.barrierWriteWithoutTransaction { db in
                let before = try RegistryFile.bytes(db)
                try db.execute(sql: "VACUUM")
                // The file gets shorter once the log is in it. Readers of other processes may delay that.
                _ = try? db.checkpoint(.truncate)
                return (before, try RegistryFile.bytes(db))
            }
            places.hasShrunk()
            return RegistryVacuum(path: path, bytesBefore: before, bytes: after)
        } catch {
            throw SQLiteFailure.describe(error, path: path)
        }
    }

    func close() async throws(ShuntError) {
        defer {
            owner.giveUp()
            lock.giveUp()
        }
        do {
            // Where only the log's name is gone, what was written before that goes from the log into the file.
            if fault != nil, places.isNothingReplaced {
                try await pool.writeWithoutTransaction { db in _ = try db.checkpoint(.full) }
            }
            try pool.close()
            // The pool closes its writing connection before its reading ones, and those cannot put the log away. One that
            // can, closes last: the file alone then holds everything.
            if fault == nil { try DatabaseQueue(path: path, configuration: Self.configuration).close() }
        } catch {
            throw SQLiteFailure.describe(error, path: path)
        }
    }

    private static func createFolder(of path: String) throws(ShuntError) {
        let folder = URL(filePath: path).deletingLastPathComponent().path
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw ShuntError(
                .registryUnavailable, "the registry's folder cannot be created", at: folder,
                help: "create it, and let this user write there")
        }
    }

    /// GRDB opens a pool in WAL mode with `synchronous = NORMAL`: a crash of the process loses nothing that was
    /// committed, a crash of the machine at most the last commits.
    private static var configuration: Configuration {
        var configuration = Configuration()
        configuration.label = "shunt.registry"
        configuration.busyMode = .timeout(1)
        configuration.maximumReaderCount = 2
        configuration.prepareDatabase { db in
            try db.execute(sql: "PRAGMA trusted_schema = OFF; PRAGMA journal_size_limit = \(RegistryPlaces.logSizeLimit)")
        }
        return configuration
    }
}
