import Glibc
import ShuntCore
import Synchronization

/// Keeps a second master from writing to a registry: a lock on a file beside it, which holds the process's number and is there
/// while the registry is open. Readers take no notice of it. The lock goes with the process, however that ends.
final class RegistryLock: Sendable {
    private let path: String
    /// nil once it was given up.
    private let descriptor: Mutex<Int32?>

    /// - Parameter path: the registry's, with links followed.
    /// - Throws: `registry.unavailable` where another master has it, or no lock can be had.
    init(besides path: String) throws(ShuntError) {
        self.path = path + ".lock"
        // The process that gives up the lock removes the file: one that was locked just after that is nobody's.
        while true {
            let descriptor = open(self.path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
            guard descriptor >= 0 else { throw Self.failure(path, errno) }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                let (error, holder) = (errno, Self.number(in: descriptor))
                close(descriptor)
                throw error == EWOULDBLOCK ? Self.taken(path, holder) : Self.failure(path, error)
            }
            if Self.isFile(descriptor, at: self.path) {
                let number = Array("\(getpid())\n".utf8)
                ftruncate(descriptor, 0)
                _ = pwrite(descriptor, number, number.count, 0)
                self.descriptor = Mutex(descriptor)
                return
            }
            close(descriptor)
        }
    }

    deinit { giveUp() }

    func giveUp() {
        descriptor.withLock { held in
            guard let descriptor = held else { return }
            if Self.isFile(descriptor, at: path) { unlink(path) }
            close(descriptor)
            held = nil
        }
    }

    private static func isFile(_ descriptor: Int32, at path: String) -> Bool {
        FileIdentity(descriptor) != nil && FileIdentity(descriptor) == FileIdentity(path)
    }

    private static func number(in descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 20)
        let count = max(0, pread(descriptor, &bytes, bytes.count, 0))
        return String(decoding: bytes.prefix(count).prefix { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }, as: UTF8.self)
    }

    /// - Parameter path: the registry's.
    static func taken(_ path: String) -> ShuntError {
        let descriptor = open(path + ".lock", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return taken(path, "") }
        defer { close(descriptor) }
        return taken(path, number(in: descriptor))
    }

    private static func taken(_ path: String, _ holder: String) -> ShuntError {
        ShuntError(
            .registryUnavailable, "the registry is in use by another master" + (holder.isEmpty ? "" : " (pid \(holder))"), at: path,
            help: "stop that one, or give this one a registry of its own (master.registry.path)")
    }

    private static func failure(_ path: String, _ error: Int32) -> ShuntError {
        ShuntError(
            .registryUnavailable, "the registry cannot be locked: \(String(cString: strerror(error)))", at: path + ".lock",
            help: "check that this user may write in the registry's folder")
    }
}

/// Which file it is, whatever it is called.
struct FileIdentity: Hashable, Sendable {
    private let device: dev_t
    private let inode: ino_t

    /// nil where there is none.
    init?(_ path: String) {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        (device, inode) = (status.st_dev, status.st_ino)
    }

    init?(_ descriptor: Int32) {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return nil }
        (device, inode) = (status.st_dev, status.st_ino)
    }
}
