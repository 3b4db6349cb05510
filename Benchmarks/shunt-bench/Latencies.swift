/// How long something took, each time; in seconds.
struct Latencies {
    private let sorted: [Double]

    init(_ seconds: [Double]) { sorted = seconds.sorted() }

    /// - Parameter share: 0…1.
    func quantile(_ share: Double) -> Double {
        sorted.isEmpty ? 0 : sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
    }

    /// Microseconds.
    var json: String {
        "{\"p50\":\(micros(0.5)),\"p99\":\(micros(0.99)),\"max\":\(micros(1)),\"count\":\(sorted.count)}"
    }

    var text: String { "p50 \(micros(0.5)) µs, p99 \(micros(0.99)) µs, at most \(micros(1)) µs, of \(sorted.count)" }

    private func micros(_ share: Double) -> Double { (quantile(share) * 1e7).rounded() / 10 }
}
