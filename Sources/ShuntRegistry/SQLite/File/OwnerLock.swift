import Glibc
import ShuntCore
import Synchronization

/// Marks a registry's file as one that a master writes: a lock on the file itself, whatever it is called and wherever it is
/// moved. It goes with the process, however that ends.
///
/// An open file description lock (fcntl(2)) on one byte, far from those that SQLite locks. Unlike SQLite's POSIX locks it stays
/// when other descriptors of the file are closed. The reverse does not hold: closing any descriptor of the file drops the POSIX
/// locks that this process has on it. So `giveUp` comes after SQLite has closed the file, a process opens no descriptor of a
/// registry that it writes itself, and descriptors opened to look stay open.
final class OwnerLock: Sendable {
    /// Beyond any size that SQLite supports (281 TB), and any byte that it locks (around 1 GiB).
    private static let place: off_t = 1 << 60
    /// Files that a process has looked at, and those that it owns.
    private static let known = Mutex(Known())

    private struct Known {
        var owned: Set<FileIdentity> = []
        var looked: [FileIdentity: Int32] = [:]
    }

    private static let mostLooked = 16

    let file: FileIdentity
    /// nil once it was given up.
    private let descriptor: Mutex<Int32?>

    /// Creates the file where it is missing: SQLite takes an empty one for a new database.
    /// - Parameter path: the registry's, with links followed.
    /// - Throws: `registry.unavailable` where a master has it, or no lock can be had.
    init(of path: String) throws(ShuntError) {
        if let file = FileIdentity(path), Self.known.withLock({ $0.owned.contains(file) }) {
            throw RegistryLock.taken(path)
        }
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw Self.failure(path, errno) }
        var lock = Self.lock(F_WRLCK)
        guard fcntl(descriptor, Self.setCommand, &lock) == 0 else {
            let error = errno
            close(descriptor)
            throw error == EAGAIN || error == EACCES ? RegistryLock.taken(path) : Self.failure(path, error)
        }
        guard let file = FileIdentity(descriptor), file == FileIdentity(path) else {
            close(descriptor)
            throw SQLiteFailure.gone(path)
        }
        self.file = file
        self.descriptor = Mutex(descriptor)
        Self.known.withLock { _ = $0.owned.insert(file) }
    }

    deinit { giveUp() }

    func giveUp() {
        descriptor.withLock { held in
            guard let descriptor = held else { return }
            close(descriptor)
            Self.known.withLock { _ = $0.owned.remove(file) }
            held = nil
        }
    }

    /// Whether a master has the file open, this process or another. False where that cannot be told.
    static func isHeld(_ path: String) -> Bool {
        guard let file = FileIdentity(path) else { return false }
        return known.withLock { known in
            if known.owned.contains(file) { return true }
            guard let descriptor = known.looked[file] ?? look(at: path, &known) else { return false }
            var lock = lock(F_RDLCK)
            return fcntl(descriptor, testCommand, &lock) == 0 && lock.l_type != Int16(F_UNLCK)
        }
    }

    private static func look(at path: String, _ known: inout Known) -> Int32? {
        guard known.looked.count < mostLooked else { return nil }
        // Opening other things may wait, or do something.
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        // It may be another by now.
        guard let file = FileIdentity(descriptor), known.looked[file] == nil, !known.owned.contains(file) else { return nil }
        known.looked[file] = descriptor
        return descriptor
    }

    // Of <fcntl.h>; not every C library's module shows them.
    private static let testCommand: Int32 = 36
    private static let setCommand: Int32 = 37

    private static func lock(_ type: Int32) -> flock {
        flock(l_type: Int16(type), l_whence: Int16(SEEK_SET), l_start: place, l_len: 1, l_pid: 0)
    }

    private static func failure(_ path: String, _ error: Int32) -> ShuntError {
        ShuntError(
            .registryUnavailable, "the registry cannot be locked: \(String(cString: strerror(error)))", at: path,
            help: "check that this user may write it, and that its file system has locks")
    }
}
