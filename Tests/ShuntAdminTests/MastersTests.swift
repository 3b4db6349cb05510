import FoundationEssentials
import ShuntCore
import ShuntHTTP
import ShuntJSON
import ShuntMaster
import ShuntRegistry
import Synchronization
import Testing

@testable import ShuntAdmin

@Suite("Several masters, of which one serves")
struct MastersTests {
    /// A master's admin API, which counts the commands that it is given.
    private final class Peer: Sendable {
        let endpoint: HTTPEndpoint
        let registry: Registry
        let folder: URL
        let feed: EventFeed

        var name: String { "127.0.0.1:\(endpoint.port)" }

        /// - Parameter serving: who serves, if it is not this one.
        init(port: Int = 0, serving: String? = nil) async throws {
            folder = FileManager.default.temporaryDirectory.appending(path: "shunt-masters-\(UUID().uuidString)")
            var writing = RegistryWriter.Configuration()
            writing.batchInterval = .seconds(3_600)
            registry = try Registry.open(path: folder.appending(path: "registry.sqlite").path, writing: writing, logger: quiet)
            let (writer, feed) = (registry.writer, EventFeed(registry.reader, limit: 8))
            self.feed = feed
            writer.whenEventsAreWritten { feed.eventsWritten() }
            let counted = Counted()
            endpoint = try await AdminServer.start(
                .init(host: "127.0.0.1", port: port), registry: registry.reader,
                status: {
                    var status = MasterStatus(version: "", startedAt: 0, uptimeSeconds: 1, writer: writer.figures)
                    status.role = MasterRoleRecord(
                        role: serving == nil ? "serving" : "standby", address: "10.9.9.9:4088", term: 1, since: 0, serving: serving, heard: 1)
                    return status
                },
                command: { command in
                    counted.number.withLock { $0 += 1 }
                    if let serving { return .failure(ShuntError(.masterStandby, "this master is standby; \(serving) serves", help: "ask that one")) }
                    let question = try? RecordJSON.decode(ClientQuestion.self, from: command.arguments)
                    let kicked = KickedRecord(closed: question?.client == "c" ? 1 : 0)
                    return .success(
                        WorkerAnswers(answers: [.init(worker: "w:1", result: .success((try? RecordJSON.encode(kicked)) ?? []))], missing: []))
                }, feed: feed, logger: quiet)
            self.counted = counted
        }

        private final class Counted: Sendable { let number = Mutex(0) }
        private let counted: Counted
        var commands: Int { counted.number.withLock { $0 } }

        func tell(_ kind: EventRecord.Kind, _ detail: String, at time: Double) async throws {
            registry.writer.submit([.event(EventRecord(at: time, kind: kind, subject: "w:1", detail: detail))])
            try await registry.writer.flush()
        }

        func close() async throws {
            feed.stop()
            await endpoint.stop()
            try await registry.close()
            try FileManager.default.removeItem(at: folder)
        }
    }

    @Test("A command to a standby goes on to the master that serves, once, and says so")
    func hop() async throws {
        let serving = try await Peer()
        let standby = try await Peer(serving: "127.0.0.1:4088")
        let master = ["--master", "\(standby.name),\(serving.name)"]
        #expect(
            try await run(["kick", "c"] + master)
                == Outcome(output: "closed 1 client at w:1\n", errors: "\(standby.name) stands by: \(serving.name) is asked instead\n", exitCode: 0))
        // It says what it is before anything is asked of it.
        #expect(standby.commands == 0 && serving.commands == 1)
        // What the other one says counts.
        let unknown = try await run(["kick", "x"] + master)
        #expect(unknown.exitCode == 65 && unknown.errors.contains("client.unknown"))
        // Named alone, on the same machine, it is the standby's word that counts.
        let alone = try await run(["kick", "c", "--master", standby.name])
        #expect(alone.exitCode == 69 && alone.errors.contains("master.standby") && serving.commands == 2)
        try await serving.close()
        try await standby.close()
    }

    @Test("Standbys alone are asked once each")
    func bounded() async throws {
        let peers = [try await Peer(serving: "a:1"), try await Peer(serving: "b:1"), try await Peer(serving: "c:1")]
        let refused = try await run(["kick", "c", "--master", peers.map(\.name).joined(separator: ",")])
        #expect(refused.exitCode == 69 && refused.errors.contains("master.standby") && peers.map(\.commands) == [1, 1, 1])
        for peer in peers { try await peer.close() }
    }

    @Test("A master that cannot be reached is passed over, by the environment's list too")
    func unreachable() async throws {
        let serving = try await Peer()
        let gone = "127.0.0.1:\(ownPort())"
        let expected = Outcome(
            output: "closed 1 client at w:1\n", errors: "\(gone) cannot be asked: \(serving.name) is asked instead\n", exitCode: 0)
        #expect(try await run(["kick", "c", "--master", "\(gone), \(serving.name)"]) == expected)
        #expect(try await run(["kick", "c"], environment: ["SHUNT_ADMIN": "\(gone),\(serving.name)"]) == expected)
        #expect(try await run(["kick", "c", "--master", gone]).exitCode == 69)
        try await serving.close()
    }

    @Test("Lists of masters are read whole", arguments: ["", ",", "a,", "a b:x", String(repeating: "a,", count: 16) + "a"])
    func wrong(_ list: String) {
        #expect(throws: (any Error).self) { try AdminCommand.parseAsRoot(["status", "--master", list]) }
    }

    @Test("Who follows events goes along when another master takes over, with what that one tells since", arguments: [nil, "worker.lost"])
    func takeOver(kind: String?) async throws {
        let ports = [ownPort(), ownPort()]
        let first = try await Peer(port: ports[0])
        let recorder = Recorder()
        let command = try #require(
            try AdminCommand.parseAsRoot(
                ["events", "--follow", "--interval", "0.01", "--output", "json", "--master", "127.0.0.1:\(ports[0]),127.0.0.1:\(ports[1])"]
                    + (kind.map { ["--kind", $0] } ?? [])) as? EventsCommand)
        let following = Task { try await command.run(on: recorder.console()) }
        func seen(_ text: String) async { while !(recorder.output + recorder.errors).contains(text) { await Task.yield() } }
        try await first.tell(.workerLost, "number one", at: 2_000)
        await seen("number one")
        // The other one takes over; the first makes way.
        let second = try await Peer(port: ports[1])
        try await second.tell(.workerLost, "long ago", at: 10)
        try await second.tell(.workerLost, "since then", at: 2_003)
        try await first.tell(.masterStandby, "makes way", at: 2_002)
        if kind == nil { await seen("makes way") }
        try await first.close()
        await seen("since then")
        try await second.tell(.workerLost, "number two", at: 2_004)
        await seen("number two")
        #expect(recorder.output.contains("events.reset") && !recorder.output.contains("long ago"))
        #expect(recorder.output.contains("makes way") == (kind == nil))
        #expect(recorder.errors.contains("127.0.0.1:\(ports[1]) is asked instead\n"))
        following.cancel()
        try await following.value
        try await second.close()
    }
}
