/// When each message is due: message n of all at n/rate seconds after the start. Publishers take turns, so publisher p of P sends messages p,
/// p + P, p + 2P, …
///
/// Above 10,000 a second messages are due in groups, each tenth of a millisecond: a sender that sleeps for less does nothing else.
struct Pace: Equatable, Sendable {
    /// Nanoseconds.
    static let tick = 100_000
    private let interval: Double
    private let isGrouped: Bool

    /// - Parameter perSecond: more than 0.
    init(perSecond: Double) {
        interval = 1e9 / perSecond
        isGrouped = interval < Double(Self.tick)
    }

    /// Nanoseconds from the start until message `number` is due.
    @inline(__always)
    func due(_ number: Int) -> Int {
        let time = Int(Double(number) * interval)
        return isGrouped ? (time + Self.tick - 1) / Self.tick * Self.tick : time
    }

    /// How many messages are due at a time: message n is among them if `due(n)` has come.
    /// - Parameter time: nanoseconds after the start; before it none is due.
    func count(by time: Int) -> Int {
        guard time >= 0 else { return 0 }
        var count = Int(Double(isGrouped ? time / Self.tick * Self.tick : time) / interval) + 1
        // A product and a quotient may be rounded apart.
        while due(count) <= time { count += 1 }
        while count > 0, due(count - 1) > time { count -= 1 }
        return count
    }

    /// How many of the first `count` messages are one publisher's.
    @inline(__always)
    static func share(of publisher: Int, among publishers: Int, in count: Int) -> Int {
        count > publisher ? (count - publisher - 1) / publishers + 1 : 0
    }
}
