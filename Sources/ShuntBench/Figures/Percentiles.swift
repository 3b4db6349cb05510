/// What a report says of a histogram. Times are microseconds, to a tenth.
public struct Percentiles: Codable, Equatable, Sendable {
    public var count: Int
    public var mean: Double
    public var p50: Double
    public var p90: Double
    public var p99: Double
    public var p999: Double
    public var max: Double

    /// - Returns: nil where nothing was recorded.
    public init?(_ histogram: Histogram) {
        guard histogram.count > 0 else { return nil }
        func micros(_ percent: Double) -> Double { Self.micros(Double(histogram.percentile(percent))) }
        count = histogram.count
        mean = Self.micros(histogram.mean)
        (p50, p90, p99, p999) = (micros(50), micros(90), micros(99), micros(99.9))
        max = Self.micros(Double(histogram.maximum))
    }

    private static func micros(_ nanoseconds: Double) -> Double { (nanoseconds / 100).rounded() / 10 }
}
