import ExchangeCodec
import Logging
import ShuntCore
import ShuntEngine
import ShuntReactor
import Synchronization

/// A client whose out-buffer has filled up.
struct SlowClient: Sendable, CustomStringConvertible {
    /// Nobody waits for it any longer.
    var isStuck: Bool
    /// Bytes that waited for it when this was noted.
    var waiting: Int
    /// Its address, uid and groups.
    var name: String

    var description: String { isStuck ? "\(name) (stuck)" : name }
}

extension Peer {
    /// For the log: `10.0.0.7:51234 uid ada groups billing, audit`.
    var slowName: String {
        let groups = self.groups.prefix(3).joined(separator: ", ")
        return address + (uid.isEmpty ? "" : " uid \(uid)") + (groups.isEmpty ? "" : " groups \(groups)")
    }
}

/// Why a client was not let in.
enum Refusal: String, CaseIterable, Sendable {
    /// Its address has as many connections at the listener as it may have.
    case address = "connections_per_address"
    /// As many have come to the listener in this second as may.
    case rate = "connections_per_second"
    /// `limits.connections` are open.
    case connections
    /// The descriptors that the system allows are in use, except the reserve.
    case descriptors
    /// The listener is for proxies, and it is none of them.
    case proxies = "proxy_protocol"
}

/// Logs clients that are slow, failed or were turned away: at most one line of each kind a second, with their number.
final class ConnectionLog: Sendable {
    private struct Burst {
        /// By loop.
        var slow: [UInt8: [SlowClient]] = [:]
        var refused: [Refusal: Int] = [:]
        /// Addresses of some that were refused.
        var examples: [Refusal: String] = [:]
        /// Whether the system had no descriptor at all.
        var ranOut = false
        var failed = 0
        var example = ""
        var toldAt = -Double.infinity

        var hasSomething: Bool { !slow.isEmpty || !refused.isEmpty || ranOut || failed > 0 }
    }

    private let burst = Mutex(Burst())
    private let refusals = Mutex<[Refusal: Int]>([:])
    private let descriptors: DescriptorBudget
    private let logger: Logger
    /// Seconds between two lines.
    private static let interval = 1.0

    init(_ logger: Logger, _ descriptors: DescriptorBudget) {
        self.logger = logger
        self.descriptors = descriptors
    }

    /// A loop's clients that do not read fast enough at present.
    func publish(_ clients: Dictionary<ConnectionID, SlowClient>.Values, _ loop: UInt8) {
        burst.withLock { burst in
            if clients.isEmpty { burst.slow[loop] = nil } else { burst.slow[loop] = Array(clients.prefix(100_000)) }
        }
    }

    /// The worst of the clients that are stuck, for the master: their names, within what it takes.
    func stuck() -> [String] {
        burst.withLock { burst in
            var worst: [SlowClient] = []
            for client in burst.slow.values.joined() where client.isStuck {
                let place = worst.firstIndex { $0.waiting < client.waiting } ?? worst.count
                guard place < ShuntExtension.maximumStuck else { continue }
                worst.insert(client, at: place)
                if worst.count > ShuntExtension.maximumStuck { worst.removeLast() }
            }
            return worst.map { Self.cut($0.name) }
        }
    }

    /// At most 255 bytes.
    private static func cut(_ name: String) -> String {
        guard name.utf8.count > 255 else { return name }
        var cut = ""
        for scalar in name.unicodeScalars where cut.utf8.count <= 255 - 3 - 4 { cut.unicodeScalars.append(scalar) }
        return cut + "…"
    }

    /// - Parameter address: where it tells the operator something.
    func refused(_ why: Refusal, address: PeerAddress? = nil) {
        burst.withLock { burst in
            burst.refused[why, default: 0] += 1
            if let address { burst.examples[why] = address.host }
        }
        refusals.withLock { $0[why, default: 0] += 1 }
    }

    /// The system gave no descriptor for a client.
    func ranOut() { burst.withLock { $0.ranOut = true } }

    /// How many clients were turned away since the start.
    func refusalCount(_ why: Refusal) -> Int { refusals.withLock { $0[why] ?? 0 } }

    func closed(_ connection: Connection, _ reason: CloseReason) {
        guard case .byUs(let why) = reason else { return }
        let address = connection.remoteAddress.description
        logger.debug("closed a client", metadata: ["address": "\(address)", "why": "\(why)"])
        burst.withLock { burst in
            burst.failed += 1
            burst.example = "\(address): \(why)"
        }
    }

    /// Called regularly. Logs what has come together since the last line.
    func tick(now: Double) {
        let due: Burst? = burst.withLock { burst in
            guard burst.hasSomething, now - burst.toldAt >= Self.interval else { return nil }
            let due = burst
            burst = Burst(slow: burst.slow, toldAt: now)
            return due
        }
        guard let due else { return }
        let slow = due.slow.values.flatMap { $0 }
        if !slow.isEmpty {
            let worst = slow.sorted { ($0.isStuck ? 1 : 0, $0.waiting) > ($1.isStuck ? 1 : 0, $1.waiting) }.prefix(3)
            logger.warning(
                "clients do not read fast enough",
                metadata: [
                    "clients": "\(slow.count)", "stuck": "\(slow.lazy.filter(\.isStuck).count)",
                    "worst": "\(worst.map(\.description).joined(separator: "; "))",
                ])
        }
        if let count = due.refused[.connections] {
            logger.warning("clients were turned away", metadata: ["clients": "\(count)", "limit": "limits.connections"])
        }
        if let count = due.refused[.descriptors] {
            logger.warning(
                "clients were turned away",
                metadata: ["clients": "\(count)", "limit": "\(descriptors)", "help": "\(DescriptorBudget.remedy)"])
        }
        for (why, key) in [
            (Refusal.proxies, "proxy_protocol.from"), (.address, "limits.connections_per_address"), (.rate, "limits.connections_per_second"),
        ] {
            guard let count = due.refused[why] else { continue }
            logger.warning(
                "clients were turned away",
                metadata: ["clients": "\(count)", "limit": "worker.listeners.*.\(key)", "example": "\(due.examples[why] ?? "")"])
        }
        if due.ranOut {
            logger.warning(
                "clients wait: the system has no descriptor for them",
                metadata: ["limit": "\(descriptors)", "help": "\(DescriptorBudget.remedy)"])
        }
        if due.failed > 0 {
            logger.notice("clients were closed", metadata: ["clients": "\(due.failed)", "example": "\(due.example)"])
        }
    }
}
