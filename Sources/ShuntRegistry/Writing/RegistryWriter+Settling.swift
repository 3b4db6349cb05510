public import ShuntCore
import Synchronization

extension RegistryWriter {
    /// Writes all that was submitted before, now, for a caller that cannot wait for long. What is not written in time is written later.
    /// - Returns: `registry.unavailable`, or why it cannot be written; nil once it is.
    public func settle(within limit: Duration) async -> ShuntError? {
        await withCheckedContinuation { continuation in
            let caller = FirstOutcome(continuation)
            let patience = Task {
                try? await Task.sleep(for: limit)
                caller.give(
                    ShuntError(
                        .registryUnavailable, "the registry was not written within \(limit.components.seconds) s: its disk is slow",
                        help: "shunt_master_registry_waiting_seconds tells how long it has waited"))
            }
            Task {
                do throws(ShuntError) {
                    try await flush()
                    caller.give(nil)
                } catch {
                    caller.give(error)
                }
                patience.cancel()
            }
        }
    }
}

/// A caller that gets the first of several outcomes.
private final class FirstOutcome: Sendable {
    private let caller: Mutex<CheckedContinuation<ShuntError?, Never>?>

    init(_ caller: CheckedContinuation<ShuntError?, Never>) { self.caller = Mutex(caller) }

    func give(_ outcome: ShuntError?) {
        let waiting = caller.withLock { caller in
            defer { caller = nil }
            return caller
        }
        waiting?.resume(returning: outcome)
    }
}
