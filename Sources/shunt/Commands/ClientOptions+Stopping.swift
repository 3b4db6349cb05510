import Glibc
import ShuntCore

extension ClientOptions {
    /// Runs a client's work in a task that SIGINT and SIGTERM cancel.
    /// - Returns: why it failed, with advice; nil if it ended well.
    func untilStopped(_ work: @escaping @Sendable () async throws(ShuntError) -> Void) async -> ShuntError? {
        // Who reads the output may go: that is seen when writing, not by a signal.
        signal(SIGPIPE, SIG_IGN)
        let working = Task { () -> ShuntError? in
            do throws(ShuntError) {
                try await work()
                return nil
            } catch {
                return error
            }
        }
        let ending = Task { for await _ in Signals.stream() { working.cancel() } }
        defer { ending.cancel() }
        return await working.value.map { advice($0) }
    }
}
