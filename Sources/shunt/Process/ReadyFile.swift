import Glibc
import ShuntCore

/// Tells the parent of the process that everything listens, and the addresses.
enum ReadyFile {
    /// Removes the file of an earlier process: a program that waits for the file must not find an old one.
    static func remove(_ path: String) {
        var status = stat()
        if lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG { unlink(path) }
    }

    /// Removes the file that this process wrote, and leaves the file of another process that has started meanwhile.
    static func removeOwn(_ path: String) {
        let file = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard file >= 0 else { return }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 128)
        let count = read(file, &bytes, bytes.count)
        // The number stands near the beginning, behind the name of the kind of process.
        if count > 0, String(decoding: bytes[..<count], as: UTF8.self).contains("\"pid\":\(getpid()),") { remove(path) }
    }

    /// Checks the path: the file may replace the plain file of an earlier process, and nothing else.
    /// - Throws: `usage` where the path is a device, a pipe, a symbolic link, a folder.
    static func check(_ path: String) throws(ShuntError) {
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT != S_IFREG else { return }
        throw ShuntError(.usage, "the ready file would replace what is no plain file", at: path, help: "name a file of its own")
    }

    /// Writes `{"process":…,"pid":…,"listeners":{…}}`; the file appears whole or not at all.
    static func write(to path: String, process: String, listeners: [(name: String, address: String)]) throws(ShuntError) {
        let entries = listeners.map { "\"\($0.name)\":\"\($0.address)\"" }.joined(separator: ",")
        let text = "{\"process\":\"\(process)\",\"pid\":\(getpid()),\"listeners\":{\(entries)}}\n"
        try check(path)
        let draft = "\(path).\(getpid())"
        // An earlier process with the same number may have left one.
        unlink(draft)
        let file = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
        guard file >= 0 else { throw failure(path) }
        let bytes = Array(text.utf8)
        // A reader would take an empty or half-written file for a whole one.
        let isWritten = Glibc.write(file, bytes, bytes.count) == bytes.count
        let error = isWritten ? 0 : errno
        let isClosed = close(file) == 0
        if !isWritten { errno = error == 0 ? ENOSPC : error }
        guard isWritten, isClosed, rename(draft, path) == 0 else {
            let failure = failure(path)
            unlink(draft)
            throw failure
        }
    }

    private static func failure(_ path: String) -> ShuntError {
        ShuntError(.ioFailed, "can't write the ready file: \(String(cString: strerror(errno)))", at: path)
    }
}
