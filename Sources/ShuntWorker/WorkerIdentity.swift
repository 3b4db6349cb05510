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

    func heartbeat(_ reports: [LoopReport], now: Double) -> HeartbeatBody {
        HeartbeatBody(
            machineID: machine, serverName: host, serverPort: port, figures: WorkerFigures(reports),
            createdTime: Int64(now * 1000),
            shunt: ShuntExtension(version: version, boot: boot, listeners: listeners, loops: reports.count))
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
            connections += report.loop.connections
            connectionsAccepted += report.loop.accepted
            connectionErrors += report.loop.errors
            requests += report.routing.requests
            requestBytes += report.routing.requestBytes
            responsesSucceeded += report.routing.succeeded
            responsesFailed += report.routing.failed
            responseBytes += report.loop.bytesOut
            subscriptions += report.routing.subscriptions
            deliveries += report.routing.deliveries
        }
        responses = responsesSucceeded + responsesFailed
    }
}

/// What other threads may ask about a worker.
final class WorkerStatus: Sendable {
    private let state = Mutex<String?>(nil)

    /// The master that has answered; nil while there is none.
    var master: String? { state.withLock { $0 } }

    func setMaster(_ master: String?) { state.withLock { $0 = master } }
}
