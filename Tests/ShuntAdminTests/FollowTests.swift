import ArgumentParser
import FoundationEssentials
import Logging
import RawHTTP
import ShuntCore
import ShuntHTTP
import ShuntMaster
import ShuntRegistry
import Synchronization
import Testing

@testable import ShuntAdmin

@Suite struct FollowTests {
    @Test("Following shows each event once, waits for a master that goes away, and ends when it is stopped")
    func follow() async throws {
        let port = ownPort()
        let first = try await Master(port: port)
        let recorder = Recorder()
        let command = try #require(
            try AdminCommand.parseAsRoot(
                ["events", "--follow", "--limit", "1", "--interval", "0.01", "--output", "json"] + first.api) as? EventsCommand)
        let following = Task { try await command.run(on: recorder.console()) }
        func seen(_ text: String) async { while !recorder.output.contains(text) { await Task.yield() } }
        await seen("\"id\":3")
        first.registry.writer.submit([.event(EventRecord(at: 4, kind: .workerLost, subject: "w", detail: "gone"))])
        try await first.registry.writer.flush()
        await seen("\"id\":4")

        first.feed.stop()
        await first.endpoint.stop()
        while !recorder.errors.contains("waiting") { await Task.yield() }
        first.registry.writer.submit([.event(EventRecord(at: 5, kind: .workerReturned, subject: "w", detail: "back"))])
        try await first.registry.writer.flush()
        let writer = first.registry.writer
        let feed = first.registry.feed()
        let second = try await AdminServer.start(
            .init(host: "127.0.0.1", port: port), registry: first.registry.reader,
            status: { MasterStatus(version: "", startedAt: 0, uptimeSeconds: 1, writer: writer.figures) }, feed: feed, logger: quiet)
        await seen("\"id\":5")
        following.cancel()
        try await following.value
        let ids = recorder.output.split(separator: "\n").map { String($0) }
        #expect(ids.count == 3)
        #expect(ids.allSatisfy { $0.hasPrefix("{\"at\":") })
        #expect(recorder.errors.ranges(of: "waiting").count == 1)
        #expect(recorder.errors.ranges(of: "127.0.0.1:\(port) is reached again\n").count == 1)
        feed.stop()
        await second.stop()
        try await first.registry.close()
        try FileManager.default.removeItem(at: first.folder)
    }

    @Test(
        "Following tells of events that were kept no longer when it looked, and goes on with another registry", arguments: ["json", "csv", "table"])
    func followGaps(_ output: String) async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "shunt-follow-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        var writing = RegistryWriter.Configuration()
        writing.batchInterval = .seconds(3_600)
        writing.eventsKept = 5
        func registry(_ name: String) throws -> Registry {
            try Registry.open(path: folder.appending(path: name).path, writing: writing, logger: quiet)
        }
        func tell(_ registry: Registry, _ numbers: ClosedRange<Int>) async throws {
            registry.writer.submit(
                numbers.map { .event(EventRecord(at: Double($0), kind: .workerLost, subject: "w\($0):1", detail: "number \($0).")) })
            try await registry.writer.flush()
        }
        func serve(_ registry: Registry, port: Int) async throws -> (port: Int, stop: () async -> Void) {
            let (writer, feed) = (registry.writer, registry.feed())
            let endpoint = try await AdminServer.start(
                .init(host: "127.0.0.1", port: port), registry: registry.reader,
                status: { MasterStatus(version: "", startedAt: 0, uptimeSeconds: 1, writer: writer.figures) }, feed: feed, logger: quiet)
            return (
                endpoint.port,
                {
                    feed.stop()
                    await endpoint.stop()
                }
            )
        }
        let first = try registry("first.sqlite")
        try await tell(first, 1...3)
        let endpoint = try await serve(first, port: ownPort())
        let recorder = Recorder()
        let command = try #require(
            try AdminCommand.parseAsRoot(
                ["events", "--follow", "--interval", "0.01", "--output", output, "--master", "127.0.0.1:\(endpoint.port)"]) as? EventsCommand)
        let following = Task { try await command.run(on: recorder.console()) }
        func seen(_ text: String) async { while !recorder.output.contains(text) { await Task.yield() } }
        await seen("number 3.")
        await endpoint.stop()
        try await tell(first, 4...20)
        let again = try await serve(first, port: endpoint.port)
        await seen("number 20.")
        #expect(recorder.output.contains("events.gap"))
        #expect(recorder.output.contains("4-15"))
        #expect(!recorder.output.contains("number 15."))
        #expect(recorder.output.contains("number 16."))
        await again.stop()
        let second = try registry("second.sqlite")
        // As many as the other had: its ids alone would not tell.
        try await tell(second, 101...120)
        let third = try await serve(second, port: endpoint.port)
        await seen("number 120.")
        #expect(recorder.output.contains("events.reset"))
        following.cancel()
        try await following.value
        await third.stop()
        try await first.close()
        try await second.close()
    }
}
