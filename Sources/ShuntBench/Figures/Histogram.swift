/// Counts of values to three significant digits, in the bucket layout of HdrHistogram: values below 2,048 have a counter each; from there on
/// 1,024 counters serve each doubling.
///
/// A value is a number of nanoseconds, from 0 to ``highest``. Recording one allocates nothing.
public struct Histogram: Equatable, Sendable {
    /// What a larger value counts as: over an hour. ``maximum`` is kept as it was.
    public static let highest = 1 << highestBits - 1

    private static let highestBits = 42
    /// Twice ten to the power of the digits, rounded up to a power of two.
    private static let subBucketBits = 11
    private static let halfBits = subBucketBits - 1
    private static let size = (highestBits - subBucketBits + 2) << halfBits

    private var counts = [Int](repeating: 0, count: size)
    public private(set) var count = 0
    /// 0 where nothing was recorded.
    public private(set) var maximum = 0
    private var sum = 0.0

    public init() {}

    /// Below 0 counts as 0.
    @inline(__always)
    public mutating func record(_ value: Int) {
        let value = max(0, value)
        counts[Self.place(min(value, Self.highest))] += 1
        count += 1
        maximum = max(maximum, value)
        sum += Double(value)
    }

    public mutating func merge(_ other: Histogram) {
        guard other.count > 0 else { return }
        for place in counts.indices { counts[place] += other.counts[place] }
        count += other.count
        maximum = max(maximum, other.maximum)
        sum += other.sum
    }

    /// Empties it, and keeps its memory.
    public mutating func reset() {
        guard count > 0 else { return }
        for place in counts.indices { counts[place] = 0 }
        (count, maximum, sum) = (0, 0, 0)
    }

    /// 0 where nothing was recorded.
    public var mean: Double { count > 0 ? sum / Double(count) : 0 }

    /// The largest value that counts like the one which so many of a hundred values do not exceed; 0 where nothing was recorded.
    /// - Parameter percent: 0 to 100.
    public func percentile(_ percent: Double) -> Int {
        guard count > 0 else { return 0 }
        let wanted = max(1, min(count, Int((percent / 100 * Double(count)).rounded(.up))))
        if wanted == count { return maximum }
        var seen = 0
        for place in counts.indices {
            seen += counts[place]
            if seen >= wanted { return min(Self.values(at: place).upperBound, maximum) }
        }
        return maximum
    }

    /// How many values count like one of these, or less.
    public func count(upTo value: Int) -> Int {
        counts[...Self.place(max(0, min(value, Self.highest)))].reduce(0, +)
    }

    @inline(__always)
    private static func place(_ value: Int) -> Int {
        let bucket = Int.bitWidth - (value | (1 << subBucketBits - 1)).leadingZeroBitCount - subBucketBits
        return bucket << halfBits + value >> bucket
    }

    /// The values that one counter counts.
    static func values(at place: Int) -> ClosedRange<Int> {
        let bucket = max(0, place >> halfBits - 1)
        let lowest = (place - bucket << halfBits) << bucket
        return lowest...(lowest + 1 << bucket - 1)
    }

    /// The values that count like this one.
    static func equivalents(of value: Int) -> ClosedRange<Int> { values(at: place(value)) }
}
