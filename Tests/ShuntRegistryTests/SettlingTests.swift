import Dispatch
import ShuntCore
import Synchronization
import Testing

@testable import ShuntRegistry

@Suite("Waiting for the registry")
struct SettlingTests {
    /// Writes once it is let.
    private final class HeldStore: RegistryStore {
        let isLet = DispatchSemaphore(value: 0)
        private let written = Mutex(0)

        var count: Int { written.withLock { $0 } }
        var fault: ShuntError? { nil }

        func write(_ batch: RegistryBatch, keepingEvents: Int) throws(RegistryWriteFailure) {
            isLet.wait()
            written.withLock { $0 += 1 }
        }

        func vacuum() throws(ShuntError) -> RegistryVacuum { RegistryVacuum(path: "held", bytesBefore: 0, bytes: 0) }

        func close() async throws(ShuntError) {}
    }

    @Test("Who has waited reads what was submitted before, though the interval of batches is not over")
    func written() async throws {
        let folder = try TemporaryFolder()
        let registry = try Registry.open(path: folder("registry.sqlite"), writing: byHand, logger: quiet)
        registry.writer.submit([.worker(worker("a:1"))])
        #expect(await registry.writer.settle(within: .seconds(20)) == nil)
        #expect(try await registry.reader.workers().map(\.name) == ["a:1"])
        try await registry.close()
    }

    @Test("A slow disk is told, and writes later")
    func slow() async throws {
        let store = HeldStore()
        let writer = RegistryWriter(store: store, configuration: byHand, logger: quiet)
        writer.submit([.worker(worker("a:1"))])
        let late = await writer.settle(within: .milliseconds(50))
        #expect(late?.code == .registryUnavailable && late?.message.contains("slow") == true)
        store.isLet.signal()
        #expect(await writer.settle(within: .seconds(20)) == nil)
        #expect(store.count == 1)
    }

    @Test("A disk that cannot be written says why, at once")
    func full() async {
        let store = MemoryStore()
        store.fail([MemoryStore.full])
        let writer = RegistryWriter(store: store, configuration: byHand, logger: quiet)
        writer.submit([.worker(worker("a:1"))])
        #expect(await writer.settle(within: .seconds(20)) == MemoryStore.full.error)
    }
}
