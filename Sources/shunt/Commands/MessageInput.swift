import Glibc
import ShuntCore
import ShuntShell

/// The input of a message that is not given as an argument.
enum MessageInput {
    /// - Throws: `io.failed` where the file cannot be read, `usage` where it is empty, `frame.too_large`.
    static func read(file path: String, limit: Int) async throws(ShuntError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw ShuntError(.ioFailed, "the file cannot be read: \(String(cString: strerror(errno)).lowercased())", at: path)
        }
        defer { close(descriptor) }
        return try await whole(FileDescriptorStream(descriptor: descriptor, name: path), path, limit)
    }

    static func readStandardInput(limit: Int) async throws(ShuntError) -> [UInt8] {
        try await whole(.standardInput, "standard input", limit)
    }

    private static func whole(_ stream: FileDescriptorStream, _ name: String, _ limit: Int) async throws(ShuntError) -> [UInt8] {
        let bytes = try await stream.readAll(limit: limit)
        guard bytes.isEmpty else { return bytes }
        throw ShuntError(.usage, "there is no message", at: name, help: "the protocol carries at least one byte")
    }
}
