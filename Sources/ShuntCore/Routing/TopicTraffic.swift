/// How much a topic carries, as one loop counts it.
///
/// Recent messages are kept by period: the period that runs, and the one before it. The counters of an older period are added to the totals when
/// the next message comes, or when an operator asks; so time passes without a look at any topic.
struct TopicTraffic {
    struct Recent {
        var messages: UInt32 = 0
        var recipients: UInt32 = 0
        var bytes: UInt64 = 0
    }

    /// The period of `current`.
    private var period: UInt32 = 0
    private var current = Recent()
    private var before = Recent()
    /// What came earlier than these two.
    private var earlier = TrafficCount()

    /// - Parameters:
    ///   - messages: 1, or 0 for recipients of a message that has been counted.
    ///   - now: the period that runs.
    @inline(__always)
    mutating func count(messages: UInt32, bytes: Int, recipients: Int, in now: UInt32) {
        if period != now { turn(to: now) }
        current.messages &+= messages
        current.recipients &+= UInt32(truncatingIfNeeded: recipients)
        current.bytes &+= UInt64(truncatingIfNeeded: bytes)
    }

    @inline(never)
    private mutating func turn(to now: UInt32) {
        earlier.add(before)
        if period &+ 1 == now {
            before = current
        } else {
            earlier.add(current)
            before = Recent()
        }
        current = Recent()
        period = now
    }

    /// All that came.
    var total: TrafficCount {
        var total = earlier
        total.add(before)
        total.add(current)
        return total
    }

    func load(in periods: TrafficPeriods) -> TopicLoad {
        var recent = TrafficCount()
        if period == periods.number || period &+ 1 == periods.number { recent.add(current) }
        if period == periods.number { recent.add(before) }
        return TopicLoad(total: total, recent: recent, seconds: periods.seconds)
    }
}

/// Messages, their bytes as they came, and to how many recipients they went.
public struct TrafficCount: Equatable, Sendable {
    public var messages = 0
    public var bytes = 0
    public var recipients = 0

    public init(messages: Int = 0, bytes: Int = 0, recipients: Int = 0) {
        (self.messages, self.bytes, self.recipients) = (messages, bytes, recipients)
    }

    public static func += (one: inout Self, other: Self) {
        one.messages &+= other.messages
        one.bytes &+= other.bytes
        one.recipients &+= other.recipients
    }

    mutating func add(_ recent: TopicTraffic.Recent) {
        self += TrafficCount(messages: Int(recent.messages), bytes: Int(clamping: recent.bytes), recipients: Int(recent.recipients))
    }
}

/// What a topic carries: since it is counted, and of late.
public struct TopicLoad: Equatable, Sendable {
    public var total: TrafficCount
    /// Of each second of the last `TrafficPeriods.length` seconds or more.
    public var messageRate: Double
    public var byteRate: Double
    public var recipientRate: Double

    public init(total: TrafficCount = .init(), recent: TrafficCount = .init(), seconds: Double = 1) {
        self.total = total
        messageRate = Double(recent.messages) / seconds
        byteRate = Double(recent.bytes) / seconds
        recipientRate = Double(recent.recipients) / seconds
    }

    public static func += (one: inout Self, other: Self) {
        one.total += other.total
        one.messageRate += other.messageRate
        one.byteRate += other.byteRate
        one.recipientRate += other.recipientRate
    }

    public static func + (one: Self, other: Self) -> Self {
        var sum = one
        sum += other
        return sum
    }

    /// By what the question wants topics to be ordered.
    public func measure(_ question: TopicQuestion) -> Double {
        switch (question.by ?? .messages, question.over ?? .now) {
        case (.messages, .now): messageRate
        case (.bytes, .now): byteRate
        case (.recipients, .now): recipientRate
        case (.messages, .total): Double(total.messages)
        case (.bytes, .total): Double(total.bytes)
        case (.recipients, .total): Double(total.recipients)
        }
    }
}

/// The time in which rates are counted, in periods.
struct TrafficPeriods {
    /// Seconds.
    static let length = 10.0
    /// A tick that comes so many seconds late, or early, shows that the clock was set or the process stood still.
    private static let longest = 60.0

    private(set) var number: UInt32 = 0
    private var began: Double?
    private var now = 0.0
    /// Seconds that the period before has taken; 0: there was none.
    private var before = 0.0

    /// Seconds over which the counters of both periods go; at least one, so that a first message is no thousand a second.
    var seconds: Double { max(1, before + now - (began ?? now)) }

    /// - Parameter now: seconds since 1970.
    mutating func tick(now: Double) {
        self.now = now
        guard let began, (0...Self.longest).contains(now - began) else {
            // Older messages count in totals alone.
            if self.began != nil { number &+= 2 }
            (self.began, before) = (now, 0)
            return
        }
        guard now - began >= Self.length else { return }
        (self.began, before) = (now, now - began)
        number &+= 1
    }
}
