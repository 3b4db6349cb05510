import FoundationEssentials
import GRDB
import Logging
import ShuntCore

/// The master's registry: one SQLite file of metadata, never anything of a message.
///
/// Opened by the master alone. Others read the file through ``RegistryReader/open(path:)``.
public final class Registry: Sendable {
    public let path: String
    /// Reads beside the writer, without waiting for it.
    public let reader: RegistryReader
    public let writer: RegistryWriter
    let pool: DatabasePool
    private let lock: RegistryLock
    private let owner: OwnerLock

    private init(
        path: String, pool: DatabasePool, lock: RegistryLock, owner: OwnerLock, writing: RegistryWriter.Configuration,
        logger: Logger
    ) {
        self.path = path
        self.pool = pool
        self.lock = lock
        self.owner = owner
        reader = RegistryReader(pool: pool, path: path)
        writer = RegistryWriter(database: pool, path: path, configuration: writing, logger: logger)
    }

    /// Opens the registry, creating its folder and its tables where they are missing.
    ///
    /// Blocks while it opens: call it at the start, off any loop.
    /// Throws `registry.invalid` for a file that is not a registry, which is left untouched, and `registry.unavailable`
    /// where it cannot be opened, or another master has it.
    public static func open(
        path: String, writing: RegistryWriter.Configuration = .init(), logger: Logger
    ) throws(ShuntError) -> Registry {
        let file = try RegistryFile(path)
        guard !OwnerLock.isHeld(file.resolvedPath) else { throw RegistryLock.taken(file.resolvedPath) }
        if try file.inspect() == .absent {
            try createFolder(of: file.path)
        }
        // The one beside the file tells whose it is, and keeps out masters of versions that do not know the other.
        let lock = try RegistryLock(besides: file.resolvedPath)
        let owner = try OwnerLock(of: file.resolvedPath)
        do {
            let pool = try DatabasePool(path: file.path, configuration: configuration)
            try RegistrySchema.migrate(pool)
            guard FileIdentity(file.path) == owner.file else { throw RegistryFailure.gone(file.path) }
            return Registry(path: file.path, pool: pool, lock: lock, owner: owner, writing: writing, logger: logger)
        } catch {
            throw RegistryFailure.describe(error, path: file.path)
        }
    }

    /// nil while changes are written, else why they are not.
    public var problem: ShuntError? { writer.problem }

    /// Writes what waits, then closes the file. The registry cannot be used afterwards.
    /// - Throws: what keeps it from being written; `writer.figures` tell how much is lost.
    public func close() async throws(ShuntError) {
        let written = await writer.close()
        defer {
            owner.giveUp()
            lock.giveUp()
        }
        do {
            // Where only the log's name is gone, what was written before that goes from the log into the file.
            if !writer.isInPlace, writer.places.isNothingReplaced {
                try await pool.writeWithoutTransaction { db in _ = try db.checkpoint(.full) }
            }
            try pool.close()
            // The pool closes its writing connection before its reading ones, and those cannot put the log away. One that
            // can, closes last: the file alone then holds everything.
            if writer.isInPlace { try DatabaseQueue(path: path, configuration: Self.configuration).close() }
        } catch {
            throw RegistryFailure.describe(error, path: path)
        }
        try written.get()
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
