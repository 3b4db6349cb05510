import Glibc
import ShuntCore

/// Reads a configuration file, and the files that it names.
package enum ConfigFile {
    /// The largest configuration, in bytes: far more than one needs, and too little to do harm.
    static let maximumSize = 1 << 20

    /// nil where the file is empty.
    static func read(_ path: String) throws(ShuntError) -> ConfigNode? {
        try YAMLDocument.parse(
            text(of: path, missing: "name a file that exists, or none to have the defaults"), from: .file(path))
    }

    /// - Parameter missing: what to do where there is no such file.
    /// - Throws: `config.missing`, `config.invalid`, `config.range`, with the path. Nothing of the text is in an error.
    package static func text(
        of path: String, maximum: Int = maximumSize, missing: String = "name a file that exists"
    ) throws(ShuntError) -> String {
        // Opened without waiting for a fifo's writer, then read as usual: `--config <(…)` works, and nothing hangs.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw unreadable(path, errno, missing) }
        defer { close(descriptor) }
        guard fcntl(descriptor, F_SETFL, 0) == 0 else { throw unreadable(path, errno, missing) }
        var bytes: [UInt8] = []
        while bytes.count <= maximum {
            let (chunk, failure) = chunk(of: descriptor)
            if let failure {
                if failure == EINTR { continue }
                throw unreadable(path, failure, missing)
            }
            guard chunk.isEmpty else {
                bytes += chunk
                continue
            }
            guard let text = String(validating: bytes, as: UTF8.self) else {
                throw ShuntError(.configInvalid, "not UTF-8", at: path, help: "write the file as UTF-8")
            }
            return text
        }
        throw ShuntError(.configRange, "the file is too large", at: path, help: "at most \(maximum >> 20)MiB")
    }

    private static func chunk(of descriptor: Int32) -> (bytes: [UInt8], failure: Int32?) {
        var count = 0
        var failure: Int32 = 0
        let bytes = [UInt8](unsafeUninitializedCapacity: 1 << 16) { buffer, filled in
            count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            failure = errno
            filled = max(0, count)
        }
        return (bytes, count < 0 ? failure : nil)
    }

    private static func unreadable(_ path: String, _ failure: Int32, _ missing: String) -> ShuntError {
        let isMissing = failure == ENOENT || failure == ENOTDIR
        return ShuntError(
            isMissing ? .configMissing : .configInvalid, "cannot read the file: \(String(cString: strerror(failure)))", at: path,
            help: isMissing ? missing : nil)
    }
}
