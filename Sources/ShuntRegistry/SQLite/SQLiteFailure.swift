import GRDB
import ShuntCore

/// Turns what SQLite says into what an operator can act on.
enum SQLiteFailure {
    static func describe(_ error: any Error, path: String) -> ShuntError {
        switch error {
        case let error as ShuntError: error
        case let error as DatabaseError: describe(error, path: path)
        case is RowDecodingError:
            ShuntError(
                .registryInvalid, "a row does not have the columns that it should have", at: path,
                help: "the file was changed by something else; restore a backup, or move it away and start the master anew")
        default: ShuntError(.internalError, "the registry failed: \(error)", at: path)
        }
    }

    private static func describe(_ error: DatabaseError, path: String) -> ShuntError {
        let said = error.message ?? "SQLite error \(error.resultCode.rawValue)"
        switch error.resultCode.primaryResultCode {
        case .SQLITE_NOTADB:
            return ShuntError(
                .registryInvalid, "not a registry: the file is not an SQLite database", at: path,
                help: "give another registry path; this file was left as it is")
        case .SQLITE_CORRUPT:
            return ShuntError(
                .registryInvalid, "the registry is damaged: \(said)", at: path,
                help: "restore a backup, or move the file away: workers fill a new registry within two heartbeats")
        case .SQLITE_ERROR:
            return ShuntError(
                .registryInvalid, "the registry does not have the tables that it should have: \(said)", at: path,
                help: "restore a backup, or move the file away and start the master anew")
        case .SQLITE_BUSY, .SQLITE_LOCKED:
            return ShuntError(
                .registryUnavailable, "another program keeps the registry locked", at: path,
                help: "look for an open transaction, such as a sqlite3 shell")
        case .SQLITE_FULL:
            return ShuntError(.registryUnavailable, "no space is left for the registry", at: path, help: "free some disk space")
        case .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_READONLY, .SQLITE_AUTH:
            return ShuntError(
                .registryUnavailable, "the registry cannot be opened: \(said)", at: path,
                help: "check that this user may use the file, the -wal and -shm files beside it, and their folder")
        default:
            return ShuntError(.registryUnavailable, "the registry failed: \(said)", at: path)
        }
    }

    static func gone(_ path: String) -> ShuntError {
        ShuntError(
            .registryUnavailable, "the registry's file was deleted, replaced or cut short while the master has it open", at: path,
            help: "put it back, or restart the master: workers fill a new registry within two heartbeats")
    }

    /// - Parameter path: of the log (-wal) or its index (-shm).
    static func logGone(_ path: String) -> ShuntError {
        ShuntError(
            .registryUnavailable, "the registry's log was deleted, replaced or cut short while a master has it open", at: path,
            help: "restart the master, which makes them anew; never touch -wal and -shm files while a master runs")
    }

    /// Of a write: the disk may get room, a lock may go, the file may be put back.
    static func mayPass(_ error: any Error) -> Bool {
        guard let error = error as? DatabaseError else { return error is ShuntError }
        switch error.resultCode.primaryResultCode {
        case .SQLITE_CONSTRAINT, .SQLITE_TOOBIG, .SQLITE_MISMATCH: return false
        default: return true
        }
    }
}
