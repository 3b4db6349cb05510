import FoundationEssentials
import GRDB
import Glibc
import ShuntCore

extension RegistryFile {
    /// Bytes of the file; 0 where there is none.
    var size: Int {
        var status = stat()
        return stat(resolvedPath, &status) == 0 ? Int(status.st_size) : 0
    }

    /// Bytes of all pages. Some pages may be in the log alone.
    static func bytes(_ db: Database) throws -> Int {
        try (Int.fetchOne(db, sql: "PRAGMA page_count") ?? 0) * (Int.fetchOne(db, sql: "PRAGMA page_size") ?? 0)
    }

    /// Looks at every page and every index.
    static func faults(_ db: Database) throws -> [String] {
        let said = try String.fetchAll(db, sql: "PRAGMA integrity_check(\(RegistryCheck.maximumFaults))")
        guard said != ["ok"] else { return [] }
        // SQLite puts several faults in one text, below a line that names the database.
        let lines = said.flatMap { $0.split(separator: "\n") }.filter { !$0.hasPrefix("*** in database") }
        return lines.prefix(RegistryCheck.maximumFaults).map(String.init)
    }

    /// Writes all that is committed to another file, which is not there yet: a registry by itself, for its owner's eyes alone. The master
    /// writes to the registry meanwhile, and does not wait.
    /// - Returns: the bytes of the copy.
    func copy(to path: String) throws(ShuntError) -> Int {
        let target = try RegistryFile(path)
        try Self.create(target)
        do {
            let connection = try openForReading()
            defer { try? connection.close() }
            try connection.writeWithoutTransaction { db in try db.execute(sql: "VACUUM INTO ?", arguments: [target.path]) }
            try target.sync()
        } catch {
            unlink(target.path)
            throw SQLiteFailure.describe(error, path: target.path)
        }
        return target.size
    }

    private static func create(_ file: RegistryFile) throws(ShuntError) {
        let descriptor = open(file.path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else {
            let isThere = errno == EEXIST
            throw ShuntError(
                .ioFailed, isThere ? "the file is there already" : "the file cannot be made: \(String(cString: strerror(errno)))", at: file.path,
                help: isThere ? "give a name that is free: nothing is written over" : "check its folder, and that this user may write there")
        }
        Glibc.close(descriptor)
    }

    /// Waits until the file is on the disk.
    private func sync() throws(ShuntError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        defer { if descriptor >= 0 { Glibc.close(descriptor) } }
        guard descriptor >= 0, fsync(descriptor) == 0 else {
            throw ShuntError(.ioFailed, "the copy is not on the disk: \(String(cString: strerror(errno)))", at: path)
        }
    }
}

extension Registry {
    /// Copies the registry in the file at `path` to another file, whether a master has it open or not. Blocks.
    ///
    /// Throws `io.failed` where the other file is there, or cannot be written; `registry.unavailable` and `registry.invalid` as
    /// ``openReader(path:)`` does.
    /// - Returns: the bytes of the copy.
    public static func backUp(path: String, to copy: String) throws(ShuntError) -> Int { try RegistryFile(path).copy(to: copy) }
}
