import ShuntBench

/// How long something took, each time.
struct Latencies {
    private var histogram = Histogram()

    /// - Parameter seconds: of each time.
    init(_ seconds: [Double]) {
        for time in seconds { histogram.record(Int(time * 1e9)) }
    }

    /// Microseconds.
    var json: String {
        "{\"p50\":\(micros(50)),\"p99\":\(micros(99)),\"max\":\(micros(100)),\"count\":\(histogram.count)}"
    }

    var text: String { "p50 \(micros(50)) µs, p99 \(micros(99)) µs, at most \(micros(100)) µs, of \(histogram.count)" }

    private func micros(_ percent: Double) -> Double { (Double(histogram.percentile(percent)) / 100).rounded() / 10 }
}
