import Logging
import ShuntReactor

/// The master's log of connections that failed or found no room: at most one line of each kind a second, with their number.
struct ClientTroubles {
    enum Limit: Hashable {
        /// `limits.connections` are open.
        case connections
        /// All descriptors that the system allows are in use, except the reserve.
        case descriptors
    }

    /// New connections that were closed, since workers hold all the others.
    var refused: [Limit: Int] = [:]
    /// Connections that were closed to make room for others.
    var displaced: [Limit: Int] = [:]
    /// Whether the system had no descriptor at all.
    var ranOut = false
    private var failed = 0
    private var example = ""
    private var toldAt = -Double.infinity
    private let descriptors: DescriptorBudget
    /// Seconds between two lines.
    private static let interval = 1.0

    init(_ descriptors: DescriptorBudget) { self.descriptors = descriptors }

    mutating func closed(_ connection: Connection, _ reason: CloseReason) {
        guard case .byUs(let why) = reason else { return }
        failed += 1
        example = "\(connection.remoteAddress): \(why)"
    }

    /// Called regularly. Logs the connections that were counted since the last line.
    mutating func tick(now: Double, _ logger: Logger) {
        guard !refused.isEmpty || !displaced.isEmpty || ranOut || failed > 0, abs(now - toldAt) >= Self.interval else { return }
        for (limit, count) in refused { logger.warning("clients were turned away", metadata: metadata(count, limit)) }
        for (limit, count) in displaced { logger.warning("clients were closed to make room for others", metadata: metadata(count, limit)) }
        if ranOut {
            logger.warning(
                "clients wait: the system has no descriptor for them",
                metadata: ["limit": "\(descriptors)", "help": "\(DescriptorBudget.remedy)"])
        }
        if failed > 0 { logger.notice("clients were closed", metadata: ["clients": "\(failed)", "example": "\(example)"]) }
        (refused, displaced, ranOut, failed, example, toldAt) = ([:], [:], false, 0, "", now)
    }

    private func metadata(_ count: Int, _ limit: Limit) -> Logger.Metadata {
        switch limit {
        case .connections: ["clients": "\(count)", "limit": "limits.connections"]
        case .descriptors: ["clients": "\(count)", "limit": "\(descriptors)", "help": "\(DescriptorBudget.remedy)"]
        }
    }
}
