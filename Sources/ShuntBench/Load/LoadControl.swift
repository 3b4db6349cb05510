import Synchronization

/// What the main thread tells the threads of a load. Times are nanoseconds of the monotonic clock.
final class LoadControl: Sendable {
    private let startTime = Atomic<Int>(.max)
    private let endTime = Atomic<Int>(.max)
    private let over = Atomic<Bool>(false)
    private let deliveries = Atomic<Int>(0)

    /// When the first message is due.
    var start: Int {
        get { startTime.load(ordering: .acquiring) }
        set { startTime.store(newValue, ordering: .releasing) }
    }

    /// No message is due from then on.
    var end: Int {
        get { endTime.load(ordering: .acquiring) }
        set { endTime.store(newValue, ordering: .releasing) }
    }

    /// Deliveries of messages that were sent and have not come, where they are bounded.
    var underWay: Int { deliveries.load(ordering: .relaxed) }
    func addUnderWay(_ count: Int) { deliveries.wrappingAdd(count, ordering: .relaxed) }

    /// Whether connections are to be closed, and the threads to end.
    var isOver: Bool {
        get { over.load(ordering: .acquiring) }
        set { over.store(newValue, ordering: .releasing) }
    }
}

/// What a thread of a load says of itself, several times a second.
final class LoopProgress: Sendable {
    struct Figures: Sendable {
        /// Connections that are ready, that were not made, and that were made and ended.
        var open = 0
        var failed = 0
        var lost = 0
        var sent = 0
        var received = 0
        /// Received, each message once.
        var distinct = 0
        /// Messages of QoS 1 and 2 that open connections have not had acknowledged.
        var outstanding = 0
        /// Nanoseconds, of the last second.
        var recentP99 = 0
        var hasSentAll = false
    }

    private let figures = Mutex(Figures())

    var current: Figures { figures.withLock { $0 } }
    func publish(_ new: Figures) { figures.withLock { $0 = new } }
}
