import ShuntCore
import Testing

@testable import ShuntRegistry

@Suite("What the writer gives a store, whatever the store is") struct RegistryBatchTests {
    private let store = MemoryStore()

    private func writer(_ change: (inout RegistryWriter.Configuration) -> Void = { _ in }) -> RegistryWriter {
        var configuration = byHand
        change(&configuration)
        return RegistryWriter(store: store, configuration: configuration, logger: quiet)
    }

    private func flush(_ writer: RegistryWriter) async -> ErrorCode? {
        await failure { () throws(ShuntError) in try await writer.flush() }?.code
    }

    @Test("All that waits goes in one batch, of each worker, device and chat the newest; devices beyond a batch's size follow")
    func oneBatch() async {
        let writer = writer { $0.rowsPerTransaction = 3 }
        writer.submit([.worker(worker("a:1", heartbeatAt: 1)), .worker(worker("a:1", heartbeatAt: 2)), .event(event(1))])
        writer.submit((0..<4).map { .device(.device(device("u\($0)"))) } + [.chat(.chat(chat("c"))), .chat(.closed(chat: "c", at: 5))])
        #expect(await flush(writer) == nil)
        #expect(store.batches.map(\.changes.workers.values.first?.heartbeatAt) == [2, nil])
        #expect(store.batches.map(\.changes.events.count) == [1, 0])
        #expect(store.batches.map { $0.devices.rows.map(\.key.uid.text) } == [["u0", "u1", "u2"], ["u3"]])
        #expect(store.batches.map { $0.chats.rows.map(\.update) } == [[.closed], []])
        #expect(writer.figures.batches == 2)
    }

    @Test("What a store may write later waits, with what has come meanwhile, and is counted once")
    func retried() async {
        let writer = writer()
        store.fail([MemoryStore.full, MemoryStore.full])
        writer.submit([.event(event(1)), .worker(worker("a:1", heartbeatAt: 1)), .device(.device(device("u")))])
        #expect(await flush(writer) == .registryUnavailable)
        #expect(writer.problem?.code == .registryUnavailable)
        writer.submit([.event(event(2)), .worker(worker("a:1", heartbeatAt: 2))])
        #expect(await flush(writer) == .registryUnavailable)
        #expect(writer.figures.pendingEvents == 2)
        #expect(writer.figures.pendingDevices == 1)
        #expect(await flush(writer) == nil)
        #expect(store.batches.map { $0.changes.events.map(\.detail) } == [["event 1", "event 2"]])
        #expect(store.batches.first?.changes.workers["a:1"]?.heartbeatAt == 2)
        #expect(store.batches.first?.devices.count == 1)
        #expect(writer.problem == nil)
        #expect(writer.figures == RegistryWriter.Figures(batches: 1, failures: 2))
    }

    @Test("Tries go on by themselves until one succeeds")
    func byItself() async {
        let writer = writer { ($0.batchInterval, $0.maximumRetryDelay) = (.milliseconds(1), .milliseconds(2)) }
        store.fail(Array(repeating: MemoryStore.full, count: 5))
        writer.submit([.event(event(1))])
        while writer.figures.batches == 0 { await Task.yield() }
        #expect(writer.figures.failures == 5)
        #expect(store.batches.map(\.changes.events.count) == [1])
    }

    @Test("What a store can never write is dropped and counted, and what comes next is written")
    func dropped() async {
        let writer = writer()
        store.fail([MemoryStore.refused])
        writer.submit([
            .event(event(1)), .worker(worker("a:1")), .device(.device(device("u"))), .device(.device(device("v"))), .chat(.chat(chat("c"))),
        ])
        #expect(await flush(writer) == .registryInvalid)
        #expect(
            writer.figures
                == RegistryWriter.Figures(failures: 1, droppedEvents: 1, droppedWorkers: 1, droppedDevices: 2, droppedChats: 1))
        writer.submit([.event(event(2))])
        #expect(await flush(writer) == nil)
        #expect(store.batches.map { $0.changes.events.map(\.detail) } == [["event 2"]])
        #expect(store.batches.first?.devices.count == 0)
    }

    @Test("A store that says that something is amiss is the registry's problem before anything is written")
    func fault() {
        let writer = writer()
        store.fault = ShuntError(.registryUnavailable, "gone")
        #expect(writer.problem == store.fault)
        store.fault = nil
        #expect(writer.problem == nil)
    }
}
