import Logging
import ShuntEngine

/// Logs that bounds are reached where something is given up for others, and that clients want what they may not do: at most one line of each
/// kind in ten seconds, with its number.
struct BoundsLog {
    private struct Kind {
        var figure: KeyPath<RoutingFigures, Int> & Sendable
        var message: Logger.Message
        /// What says so.
        var key: String
        /// A name for an example, and where a loop has one.
        var example: (name: String, text: KeyPath<LoopReport, String> & Sendable)?
    }

    private static let kinds = [
        Kind(figure: \.sessionsEvicted, message: "sessions ended early: others needed the room", key: "mqtt.sessions, mqtt.memory"),
        Kind(figure: \.retainedRefused, message: "retained messages were not kept", key: "mqtt.retained.messages, mqtt.retained.bytes"),
        Kind(
            figure: \.hoarded, message: "sessions gave up messages: they held most of the memory, and others needed some", key: "mqtt.memory",
            example: ("largest", \.largestHoarder)),
        Kind(figure: \.lostInSessions, message: "messages were dropped: too much waits for their clients", key: "mqtt.queue, mqtt.memory"),
        Kind(figure: \.denied, message: "clients asked for what they may not do", key: "access", example: ("example", \.deniedExample)),
    ]

    private var told = kinds.map { _ in (count: 0, at: -Double.infinity) }
    private static let interval = 10.0

    /// Called regularly.
    mutating func tick(_ reports: [LoopReport], now: Double, _ logger: Logger) {
        for (place, kind) in Self.kinds.enumerated() where abs(now - told[place].at) >= Self.interval {
            let count = reports.reduce(0) { $0 + $1.routing[keyPath: kind.figure] }
            guard count > told[place].count else { continue }
            var metadata: Logger.Metadata = ["count": "\(count - told[place].count)", "key": "\(kind.key)"]
            if let (name, text) = kind.example {
                let examples = reports.map { $0[keyPath: text] }.filter { !$0.isEmpty }
                if !examples.isEmpty { metadata[name] = "\(examples.joined(separator: "; "))" }
            }
            told[place] = (count, now)
            logger.warning(kind.message, metadata: metadata)
        }
    }
}
