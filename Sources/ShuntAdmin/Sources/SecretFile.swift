import Glibc
import ShuntAccess
import ShuntConfig
import ShuntCore

/// A file with secrets, as a whole: read, and replaced in one step, so that nobody reads half of it.
struct SecretFile {
    let path: String

    /// nil if there is no such file.
    func read() throws(ShuntError) -> String? {
        do throws(ShuntError) {
            return try ConfigFile.text(of: path, maximum: PasswordFile.maximumSize)
        } catch {
            guard error.code == .configMissing else { throw error }
            return nil
        }
    }

    /// Replaces the file by one with this text, made for its owner alone; one that was there keeps its owner and mode. A link stays a link.
    func replace(by text: String) throws(ShuntError) {
        let target = resolved
        var old = stat()
        let isThere = stat(target, &old) == 0
        var name = Array("\(target).XXXXXX".utf8CString)
        // The system makes it with mode 0600.
        let descriptor = mkstemp(&name)
        guard descriptor >= 0 else { throw Self.failure("cannot be written", path, errno) }
        do throws(ShuntError) {
            defer { close(descriptor) }
            if isThere { try keep(old, descriptor) }
            try write(text, descriptor)
            guard fsync(descriptor) == 0, rename(name, target) == 0 else { throw Self.failure("cannot be written", path, errno) }
        } catch {
            unlink(name)
            throw error
        }
    }

    private var resolved: String {
        guard let real = realpath(path, nil) else { return path }
        defer { free(real) }
        return String(cString: real)
    }

    private func keep(_ old: stat, _ descriptor: Int32) throws(ShuntError) {
        // The owner first: a change of owner may take bits of the mode away.
        let isOurs = old.st_uid == geteuid() && old.st_gid == getegid()
        guard isOurs || fchown(descriptor, old.st_uid, old.st_gid) == 0, fchmod(descriptor, old.st_mode & 0o777) == 0 else {
            throw Self.failure("cannot be given back to its owner", path, errno)
        }
    }

    private func write(_ text: String, _ descriptor: Int32) throws(ShuntError) {
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.failure("cannot be written", path, errno) }
            rest = rest.dropFirst(count)
        }
    }

    static func failure(_ what: String, _ path: String, _ code: Int32) -> ShuntError {
        ShuntError(.ioFailed, "\(what): \(String(cString: strerror(code)).lowercased())", at: path)
    }
}
