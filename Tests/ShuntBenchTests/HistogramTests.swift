import SeededRandom
import Testing

@testable import ShuntBench

@Suite("A histogram")
struct HistogramTests {
    @Test(
        "counts a value with those that differ from it after the third digit, in HdrHistogram's layout",
        arguments: [
            (0, 0...0), (1, 1...1), (2047, 2047...2047), (2048, 2048...2049), (2049, 2048...2049), (4095, 4094...4095), (4096, 4096...4099),
            (10_000, 10_000...10_007), (1_000_000, 999_936...1_000_447), (Histogram.highest, Histogram.highest - 0x7FFF_FFFF...Histogram.highest),
        ])
    func equivalents(value: Int, range: ClosedRange<Int>) { #expect(Histogram.equivalents(of: value) == range) }

    @Test("has a place for each value, and the places follow one another without a gap")
    func places() {
        var next = 0
        while next < Histogram.highest {
            let values = Histogram.equivalents(of: next)
            #expect(values.lowerBound == next)
            // Three significant digits: a thousandth, at most.
            #expect(values.count <= max(1, next / 1000))
            next = values.upperBound + 1
        }
        #expect(next == Histogram.highest + 1)
    }

    @Test("tells percentiles to a thousandth of the exact ones", arguments: [1, 2, 3, 4, 5])
    func precision(seed: UInt64) {
        var random = SplitMix(seed: seed)
        // From nanoseconds to minutes.
        let values = (0..<20_000).map { _ in Int.random(in: 0...(1 << Int.random(in: 1...38, using: &random)), using: &random) }.sorted()
        var histogram = Histogram()
        for value in values.shuffled(using: &random) { histogram.record(value) }
        for percent in [0, 1, 10, 25, 50, 90, 99, 99.9, 99.99, 100] {
            let exact = values[max(1, Int((percent / 100 * 20_000).rounded(.up))) - 1]
            let found = histogram.percentile(percent)
            #expect(found >= exact && found <= exact + max(1, exact / 1000), "\(percent) %")
        }
        #expect(histogram.maximum == values.last)
        #expect(abs(histogram.mean - Double(values.reduce(0, +)) / 20_000) < 1)
        #expect(histogram.count(upTo: Histogram.highest) == 20_000)
    }

    @Test("is 0 where nothing was recorded")
    func empty() {
        let histogram = Histogram()
        #expect((histogram.count, histogram.maximum, histogram.percentile(50)) == (0, 0, 0))
        #expect(histogram.mean == 0)
        #expect(Percentiles(histogram) == nil)
    }

    @Test("takes any value: below 0 as 0, beyond its end as the highest, whose maximum is kept")
    func bounds() {
        var histogram = Histogram()
        for value in [-5, Int.min, Int.max, Histogram.highest + 1] { histogram.record(value) }
        #expect(histogram.count == 4)
        #expect(histogram.percentile(50) == 0)
        #expect(histogram.percentile(75) == Histogram.highest)
        #expect(histogram.percentile(100) == .max)
        #expect(histogram.maximum == .max)
    }

    @Test("merged from parts is the histogram of all")
    func merge() {
        var random = SplitMix(seed: 7)
        var (all, parts) = (Histogram(), [Histogram(), Histogram(), Histogram()])
        for number in 0..<3000 {
            let value = Int.random(in: 0...1_000_000_000, using: &random)
            all.record(value)
            parts[number % 2].record(value)
        }
        var merged = Histogram()
        for part in parts { merged.merge(part) }
        #expect(merged == all)
        merged.reset()
        #expect(merged == Histogram())
    }

    @Test("is told in microseconds, to a tenth")
    func percentiles() throws {
        var histogram = Histogram()
        for value in 1...1000 { histogram.record(value * 1000) }
        let times = try #require(Percentiles(histogram))
        #expect((times.count, times.max, times.mean) == (1000, 1000, 500.5))
        #expect(abs(times.p50 - 500) <= 0.5 && abs(times.p99 - 990) <= 1 && abs(times.p999 - 999) <= 1)
    }
}
