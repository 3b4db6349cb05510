/// A number of a report, by its name.
public struct Figure: Equatable, Sendable {
    public enum Unit: Sendable {
        case count
        case perSecond
        case microseconds
        case megabytesPerSecond
    }

    public var name: String
    public var value: Double
    public var unit: Unit

    public var text: String {
        switch unit {
        case .count: Quantity.grouped(Int(value))
        case .perSecond: value < 100 ? Quantity.significant(value) : Quantity.grouped(Int(value.rounded()))
        case .microseconds: Quantity.time(microseconds: value)
        case .megabytesPerSecond: Quantity.significant(value)
        }
    }
}

extension BenchReport {
    /// All that is compared, in the order that a table shows.
    public var figures: [Figure] {
        var figures: [Figure] = []
        func add(_ name: String, _ value: Double, _ unit: Figure.Unit) { figures.append(Figure(name: name, value: value, unit: unit)) }
        func add(_ name: String, _ value: Int) { add(name, Double(value), .count) }
        func add(_ name: String, _ times: Percentiles?) {
            guard let times else { return }
            let all = [
                ("p50", times.p50), ("p90", times.p90), ("p99", times.p99), ("p99.9", times.p999), ("max", times.max), ("mean", times.mean),
            ]
            for (percentile, value) in all { add("\(name) \(percentile)", value, .microseconds) }
        }
        add("connections made", connections.made)
        add("connections failed", connections.failed)
        add("connections lost", connections.lost)
        add("CONNACK", connections.connack)
        guard let messages else { return figures }
        add("sent", messages.sent)
        add("received", messages.received)
        add("lost", messages.lost)
        add("duplicates", messages.duplicates)
        add("out of order", messages.outOfOrder)
        add("sent a second", messages.sentPerSecond, .perSecond)
        add("received a second", messages.receivedPerSecond, .perSecond)
        add("payload MB a second", messages.megabytesPerSecond, .megabytesPerSecond)
        add("latency", messages.latency)
        add("acknowledged", messages.acknowledgement)
        return figures
    }
}
