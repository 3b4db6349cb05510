import ShuntCore

/// Answers that wait until the master has confirmed what it was told before them; bounded in number and time, so that a worker
/// goes on without a master.
struct PendingAnswers {
    private struct Answer {
        var connection: ConnectionID
        var receipt: Receipt
        var since: Double
    }

    /// The most answers of one loop that wait; further ones are given at once.
    static let capacity = 10_000
    /// Seconds that an answer waits.
    static let patience = 1.0

    private var waiting: [UInt64: Answer] = [:]
    private var oldest: UInt64 = 1
    private var last: UInt64 = 0

    /// - Returns: the number under which it waits; nil where as many as possible do.
    mutating func add(_ receipt: Receipt, to connection: ConnectionID, now: Double) -> UInt64? {
        guard waiting.count < Self.capacity else { return nil }
        last += 1
        waiting[last] = Answer(connection: connection, receipt: receipt, since: now)
        return last
    }

    mutating func take(_ number: UInt64) -> (connection: ConnectionID, receipt: Receipt)? {
        waiting.removeValue(forKey: number).map { ($0.connection, $0.receipt) }
    }

    /// The oldest answer, if it has waited for too long.
    mutating func takeOverdue(now: Double) -> (connection: ConnectionID, receipt: Receipt)? {
        while oldest <= last {
            if let answer = waiting[oldest] {
                // Longer than it ever waits to come: the clock was set back.
                guard abs(now - answer.since) >= Self.patience else { return nil }
                return take(oldest)
            }
            oldest += 1
        }
        return nil
    }
}

extension LoopEngine {
    /// Acknowledges once the master has confirmed all that this loop has told it so far.
    func acknowledgeConfirmed(_ receipt: Receipt, _ connection: ConnectionID) {
        guard house.hasMasters, let number = pending.add(receipt, to: connection, now: now) else {
            return dispatch(.acknowledge(connection, receipt))
        }
        output.news.append(.confirm(request: number))
    }

    /// The master has confirmed what was told before `confirm`, or there is none that could.
    public func confirmed(_ requests: [UInt64], now: Double) {
        router.now = now
        for request in requests {
            if let answer = pending.take(request) { dispatch(.acknowledge(answer.connection, answer.receipt)) }
        }
    }

    /// A master that takes too long keeps no client waiting.
    func answerOverdue() {
        while let answer = pending.takeOverdue(now: now) { dispatch(.acknowledge(answer.connection, answer.receipt)) }
    }
}
