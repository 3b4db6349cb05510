import Dispatch
import ShuntAccess
import ShuntConfig
import ShuntCore
import Synchronization

/// The clients of a listener that takes only so many, counted as they are accepted, and as loops close them.
final class ConnectionGate: Sendable {
    private let quota: Mutex<ConnectionQuota>

    /// nil where the listener takes any number.
    init?(_ limits: Configuration.Worker.ListenerLimits) {
        guard limits.connectionsPerAddress > 0 || limits.connectionsPerSecond > 0 else { return nil }
        quota = Mutex(ConnectionQuota(perAddress: limits.connectionsPerAddress, perSecond: limits.connectionsPerSecond, now: Self.uptime))
    }

    /// - Returns: why the client is not let in; nil where it is, and `leaves` is to be called.
    func enters(_ address: PeerAddress) -> Refusal? {
        switch quota.withLock({ $0.enters(address, now: Self.uptime) }) {
        case .perAddress: .address
        case .perSecond: .rate
        case nil: nil
        }
    }

    func leaves(_ address: PeerAddress) { quota.withLock { $0.leaves(address) } }

    /// Seconds of a clock that never goes back.
    private static var uptime: Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }
}

/// A client that a gate has let in, and counts.
struct Entered: Sendable {
    let gate: ConnectionGate
    let address: PeerAddress

    func leave() { gate.leaves(address) }
}
