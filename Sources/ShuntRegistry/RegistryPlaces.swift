import ShuntCore

/// The files that a master opened: the registry's, and the log and index that SQLite keeps beside it. SQLite goes on with files
/// that were deleted or replaced, and nobody would ever see what it writes there.
struct RegistryPlaces: Sendable {
    private let path: String
    private let database: FileIdentity?
    /// SQLite keeps these beside the file itself, not beside a link to it. Both are there from the first writing to the end.
    private let beside: [(path: String, file: FileIdentity?)]

    /// To be made when the registry is open in WAL mode.
    init(_ path: String) {
        self.path = path
        database = FileIdentity(path)
        let resolved = RegistryFile(opened: path).resolvedPath
        beside = ["-wal", "-shm"].map { (resolved + $0, FileIdentity(resolved + $0)) }
    }

    /// What is no longer where it was; nil where all is.
    var fault: ShuntError? {
        guard let database, FileIdentity(path) == database else { return RegistryFailure.gone(path) }
        guard let missing = beside.first(where: { $0.file != nil && FileIdentity($0.path) != $0.file }) else { return nil }
        return RegistryFailure.logGone(missing.path)
    }

    var isDatabaseInPlace: Bool { database != nil && FileIdentity(path) == database }

    /// Whether nothing has taken the places of what is missing.
    var isNothingReplaced: Bool {
        isDatabaseInPlace && beside.allSatisfy { [nil, $0.file].contains(FileIdentity($0.path)) }
    }
}
