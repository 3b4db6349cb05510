import CLuaHost

/// How long calls took, by buckets that grow with the time: four an octave.
public struct RuleTimes: Equatable, Sendable {
    /// Empty where no call was timed.
    public private(set) var counts: [UInt64] = []
    public private(set) var nanoseconds: UInt64 = 0

    public static let buckets = Int(SHUNT_TIME_BUCKETS)

    public init() {}

    init(_ figures: UnsafePointer<shunt_figures>) {
        nanoseconds = figures.pointee.sampled_nanoseconds
        guard figures.pointee.sampled > 0 else { return }
        withUnsafeBytes(of: figures.pointee.times) { counts = Array($0.bindMemory(to: UInt64.self)) }
    }

    /// Counts a call that took so long: for tests of what reads times.
    public mutating func add(nanoseconds time: UInt64, calls: UInt64 = 1) {
        if counts.isEmpty { counts = Array(repeating: 0, count: Self.buckets) }
        counts[Self.bucket(of: time)] += calls
        nanoseconds += time * calls
    }

    private static func bucket(of nanoseconds: UInt64) -> Int { (0..<buckets).first { nanoseconds < shunt_time_bound($0) } ?? buckets - 1 }
    fileprivate static func bound(of nanoseconds: UInt64) -> UInt64 { shunt_time_bound(bucket(of: nanoseconds)) }

    public var count: UInt64 { counts.reduce(0, +) }
    public var seconds: Double { Double(nanoseconds) / 1e9 }

    /// Seconds within which this part of the calls ended, to a quarter of an octave; nil where none was timed.
    public func quantile(_ part: Double) -> Double? {
        let total = count
        guard total > 0 else { return nil }
        var rank = UInt64((Double(total) * part).rounded(.up))
        for (bucket, count) in counts.enumerated() {
            if count >= rank { return Double(shunt_time_bound(bucket)) / 1e9 }
            rank -= count
        }
        return nil
    }

    /// How many calls took less than so many nanoseconds, which are a power of two from 128 on.
    public func count(below nanoseconds: UInt64) -> UInt64 {
        counts.enumerated().reduce(0) { shunt_time_bound($1.offset) <= nanoseconds ? $0 + $1.element : $0 }
    }

    /// How many calls took longer than so many seconds, as `quantile` counts.
    public func count(beyond seconds: Double) -> UInt64 {
        counts.enumerated().reduce(0) { Double(shunt_time_bound($1.offset)) / 1e9 > seconds ? $0 + $1.element : $0 }
    }

    /// Takes off the calls that had been timed by then.
    mutating func subtract(_ earlier: RuleTimes) {
        for (index, count) in zip(counts.indices, earlier.counts) { counts[index] -= min(counts[index], count) }
        nanoseconds -= min(nanoseconds, earlier.nanoseconds)
    }

    public static func + (one: RuleTimes, other: RuleTimes) -> RuleTimes {
        guard !one.counts.isEmpty, !other.counts.isEmpty else { return one.counts.isEmpty ? other : one }
        var sum = one
        for (index, count) in other.counts.enumerated() { sum.counts[index] += count }
        sum.nanoseconds += other.nanoseconds
        return sum
    }
}

/// How long one client's calls took, as far as they were timed: few clients have times in many buckets.
public struct CallerTimes: Equatable, Sendable {
    /// Calls by the bound of their bucket, in nanoseconds.
    private var calls: [UInt64: UInt64] = [:]

    public init() {}

    public mutating func add(nanoseconds time: UInt64, calls: UInt64) { self.calls[RuleTimes.bound(of: time), default: 0] += calls }

    var count: UInt64 { calls.values.reduce(0, +) }

    /// How many took longer than so many seconds, as `RuleTimes` counts.
    func count(beyond seconds: Double) -> UInt64 { calls.reduce(0) { Double($1.key) / 1e9 > seconds ? $0 + $1.value : $0 } }

    static func + (one: CallerTimes, other: CallerTimes) -> CallerTimes {
        var sum = one
        sum.calls.merge(other.calls, uniquingKeysWith: +)
        return sum
    }
}
