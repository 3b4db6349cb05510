/// The pause before another attempt. It doubles each time up to a maximum, and up to half of it is taken off at random, so that clients of
/// the same lost server do not all come back at once.
public struct Backoff: Equatable, Sendable {
    /// The first pause.
    public var initial: Duration
    /// The longest pause.
    public var maximum: Duration
    private var attempts = 0

    /// Pauses from the first to the longest.
    public init(initial: Duration = .milliseconds(100), maximum: Duration = .seconds(5)) {
        self.initial = initial
        self.maximum = max(initial, maximum)
    }

    /// The next wait.
    /// - Parameter random: 0 up to 1.
    mutating func next(random: Double) -> Duration {
        let full = min(maximum, initial * (1 << min(attempts, 20)))
        attempts += 1
        return full * (0.5 + random / 2)
    }

    mutating func reset() { attempts = 0 }
}
