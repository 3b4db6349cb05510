import Glibc
import ShuntCore
import Synchronization

/// The files that a master opened: the registry's, and the log and index that SQLite keeps beside it. SQLite goes on with files
/// that were deleted, replaced or cut short, and nobody would ever see what it writes there.
final class RegistryPlaces: Sendable {
    private let path: String
    private let database: FileIdentity?
    /// SQLite keeps these beside the file itself, not beside a link to it. Both are there from the first writing to the end.
    private let beside: [(path: String, file: FileIdentity?)]
    /// SQLite cuts a log that has been written to the file to this size.
    static let logSizeLimit = 4 << 20

    /// How long each file of `beside`, and then the database, was when it was looked at last.
    private let sizes: Mutex<[Int]>

    /// To be made when the registry is open in WAL mode.
    init(_ path: String) {
        self.path = path
        database = FileIdentity(path)
        let resolved = RegistryFile(opened: path).resolvedPath
        beside = ["-wal", "-shm"].map { (resolved + $0, FileIdentity(resolved + $0)) }
        sizes = Mutex([0, 0, 0])
    }

    /// What is no longer where it was, or as long as it was; nil where all is well.
    var fault: ShuntError? {
        guard isDatabaseInPlace else { return SQLiteFailure.gone(path) }
        if let missing = beside.first(where: { $0.file != nil && FileIdentity($0.path) != $0.file }) {
            return SQLiteFailure.logGone(missing.path)
        }
        guard let cut = fileCutShort else { return nil }
        return cut == path ? SQLiteFailure.gone(path) : SQLiteFailure.logGone(cut)
    }

    /// The registry was written anew by its owner: it may be shorter than it was.
    func hasShrunk() { sizes.withLock { $0 = [0, 0, 0] } }

    var isDatabaseInPlace: Bool { database != nil && FileIdentity(path) == database }

    /// Whether nothing has taken the places of what is missing, and nothing else is amiss.
    var isNothingReplaced: Bool {
        isDatabaseInPlace && beside.allSatisfy { [nil, $0.file].contains(FileIdentity($0.path)) } && fileCutShort == nil
    }

    /// The first of the files that are there, and shorter than they were.
    private var fileCutShort: String? {
        sizes.withLock { sizes in
            for (index, file) in (beside.map(\.path) + [path]).enumerated() {
                guard let size = Self.size(of: file) else { continue }
                // SQLite itself cuts the log, to its limit.
                if size < min(sizes[index], Self.logSizeLimit) { return file }
                sizes[index] = size
            }
            return nil
        }
    }

    /// nil where there is none.
    private static func size(of path: String) -> Int? {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : nil
    }
}
