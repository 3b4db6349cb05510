/// How a load fares, for a line that is drawn again and again.
public struct LoadSnapshot: Equatable, Sendable {
    public var phase: Load.Phase
    /// Nanoseconds of the monotonic clock.
    public var time: Int
    /// Seconds of the phase, and how many it has; 0: that is not known.
    public var elapsed: Double
    public var length: Double
    public var connections: Int
    public var open: Int
    public var failed: Int
    public var sent: Int
    public var received: Int
    /// Messages that have not come.
    public var left: Int
    /// Of the last second; nanoseconds.
    public var p99: Int

    /// - Parameter before: an earlier snapshot, from which rates a second are counted.
    public func text(since before: LoadSnapshot?) -> String {
        let failures = failed > 0 ? ", \(Quantity.grouped(failed)) failed" : ""
        let clock = "\(Int(elapsed)) s of \(Int(length.rounded(.up))) s"
        switch phase {
        case .connecting: return "connecting: \(Quantity.grouped(open)) of \(Quantity.grouped(connections))\(failures)"
        case .holding: return "\(clock)  \(Quantity.grouped(open)) connections held\(failures)"
        case .draining: return "waiting for \(Quantity.grouped(left)) messages"
        case .over: return "closing \(Quantity.grouped(open)) connections"
        case .sending:
            let seconds = before.map { Double(time - $0.time) * 1e-9 } ?? 0
            func rate(_ now: Int, _ then: Int?) -> String {
                guard let then, seconds > 0 else { return Quantity.grouped(now) }
                return "\(Quantity.grouped(now)) (\(Quantity.grouped(Int((Double(max(0, now - then)) / seconds).rounded())))/s)"
            }
            let parts = [
                clock, "sent \(rate(sent, before?.sent))", "received \(rate(received, before?.received))",
                "p99 \(p99 > 0 ? Quantity.time(microseconds: Double(p99) / 1000) : "-")", "\(Quantity.grouped(open)) connections\(failures)",
            ]
            return parts.joined(separator: "  ")
        }
    }
}
