import FoundationEssentials
import GRDB
import ShuntCore

/// A file that may be a registry, looked at without changing anything.
///
/// Looks through SQLite alone: opening and closing the file by other means would drop the locks that
/// this process's other SQLite connections hold on it (POSIX advisory locks).
struct RegistryFile: Sendable {
    enum Content: Equatable {
        case absent
        /// No bytes, or a database without tables: what a master leaves that was killed before its first migration.
        case empty
        case registry
    }

    let path: String

    init(_ path: String) throws(ShuntError) {
        guard !path.isEmpty, !path.utf8.contains(0) else {
            throw ShuntError(
                .configInvalid, "the registry's path is empty or holds a NUL", help: "give a path such as var/registry.sqlite")
        }
        // A bare name such as `:memory:` or `file:x` means something else to SQLite.
        self.path = path.hasPrefix("/") || path.hasPrefix("./") ? path : "./" + path
    }

    /// A path that has been through `init(_:)` before.
    init(opened path: String) {
        self.path = path
    }

    /// What is there. Throws `registry.invalid` for anything that is neither a registry nor empty.
    func inspect() throws(ShuntError) -> Content {
        guard try exists() else { return .absent }
        do {
            let connection = try DatabaseQueue(path: try readablePath(), configuration: Self.readConfiguration)
            defer { try? connection.close() }
            return try connection.read { db in try content(db) }
        } catch {
            throw SQLiteFailure.describe(error, path: path)
        }
    }

    /// Opens for one reading, which never writes to the database nor to its write-ahead log.
    func openForReading() throws(ShuntError) -> DatabaseQueue {
        guard try exists() else { throw absent }
        do {
            let connection = try DatabaseQueue(path: try readablePath(), configuration: Self.readConfiguration)
            guard try connection.read({ db in try content(db) }) == .registry else {
                throw ShuntError(
                    .registryUnavailable, "the registry is still empty", at: path, help: "start the master once, then ask again")
            }
            return connection
        } catch {
            throw SQLiteFailure.describe(error, path: path)
        }
    }

    /// Throws where `openForReading` would.
    func check() throws(ShuntError) {
        let connection = try openForReading()
        try? connection.close()
    }

    var absent: ShuntError {
        ShuntError(
            .registryUnavailable, "there is no registry", at: path,
            help: "the master creates it; check the path (registry.path in its configuration)")
    }

    /// What to hand SQLite for a connection that only reads. Where no master has the file open and there is no log, nobody
    /// changes it: it is read as it lies there, which needs no -wal and -shm files and leaves none behind.
    ///
    /// Throws `registry.unavailable` where a master has it open and its log is gone: what is in the file alone is old.
    func readablePath() throws(ShuntError) -> String {
        // SQLite keeps the log beside the file itself, not beside a link to it.
        let path = resolvedPath
        if OwnerLock.isHeld(path) {
            for suffix in ["-wal", "-shm"] where FileIdentity(path + suffix) == nil {
                // The master may have ended just now, and put its log away.
                guard OwnerLock.isHeld(path) else { return Self.asItLies(path) }
                throw SQLiteFailure.logGone(path + suffix)
            }
            return path
        }
        let logSize = (try? FileManager.default.attributesOfItem(atPath: path + "-wal")[.size]) as? Int ?? 0
        return logSize > 0 ? path : Self.asItLies(path)
    }

    private static func asItLies(_ path: String) -> String { "file:\(percentEncode(path))?immutable=1" }

    var resolvedPath: String { Self.resolve(path) }

    func exists() throws(ShuntError) -> Bool {
        let type: FileAttributeType?
        do {
            type = try FileManager.default.attributesOfItem(atPath: Self.resolve(path))[.type] as? FileAttributeType
        } catch let error as CocoaError where error.code == .fileReadNoPermission {
            throw ShuntError(
                .registryUnavailable, "this user may not look into the registry's folder", at: path,
                help: "let this user into the folder, or run as the master's user")
        } catch {
            return false
        }
        guard type == .typeRegular else {
            let what: String = type == .typeDirectory ? "a folder" : "not a regular file"
            throw ShuntError(.registryInvalid, "not a registry: it is \(what)", at: path, help: "give the path of a file")
        }
        return true
    }

    private func content(_ db: Database) throws -> Content {
        let mark = try Int32.fetchOne(db, sql: "PRAGMA application_id") ?? 0
        guard mark == RegistrySchema.applicationID else {
            let tables = try Int.fetchOne(db, sql: "SELECT count(*) FROM sqlite_master WHERE tbl_name <> 'grdb_migrations'") ?? 0
            guard mark == 0, tables == 0 else {
                throw ShuntError(
                    .registryInvalid, "not a registry: it is an SQLite database of another application", at: path,
                    help: "give another registry path; this file was left as it is")
            }
            return .empty
        }
        let version = try Int.fetchOne(db, sql: "PRAGMA user_version") ?? 0
        guard version <= RegistrySchema.version else {
            throw ShuntError(
                .registryInvalid,
                "the registry has schema \(version), this program knows schemas up to \(RegistrySchema.version)",
                at: path, help: "a newer Shunt wrote it: run that version, or give another registry path")
        }
        if let fault = try RegistrySchema.fault(db, version: version) {
            throw ShuntError(
                .registryInvalid, "not a registry of this program: \(fault)", at: path,
                help: "restore a backup, or give another registry path; this file was left as it is")
        }
        return .registry
    }

    private static var readConfiguration: Configuration {
        var configuration = Configuration()
        configuration.label = "shunt.registry.read"
        configuration.readonly = true
        // The first connection after a crash recovers the log under an exclusive lock.
        configuration.busyMode = .timeout(2)
        configuration.prepareDatabase { db in try db.execute(sql: "PRAGMA trusted_schema = OFF") }
        return configuration
    }

    private static func resolve(_ path: String) -> String {
        // attributesOfItem does not follow a link, SQLite does.
        URL(filePath: path).resolvingSymlinksInPath().path
    }

    private static func percentEncode(_ path: String) -> String {
        var encoded = ""
        for byte in path.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                encoded += "%" + (digits.utf8.count == 1 ? "0" : "") + digits
            }
        }
        return encoded
    }
}
