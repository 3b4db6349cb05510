import ExchangeCodec
import Glibc
import ShuntCore
import Synchronization

/// What a worker says of itself in its heartbeats.
struct WorkerIdentity: Sendable {
    /// The host that clients are told; empty: the address that the master sees.
    var host: String
    /// The port of the first listener, by which the worker is known.
    var port: Int
    var machine: String
    /// Names this run: a worker that starts again is told from one that came back.
    var boot: String
    var version: String
    /// Address by listener name.
    var listeners: [String: String]
    /// Seconds between two heartbeats.
    var interval: Double
    /// What its operator calls it (`worker.name`).
    var name: String
    /// When it started.
    let since = ContinuousClock.now

    /// - Parameters:
    ///   - stuck: the worst of the stuck consumers.
    ///   - room: for how many more clients there is room.
    ///   - events: what happened of late.
    ///   - isDraining: whether it takes no new clients.
    func heartbeat(
        _ reports: [LoopReport], stuck: [String], room: Int, events: [WorkerEvent], isDraining: Bool, now: Double
    ) -> HeartbeatBody {
        var body = HeartbeatBody(
            machineID: machine, serverName: host, serverPort: port, figures: WorkerFigures(reports),
            createdTime: Int64(now * 1000),
            shunt: ShuntExtension(
                version: version, boot: boot, listeners: listeners, loops: reports.count, isDraining: isDraining,
                interval: Int((interval * 1000).rounded()),
                name: name, stuck: stuck, room: room, uptime: Int(since.duration(to: .now) / .milliseconds(1))))
        body.shunt?.events = events
        return body
    }

    /// An EUI-64 as message-channel writes it (§9.1), from the machine's first network card; the name's bytes where there is none.
    static func machineID() -> String {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return "" }
        defer { freeifaddrs(list) }
        var next = list
        while let entry = next?.pointee {
            next = entry.ifa_next
            guard let address = entry.ifa_addr, Int32(address.pointee.sa_family) == AF_PACKET,
                entry.ifa_flags & UInt32(IFF_LOOPBACK) == 0
            else { continue }
            // sockaddr_ll: family, protocol, index, type, packet type and length take 12 bytes; then the address.
            let mac = Array(Bytes(start: UnsafeRawPointer(address) + 12, count: 6))
            let eui = mac.prefix(3) + [0xFF, 0xFE] + mac.dropFirst(3)
            return eui.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined(separator: ":")
        }
        return ""
    }
}

extension WorkerFigures {
    init(_ reports: [LoopReport]) {
        self.init()
        for report in reports {
            connections += report.loop.connections - report.loop.lingering
            connectionsAccepted += report.loop.accepted
            connectionErrors += report.loop.errors
            requests += report.routing.requests
            requestBytes += report.routing.requestBytes
            responsesSucceeded += report.routing.succeeded
            responsesFailed += report.routing.failed
            responseBytes += report.loop.bytesOut
            subscriptions += report.routing.subscriptions
            deliveries += report.loop.delivered
            heldProducers += report.routing.heldProducers
            stuckConsumers += report.routing.stuckConsumers
            mqttClients += report.routing.mqttClients
            mqttSessions += report.routing.sessions
            mqttAbsent += report.routing.absentSessions
            mqttQueued += report.routing.waiting
            mqttHeldBytes += report.routing.heldBytes
            mqttRetained += report.routing.retained
            mqttRetainedBytes += report.routing.retainedBytes
        }
        responses = responsesSucceeded + responsesFailed
        responseMilliseconds = Int((reports.reduce(0) { $0 + $1.answerSeconds } * 1000).rounded())
    }
}

/// What other threads may ask about a worker. It is made when the worker starts.
final class WorkerStatus: Sendable {
    private struct State {
        var master: String?
        /// Why a master that is there is not used.
        var doubt: String?
        var isStopping = false
    }

    private let state = Mutex(State())
    private let hasMasters: Bool
    private let since = ContinuousClock.now

    /// A worker that starts is soon found by clients that ask a master, if one answers; it goes on without one.
    private static let joinPatience = Duration.seconds(5)

    init(hasMasters: Bool) { self.hasMasters = hasMasters }

    /// The master that has answered; nil while there is none.
    var master: String? { state.withLock { $0.master } }

    func setMaster(_ master: String?) { state.withLock { ($0.master, $0.doubt) = (master, nil) } }
    func setDoubt(_ why: String) { state.withLock { $0.doubt = why } }
    func setStopping() { state.withLock { $0.isStopping = true } }

    /// A worker exists once it listens and its rules are loaded.
    var readiness: ShuntError? {
        let state = state.withLock { $0 }
        if state.isStopping { return ShuntError(.connectionLost, "the worker is stopping") }
        guard isAlone(state), ContinuousClock.now - since < Self.joinPatience else { return nil }
        return ShuntError(
            .masterUnavailable, state.doubt ?? "no master has answered yet", help: "the worker serves without one in a few seconds")
    }

    var note: String? {
        let state = state.withLock { $0 }
        guard isAlone(state) else { return nil }
        return "\(state.doubt ?? "no master answers"): the worker goes on without one, new clients do not find it"
    }

    private func isAlone(_ state: State) -> Bool { hasMasters && state.master == nil }
}
