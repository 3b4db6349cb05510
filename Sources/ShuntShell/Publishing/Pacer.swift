import ShuntCore

/// Spreads messages evenly: says how long the next one has to wait. After a stall it allows a burst of at most one tick.
public struct Pacer: Equatable, Sendable {
    private let interval: Duration
    private var due: Duration?
    /// Shorter waits are not worth a sleep; they add up.
    private static let tick = Duration.milliseconds(1)

    /// - Parameter rate: messages per second, more than 0.
    public init(rate: Double) { interval = .seconds(1) / rate }

    /// - Parameter now: since an arbitrary start.
    public mutating func wait(at now: Duration) -> Duration {
        let time = max(due ?? now, now - Self.tick)
        due = time + interval
        return time - now >= Self.tick ? time - now : .zero
    }

    /// `100`, `100/s`, `0.5/s`, `6000/m`.
    /// - Throws: `usage`.
    public static func rate(_ text: String) throws(ShuntError) -> Double {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let seconds: Double? = parts.count == 1 ? 1 : ["s": 1, "m": 60, "h": 3600][parts[1]]
        guard let seconds, let number = parts.first.flatMap({ Double($0) }), number.isFinite, number > 0, number <= 1e9 else {
            throw ShuntError(
                .usage, "'\(text)' is no rate", at: "--rate", help: "messages per second, as in 100 or 100/s; also 30/m")
        }
        return number / seconds
    }
}
