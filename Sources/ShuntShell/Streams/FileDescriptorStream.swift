import Dispatch
import Glibc
import ShuntCore
import Synchronization

/// Reads and writes a file descriptor without holding up the tasks of the process: the calls that may block run on
/// a queue of their own, one after the other.
public struct FileDescriptorStream: Sendable {
    public let descriptor: Int32
    private let name: String
    private let queue: DispatchQueue

    public init(descriptor: Int32, name: String) {
        self.descriptor = descriptor
        self.name = name
        queue = DispatchQueue(label: name)
    }

    public static let standardInput = FileDescriptorStream(descriptor: STDIN_FILENO, name: "standard input")
    public static let standardOutput = FileDescriptorStream(descriptor: STDOUT_FILENO, name: "standard output")

    public var isTerminal: Bool { isatty(descriptor) == 1 }

    /// Reads the bytes that are there, at most 64 KiB; waits for some.
    /// - Returns: nil at the end, and when the task is cancelled: bytes that the call still reads then are lost.
    public func read() async throws(ShuntError) -> [UInt8]? {
        let (bytes, code): ([UInt8], Int32) = await blocking(orElse: ([], 0)) { descriptor in
            var code: Int32 = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: 65536) { buffer, count in
                let result = retrying { Glibc.read(descriptor, buffer.baseAddress, buffer.count) }
                count = max(0, result)
                if result < 0 { code = errno }
            }
            return (bytes, code)
        }
        guard code == 0 else { throw failure("can not be read", code) }
        return bytes.isEmpty ? nil : bytes
    }

    /// Reads everything to the end.
    /// - Throws: `frame.too_large` beyond the limit.
    public func readAll(limit: Int) async throws(ShuntError) -> [UInt8] {
        var all: [UInt8] = []
        while let chunk = try await read() {
            all += chunk
            guard all.count <= limit else {
                throw ShuntError(.frameTooLarge, "this is more than a message may be", at: name, help: "at most \(limit) bytes")
            }
        }
        return all
    }

    /// Writes all the bytes.
    /// - Returns: false if the reader is gone (EPIPE).
    public func write(_ bytes: [UInt8]) async throws(ShuntError) -> Bool {
        let code: Int32 = await blocking { descriptor in
            var rest = bytes[...]
            while !rest.isEmpty {
                let written = rest.withUnsafeBytes { part in retrying { Glibc.write(descriptor, part.baseAddress, part.count) } }
                guard written >= 0 else { return errno }
                rest = rest.dropFirst(written)
            }
            return 0
        }
        if code == EPIPE { return false }
        guard code == 0 else { throw failure("can not be written", code) }
        return true
    }

    private func blocking<Value: Sendable>(_ body: @escaping @Sendable (Int32) -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: body(descriptor)) }
        }
    }

    /// The same, except that a cancelled task waits no longer and gets `value`.
    private func blocking<Value: Sendable>(
        orElse value: Value, _ body: @escaping @Sendable (Int32) -> Value
    ) async -> Value {
        let answer = FirstAnswer<Value>()
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                answer.wait(continuation)
                queue.async { answer.give(body(descriptor)) }
            }
        } onCancel: {
            answer.give(value)
        }
    }

    private func failure(_ what: String, _ code: Int32) -> ShuntError {
        ShuntError(.ioFailed, "\(name) \(what): \(String(cString: strerror(code)).lowercased())")
    }

    /// Resumes the waiting task with the first answer; later answers are dropped.
    private final class FirstAnswer<Value: Sendable>: Sendable {
        private enum State {
            case open
            case awaited(CheckedContinuation<Value, Never>)
            case early(Value)
            case done
        }

        private let state = Mutex(State.open)

        func wait(_ continuation: CheckedContinuation<Value, Never>) {
            let early = state.withLock { state -> Value? in
                guard case .early(let value) = state else {
                    state = .awaited(continuation)
                    return nil
                }
                state = .done
                return value
            }
            if let early { continuation.resume(returning: early) }
        }

        func give(_ value: Value) {
            let waiter = state.withLock { state -> CheckedContinuation<Value, Never>? in
                switch state {
                case .open: state = .early(value)
                case .awaited(let continuation):
                    state = .done
                    return continuation
                case .early, .done: break
                }
                return nil
            }
            waiter?.resume(returning: value)
        }
    }
}

private func retrying(_ call: () -> Int) -> Int {
    while true {
        let result = call()
        if result >= 0 || errno != EINTR { return result }
    }
}
