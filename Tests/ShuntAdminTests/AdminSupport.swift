import ArgumentParser
import FoundationEssentials
import Glibc
import Logging
import ShuntCore
import ShuntHTTP
import ShuntJSON
import ShuntMaster
import ShuntRegistry
import Synchronization
import Testing

@testable import ShuntAdmin

let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// What a command has written.
final class Recorder: Sendable {
    private let written = Mutex((output: "", errors: ""))

    var output: String { written.withLock { $0.output } }
    var errors: String { written.withLock { $0.errors } }

    func console(width: Int? = nil, environment: [String: String] = [:], now: Double = 1_000) -> Console {
        Console(
            width: width, colors: false, environment: environment, now: { now },
            write: { text in self.written.withLock { $0.output += text } },
            writeError: { text in self.written.withLock { $0.errors += text } })
    }
}

struct Outcome: Equatable {
    var output: String
    var errors: String
    var exitCode: Int32
}

func run(
    _ arguments: [String], width: Int? = nil, environment: [String: String] = [:], now: Double = 1_000
) async throws -> Outcome {
    let recorder = Recorder()
    let command = try #require(try AdminCommand.parseAsRoot(arguments) as? any ConsoleCommand)
    var exitCode: Int32 = 0
    do {
        try await command.run(on: recorder.console(width: width, environment: environment, now: now))
    } catch {
        exitCode = error.rawValue
    }
    return Outcome(output: recorder.output, errors: recorder.errors, exitCode: exitCode)
}

/// A port that stays the test's own while its server is stopped: the system gives none below 32768 to those who ask for any.
func ownPort() -> Int {
    while true {
        let port = Int.random(in: 10_000..<30_000)
        let probe = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(probe) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let outcome = withUnsafePointer(to: &address) { $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(probe, $0, size) } }
        if outcome == 0 { return port }
    }
}

/// A registry, and a master's admin API over it.
final class Master: Sendable {
    let folder: URL
    let registry: Registry
    let endpoint: HTTPEndpoint
    let feed: EventFeed

    /// - Parameters:
    ///   - port: 0: any.
    ///   - role: nil: of a master without peers.
    init(port: Int = 0, role: MasterRoleRecord? = nil) async throws {
        folder = FileManager.default.temporaryDirectory.appending(path: "shunt-admin-\(UUID().uuidString)")
        var writing = RegistryWriter.Configuration()
        writing.batchInterval = .seconds(3_600)
        registry = try Registry.open(path: folder.appending(path: "registry.sqlite").path, writing: writing, logger: quiet)
        for (number, state) in [(1, WorkerRecord.State.live), (2, .draining), (3, .lost)] {
            registry.writer.submit([
                .worker(
                    WorkerRecord(
                        name: "10.0.0.\(number):4091", host: "10.0.0.\(number)", port: 4091, state: state, machine: "m-\(number)",
                        version: "shunt 0.1.0", listeners: ["mqtt": "10.0.0.\(number):1883"], startedAt: 400,
                        heartbeatAt: 1_000 - Double(number), configuredName: "edge-\(number)",
                        figures: WorkerFigures(connections: number))),
                .event(
                    EventRecord(
                        at: Double(number), kind: .workerJoined, subject: "10.0.0.\(number):4091", detail: "first, \"heartbeat\"")
                ),
            ])
        }
        registry.writer.submit([
            .device(.device(Self.device("alice & co", "phone", tags: ["vip", "eu"]))),
            .device(.device(Self.device("bob", "laptop", tags: []))), .device(.left(uid: "bob", device: "laptop", at: 940)),
            .device(.device(Self.device("bob", "phone", tags: ["vip"]))),
            .chat(.chat(ChatRecord(chat: "room 1/x", worker: "10.0.0.1:4091", createdAt: 880, members: 2, updatedAt: 990))),
            .chat(.chat(ChatRecord(chat: "room2", worker: "10.0.0.2:4091", createdAt: 700, members: 3, updatedAt: 995))),
        ])
        registry.writer.submit([
            .client(
                .client(
                    ClientRecord(
                        worker: "10.0.0.1:4091", session: "0-1-1", client: "meter-7", uid: "ann", protocolName: "mqtt 5.0", listener: "mqtt",
                        address: "10.9.0.1:50000", since: 940, subscriptions: 2), list: 1)),
            .client(
                .client(
                    ClientRecord(
                        worker: "10.0.0.2:4091", session: "1-8388608-4", client: "=x,y", protocolName: "mqtt 3.1.1", state: .away, since: 400),
                    list: 1)),
        ])
        try await registry.writer.flush()
        let writer = registry.writer
        feed = registry.feed()
        endpoint = try await AdminServer.start(
            .init(host: "127.0.0.1", port: port), registry: registry.reader,
            status: { MasterStatus(version: "shunt 0.1.0", startedAt: 0, uptimeSeconds: 1, writer: writer.figures, role: role) },
            closeChat: { $0.hasPrefix("room") ? nil : ShuntError.unknownChat($0) }, retained: Self.retained, refused: Self.refused,
            command: Self.clients, feed: feed, logger: quiet)
    }

    /// Two messages; a list has the first ones. `gone` is a filter that a worker does not hear of.
    private static let retained: AdminServer.AskRetained = { request in
        switch request {
        case .list(let filter, let after, let limit):
            var page = RetainedPage(limit: limit, bytes: 1 << 20)
            let all = [
                RetainedRecord(topic: "a'b/=1", worker: "10.0.0.1:4091", bytes: 5, qos: 1, storedAt: 940, expiresAt: 1_060),
                RetainedRecord(topic: "c", worker: "10.0.0.2:4091", bytes: 7, qos: 0, storedAt: 400),
            ]
            page.add(after == nil ? all : Array(all.dropFirst()), total: 2, hasMore: false)
            return .success(.list(RetainedList(page, limit: limit, missing: filter == "gone" ? ["10.0.0.3:4091"] : [])))
        case .clear(let filter):
            return .success(.cleared(ClearedRetained(cleared: 2, missing: filter == "gone" ? ["10.0.0.3:4091"] : [])))
        }
    }

    /// One client that a worker has refused, of those that match.
    private static let refused: AdminServer.AskRefused = { query in
        var list = RefusedList(limit: query.limit)
        list.add(
            [
                RefusedRecord(
                    address: "10.9.0.1", user: query.user ?? "ann", reason: "password", listener: "mqtt", count: 3, firstAt: 400, lastAt: 940)
            ],
            total: 2, of: "10.0.0.1:4091")
        if query.addresses != nil { list.missing = ["10.0.0.3:4091"] }
        return .success(list)
    }

    /// One worker has the clients `meter-7` and `meter-8`; another, which may have the second as well, does not answer.
    private static let clients: AdminServer.CommandWorkers = { command in
        let question = try? RecordJSON.decode(ClientQuestion.self, from: command.arguments)
        let isThere = ["meter-7", "meter-8"].contains(question?.client)
        var one = ClientDetail(
            session: "0-1-1", client: "meter-7", uid: "ann", protocolName: "mqtt 5.0", state: .connected, since: 940, subscriptionCount: 2)
        (one.address, one.listener, one.inflight, one.receiveMaximum, one.queued, one.queuedBytes) = ("10.9.0.1:50000", "mqtt", 1, 20, 3, 99)
        one.subscriptions = [.init(filter: "a/#", group: "g", key: nil, qos: 1)]
        let json =
            switch command.name {
            case .kick: try? RecordJSON.encode(KickedRecord(closed: isThere ? 1 : 0, ended: question?.endsSession == true ? 1 : 0))
            case .subscriptions:
                try? RecordJSON.encode(SubscriptionsRecord(filters: [.init(filter: "a,b/#", subscriptions: 3)], total: 2, subscriptions: 4))
            case .topics:
                try? RecordJSON.encode(
                    TopicsRecord(
                        topics: [
                            .init(
                                topic: "a,b",
                                TopicLoad(
                                    total: TrafficCount(messages: 30, bytes: 4_096, recipients: 60),
                                    recent: TrafficCount(messages: 25, bytes: 2_560, recipients: 1), seconds: 20)),
                            .init(topic: "=c", TopicLoad(total: TrafficCount(messages: 40, bytes: 80))),
                        ], counted: 7, messages: 90, bytes: 9_000, recipients: 60))
            case .groups:
                try? RecordJSON.encode(
                    GroupsRecord(groups: [.init(group: "g", strategy: "sticky", subscriptions: 3)], total: 1, subscriptions: 3))
            default: try? RecordJSON.encode(ClientDetailsRecord(clients: isThere ? [one] : [], total: isThere ? 1 : 0))
            }
        return .success(
            WorkerAnswers(
                answers: [.init(worker: "10.0.0.1:4091", result: .success(json ?? []))],
                missing: question?.client == "meter-8" ? ["10.0.0.3:4091"] : []))
    }

    private static func device(_ uid: String, _ device: String, tags: [String]) -> DeviceRecord {
        DeviceRecord(
            uid: uid, device: device, tags: tags, alias: [], worker: "10.0.0.1:4091", address: "10.9.0.1:50000", connectedAt: 400,
            lastSeenAt: 400)
    }

    var api: [String] { ["--master", "127.0.0.1:\(endpoint.port)"] }
    var file: [String] { ["--registry", registry.path] }

    func close() async throws {
        feed.stop()
        await endpoint.stop()
        try await registry.close()
        try FileManager.default.removeItem(at: folder)
    }
}

extension Registry {
    /// Tells followers of what is written.
    func feed() -> EventFeed {
        let feed = EventFeed(reader, limit: 8)
        writer.whenEventsAreWritten { feed.eventsWritten() }
        return feed
    }
}

func withMaster(role: MasterRoleRecord? = nil, _ body: (Master) async throws -> Void) async throws {
    let master = try await Master(role: role)
    do {
        try await body(master)
    } catch {
        try await master.close()
        throw error
    }
    try await master.close()
}
