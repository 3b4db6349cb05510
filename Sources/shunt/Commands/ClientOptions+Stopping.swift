import Glibc
import ShuntCore
import Synchronization

/// The end of a client's work.
struct Ending<Value: Sendable>: Sendable {
    /// The error has advice.
    var result: Result<Value, ShuntError>
    /// The signal that ended it, if one did.
    var signal: Int32?
}

extension ClientOptions {
    /// How long a command may take to end after a signal: its output may be stalled.
    private static var patience: Duration { .milliseconds(1200) }

    /// Runs a client's work in a task that SIGINT and SIGTERM cancel. If the work does not end in time, or at a second signal, the process
    /// exits with 128 and the signal's number.
    func untilStopped<Value: Sendable>(
        _ work: @escaping @Sendable () async throws(ShuntError) -> Value
    ) async -> Ending<Value> {
        // The reader of the output may go: a failed write tells that, not a signal.
        signal(SIGPIPE, SIG_IGN)
        let events = Signals.stream()
        let first = Mutex<Int32?>(nil)
        let working = Task { () -> Result<Value, ShuntError> in
            do throws(ShuntError) { return .success(try await work()) } catch { return .failure(error) }
        }
        let ending = Task {
            for await event in events {
                guard case .stop(let number) = event else { continue }
                if working.isCancelled { _exit(128 + number) }
                first.withLock { $0 = number }
                working.cancel()
                Task {
                    try? await Task.sleep(for: Self.patience)
                    _exit(128 + number)
                }
            }
        }
        defer { ending.cancel() }
        let result = await working.value.mapError { advice($0) }
        return Ending(result: result, signal: first.withLock { $0 })
    }

    /// The same for work whose end by a signal is a success.
    func run(_ work: @escaping @Sendable () async throws(ShuntError) -> Void) async throws {
        if case .failure(let error) = await untilStopped(work).result { throw fail([error]) }
    }
}
