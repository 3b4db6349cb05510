import ShuntCore

/// Acknowledgements of SUBSCRIBE and UNSUBSCRIBE that wait until every loop of the worker knows the change.
///
/// All changes of a turn are confirmed together: one `sync` letter to each other loop, one `synced` letter back.
struct SubscriptionConfirmations {
    enum Answer: Equatable {
        case receipt(Receipt)
        /// Encoded already.
        case bytes([UInt8], WireForm)
        /// The same, before the retained messages that these ask for.
        case subscribed([UInt8], WireForm, [RetainedQuestion])
        /// The subscriber's subscriptions have ended, as it goes to another worker.
        case departure
    }

    private struct Waiting {
        var number: UInt64
        var connection: ConnectionID
        var answer: Answer
    }

    private let loop: UInt8
    /// The last number that each loop has confirmed.
    private var confirmed: [UInt64]
    private var number: UInt64 = 0
    /// Whether the other loops have been asked to confirm `number`.
    private var isRequested = true
    /// In the order of their numbers.
    private var waiting: [Waiting] = []

    init(loop: UInt8, loops: Int) {
        self.loop = loop
        confirmed = Array(repeating: 0, count: loops)
        if Int(loop) < loops { confirmed[Int(loop)] = .max }
    }

    /// The only loop of a worker has nobody to wait for.
    var isNeeded: Bool { confirmed.count > 1 }

    /// Keeps the acknowledgement of a change until every other loop has read the letter about that change.
    mutating func wait(_ answer: Answer, of connection: ConnectionID) {
        if isRequested {
            number += 1
            isRequested = false
        }
        waiting.append(Waiting(number: number, connection: connection, answer: answer))
    }

    /// Called at the end of a turn.
    /// - Returns: the number that all other loops must confirm; nil if no subscription has changed in this turn.
    mutating func takeRequest() -> UInt64? {
        guard !isRequested else { return nil }
        isRequested = true
        return number
    }

    /// A loop has read the letters up to a number.
    /// - Returns: the acknowledgements that all loops have confirmed by that.
    mutating func confirm(_ number: UInt64, by other: UInt8) -> [(answer: Answer, connection: ConnectionID)] {
        guard Int(other) < confirmed.count else { return [] }
        confirmed[Int(other)] = max(confirmed[Int(other)], number)
        let all = confirmed.min() ?? .max
        let count = waiting.firstIndex { $0.number > all } ?? waiting.count
        defer { waiting.removeFirst(count) }
        return waiting[..<count].map { ($0.answer, $0.connection) }
    }

    mutating func forget(_ connection: ConnectionID) {
        if !waiting.isEmpty { waiting.removeAll { $0.connection == connection } }
    }
}

extension LoopEngine {
    /// Acknowledges a change of subscriptions when no loop of the worker can act on the state before it.
    func acknowledgeOnceConfirmed(_ answer: SubscriptionConfirmations.Answer, _ connection: ConnectionID) {
        guard confirmations.isNeeded else { return give(answer, connection) }
        confirmations.wait(answer, of: connection)
    }

    func confirmed(by other: UInt8, _ number: UInt64) {
        for (answer, subscriber) in confirmations.confirm(number, by: other) {
            if answer == .departure { settled(subscriber) } else if isCurrent(subscriber) { give(answer, subscriber) }
        }
    }

    private func give(_ answer: SubscriptionConfirmations.Answer, _ connection: ConnectionID) {
        switch answer {
        case .receipt(let receipt): acknowledge(receipt, connection)
        case .bytes(let bytes, let form): give(bytes, form, connection)
        case .subscribed(let bytes, let form, let questions):
            give(bytes, form, connection)
            for question in questions { router.askRetained(question) }
        case .departure: settled(connection)
        }
    }

    private func give(_ bytes: [UInt8], _ form: WireForm, _ connection: ConnectionID) {
        output.figures.succeeded += 1
        output.actions.append(.answer(connection, output.made.append(bytes, form)))
    }
}
