import GRDB
import ShuntCore
import Testing

@testable import ShuntRegistry

@Suite("The registry's clients") struct ClientTests {
    private func client(
        _ name: String, session: String = "0-1-1", worker: String = "w:1", uid: String = "ada", protocolName: String = "mqtt 5.0",
        state: ClientRecord.State = .connected
    ) -> ClientRecord {
        ClientRecord(
            worker: worker, session: session, client: name, uid: uid, protocolName: protocolName, listener: "mqtt", address: "10.0.0.9:5",
            state: state,
            since: 12.25, subscriptions: 3)
    }

    private func with(_ body: (Registry) async throws -> Void) async throws {
        let folder = try TemporaryFolder()
        let registry = try Registry.open(path: folder("registry.sqlite"), writing: byHand, logger: quiet)
        try await body(registry)
        try await registry.close()
    }

    private func write(_ changes: [ClientChange], _ registry: Registry) async throws {
        registry.writer.submit(changes.map { .client($0) })
        try await registry.writer.flush()
    }

    private func names(_ registry: Registry, _ query: ClientQuery = .init()) async throws -> [String] {
        try await registry.reader.clients(query).clients.map { $0.worker + "/" + $0.session }
    }

    @Test("A client comes back as it was written, by all that it is asked by")
    func roundTrip() async throws {
        try await with { registry async throws in
            let odd = client("'; --\u{1}é", session: "0-2-1", uid: "", protocolName: "exchange")
            let away = client("b", session: "0-3-1", uid: "bob", protocolName: "mqtt 3.1.1", state: .away)
            let there = [odd, client("a"), client("a", worker: "w:2"), away]
            try await write(there.map { .client($0, list: 5) }, registry)
            for reader in [registry.reader, try Registry.openReader(path: registry.path)] {
                #expect(try await reader.clients(.init()).clients == there)
                #expect(try await reader.counts().clients == 4)
                #expect(try await reader.clients(.init(client: "a")).total == 2)
                #expect(try await reader.clients(.init(search: "B")).clients == [away])
                #expect(try await reader.clients(.init(search: "O", protocolName: "mqtt", limit: 1)).clients == [away])
                #expect(try await reader.clients(.init(search: "%")).total == 0)
                #expect(try await reader.clients(.init(search: "'; --", uid: "")).clients == [odd])
                #expect(try await reader.clients(.init(client: "a", worker: "w:2")).clients == [there[2]])
                #expect(try await reader.clients(.init(state: .away)).clients == [away])
                #expect(try await reader.clients(.init(uid: "bob")).clients == [away])
                #expect(try await reader.clients(.init(protocolName: "mqtt")).total == 3)
                #expect(try await reader.clients(.init(protocolName: "exchange")).clients == [odd])
                let page = try await reader.clients(.init(limit: 1, offset: 2))
                #expect(page.clients == [there[2]] && page.total == 4)
            }
        }
    }

    @Test("When a list has ended, what an earlier one had is gone, in the rows and in what waits; other workers keep theirs")
    func lists() async throws {
        try await with { registry async throws in
            try await write(
                [.client(client("a"), list: 5), .client(client("b", session: "0-2-1"), list: 5), .client(client("c", worker: "w:2"), list: 1)],
                registry)
            // Told while the master was there before, and not written yet.
            registry.writer.submit([.client(.client(client("late", session: "0-9-1"), list: 5))])
            try await write([.client(client("a"), list: 6), .listed(worker: "w:1", list: 6)], registry)
            #expect(try await names(registry) == ["w:1/0-1-1", "w:2/0-1-1"])
            try await write([.client(client("d", session: "0-4-1"), list: 6), .gone(worker: "w:1", session: "0-1-1")], registry)
            #expect(try await names(registry) == ["w:2/0-1-1", "w:1/0-4-1"])
        }
    }

    @Test("The clients of a lost worker are gone, and those that it tells when it is back stay")
    func lost() async throws {
        try await with { registry async throws in
            try await write([.client(client("a"), list: 5), .client(client("b", worker: "w:2"), list: 5)], registry)
            registry.writer.submit([.client(.client(client("c", session: "0-3-1"), list: 5)), .client(.workerLost(worker: "w:1"))])
            try await write([.client(client("d", session: "0-4-1"), list: 7)], registry)
            #expect(try await names(registry) == ["w:2/0-1-1", "w:1/0-4-1"])
        }
    }

    @Test("Workers are to wait when half of what may wait does")
    func room() async throws {
        let folder = try TemporaryFolder()
        var configuration = byHand
        configuration.maximumPendingClients = 4
        let registry = try Registry.open(path: folder("registry.sqlite"), writing: configuration, logger: quiet)
        #expect(registry.writer.hasRoomForClients)
        for number in 0..<6 { registry.writer.submit([.client(.client(client("c", session: "0-\(number)-1"), list: 5))]) }
        #expect(!registry.writer.hasRoomForClients)
        #expect(registry.writer.figures.pendingClients == 4 && registry.writer.figures.droppedClients == 2)
        try await registry.writer.flush()
        #expect(registry.writer.hasRoomForClients)
        #expect(try await registry.reader.clients(.init()).total == 4)
        try await registry.close()
    }
}
