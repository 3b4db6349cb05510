import ShuntCore
import Synchronization

@testable import ShuntRegistry

/// Keeps batches as they come, and fails as often as it is told to.
final class MemoryStore: RegistryStore {
    private struct State {
        var batches: [RegistryBatch] = []
        var failures: [RegistryWriteFailure] = []
        var fault: ShuntError?
        var isClosed = false
    }

    private let state = Mutex(State())

    static let full = RegistryWriteFailure(error: ShuntError(.registryUnavailable, "no space"), mayPass: true)
    static let refused = RegistryWriteFailure(error: ShuntError(.registryInvalid, "too long"), mayPass: false)

    var batches: [RegistryBatch] { state.withLock { $0.batches } }
    var isClosed: Bool { state.withLock { $0.isClosed } }

    var fault: ShuntError? {
        get { state.withLock { $0.fault } }
        set { state.withLock { $0.fault = newValue } }
    }

    /// The next writings fail, one with each of these.
    func fail(_ failures: [RegistryWriteFailure]) { state.withLock { $0.failures += failures } }

    func write(_ batch: RegistryBatch, keepingEvents: Int) throws(RegistryWriteFailure) {
        let failure: RegistryWriteFailure? = state.withLock { state in
            guard state.failures.isEmpty else { return state.failures.removeFirst() }
            state.batches.append(batch)
            return nil
        }
        if let failure { throw failure }
    }

    func vacuum() throws(ShuntError) -> RegistryVacuum { RegistryVacuum(path: "memory", bytesBefore: 0, bytes: 0) }

    func close() async throws(ShuntError) { state.withLock { $0.isClosed = true } }
}
