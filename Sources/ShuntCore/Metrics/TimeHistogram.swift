/// How often something took how long, for Prometheus.
public struct TimeHistogram: Equatable, Sendable {
    /// Seconds; what took as long as a bound, or less, counts there. The last bucket, without a bound, has the rest.
    public static let bounds = [
        0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
    ]

    /// How many took so long and no shorter bound; one more than there are bounds.
    public private(set) var counts = [Int](repeating: 0, count: TimeHistogram.bounds.count + 1)
    public private(set) var seconds = 0.0

    public init() {}

    /// Counts some that took so long each.
    public mutating func add(_ time: Double, count: Int = 1) {
        let time = max(0, time)
        var bucket = 0
        while bucket < Self.bounds.count, time > Self.bounds[bucket] { bucket += 1 }
        counts[bucket] += count
        seconds += time * Double(count)
    }

    public var count: Int { counts.reduce(0, +) }

    public static func + (one: TimeHistogram, other: TimeHistogram) -> TimeHistogram {
        var sum = one
        for (bucket, count) in other.counts.enumerated() { sum.counts[bucket] += count }
        sum.seconds += other.seconds
        return sum
    }
}
