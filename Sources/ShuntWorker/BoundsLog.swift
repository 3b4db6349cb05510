import Logging
import ShuntEngine

/// Logs that bounds are reached where something is given up for others: at most one line of each kind in ten seconds, with its number.
struct BoundsLog {
    private struct Kind {
        var figure: KeyPath<RoutingFigures, Int> & Sendable
        var message: Logger.Message
        var limit: String
    }

    private static let kinds = [
        Kind(
            figure: \.sessionsEvicted, message: "sessions of absent clients ended early: others needed the room", limit: "mqtt.sessions, mqtt.memory"),
        Kind(
            figure: \.retainedRefused, message: "retained messages were not kept",
            limit: "mqtt.retained.messages, mqtt.retained.bytes"),
        Kind(figure: \.hoarded, message: "sessions gave up messages: they held most of the memory, and others needed some", limit: "mqtt.memory"),
        Kind(figure: \.lostInSessions, message: "messages were dropped: too much waits for their clients", limit: "mqtt.queue, mqtt.memory"),
    ]

    private var told = Array(repeating: 0, count: kinds.count)
    private var toldAt = -Double.infinity
    private static let interval = 10.0

    /// Called regularly.
    mutating func tick(_ reports: [LoopReport], now: Double, _ logger: Logger) {
        guard abs(now - toldAt) >= Self.interval else { return }
        for (place, kind) in Self.kinds.enumerated() {
            let count = reports.reduce(0) { $0 + $1.routing[keyPath: kind.figure] }
            guard count > told[place] else { continue }
            toldAt = now
            var metadata: Logger.Metadata = ["count": "\(count - told[place])", "limit": "\(kind.limit)"]
            let largest = reports.map(\.largestHoarder).filter { !$0.isEmpty }
            if kind.limit == "mqtt.memory", !largest.isEmpty { metadata["largest"] = "\(largest.joined(separator: "; "))" }
            told[place] = count
            logger.warning(kind.message, metadata: metadata)
        }
    }
}
