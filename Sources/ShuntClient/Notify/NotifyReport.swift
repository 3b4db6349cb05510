import ExchangeCodec
import ShuntCore

/// The outcome of a broadcast at each worker.
public struct NotifyReport: Equatable, Sendable {
    /// What a worker has answered.
    public enum Outcome: Equatable, Sendable {
        /// The worker had devices for it. Without counts: it does not count, as message-channel's own workers and MQTT brokers.
        /// - Parameter text: its own words, such as `3 matched, 2 sent, 1 not sent (too slow)`.
        case delivered(NotifyCounts?, text: String)
        /// No device of this worker matches.
        case noMatch
        /// The worker has refused the broadcast.
        case refused(Refusal)
        /// The worker was not reached or did not answer: its outcome is unknown.
        case unreachable(ShuntError)
    }

    /// A worker, and what it has answered.
    public struct Worker: Equatable, Sendable {
        /// The worker, or the broker.
        public var address: HostPort
        /// What has become of the broadcast there.
        public var outcome: Outcome

        /// A worker's answer.
        public init(_ address: HostPort, _ outcome: Outcome) {
            self.address = address
            self.outcome = outcome
        }
    }

    /// In the master's order, least loaded first.
    public var workers: [Worker]

    /// A report of these answers.
    public init(workers: [Worker]) { self.workers = workers }

    /// The sums of the workers that count.
    public var counts: NotifyCounts {
        workers.reduce(into: NotifyCounts(matched: 0, sent: 0)) { sum, worker in
            guard case .delivered(let counts?, _) = worker.outcome else { return }
            sum.matched += counts.matched
            sum.sent += counts.sent
        }
    }

    /// Whether at least one device got it.
    public var isDelivered: Bool {
        workers.contains { worker in
            if case .delivered(let counts, _) = worker.outcome { counts.map { $0.sent > 0 } ?? true } else { false }
        }
    }

    /// Whether no device was found, and nobody refused: others may have one.
    var isWithoutMatch: Bool {
        workers.allSatisfy { worker in
            switch worker.outcome {
            case .noMatch, .unreachable: true
            case .delivered, .refused: false
            }
        }
    }

    /// The reason of a rule that dropped it: the worker then answers that reason instead of counting devices.
    private var reasonOfRule: String? {
        for worker in workers {
            if case .delivered(let counts?, let text) = worker.outcome, counts.matched == 0, let start = text.firstIndex(of: "(") {
                return String(text[text.index(after: start)...].dropLast())
            }
        }
        return nil
    }

    /// Why no device got it; nil if one did.
    public var failure: ShuntError? {
        guard !isDelivered else { return nil }
        for worker in workers {
            if case .refused(let refusal) = worker.outcome { return refusal.error(at: worker.address.description) }
        }
        if let why = reasonOfRule { return ShuntError(.ruleRejected, why) }
        if counts.matched > 0 {
            return ShuntError(.slowConsumer, "\(counts.matched) devices match, and none could take the message")
        }
        let errors = workers.compactMap { if case .unreachable(let error) = $0.outcome { error } else { nil } }
        if let error = errors.first, errors.count == workers.count { return error }
        let rest = errors.isEmpty ? "" : " at the workers that answered; \(errors.count) did not"
        return ShuntError(.deviceNone, "no device matches" + rest, help: "shunt admin devices lists those that are registered")
    }
}

extension NotifyReport.Outcome {
    init(_ answer: Frame) {
        guard answer.isError else {
            self = .delivered(NotifyCounts(answer.text), text: answer.text)
            return
        }
        let refusal = Refusal(answer)
        self = refusal.code == .deviceNone ? .noMatch : .refused(refusal)
    }

    /// An MQTT broker's answer.
    init(_ outcome: MQTTOutcome) {
        switch outcome {
        case .acknowledged(.noMatchingSubscribers, _): self = .noMatch
        case .acknowledged(_, let text): self = .delivered(text.flatMap { NotifyCounts($0) }, text: text ?? "")
        case .failed(let failure):
            if case .refused(let refusal) = failure.outcome { self = .refused(refusal) } else { self = .unreachable(failure.error) }
        }
    }
}

/// A worker's count of a broadcast's devices.
public struct NotifyCounts: Equatable, Sendable {
    /// Devices that the filter takes.
    public var matched: Int
    /// Devices among them whose connection took the message.
    public var sent: Int

    /// These counts.
    public init(matched: Int, sent: Int) {
        self.matched = matched
        self.sent = sent
    }

    /// Of the form `3 matched, 2 sent, …`; nil otherwise.
    init?(_ text: String) {
        let parts = text.split(separator: ",")
        guard parts.count >= 2, let matched = Self.count("matched", parts[0]), let sent = Self.count("sent", parts[1]) else {
            return nil
        }
        self.init(matched: matched, sent: sent)
    }

    private static func count(_ word: String, _ text: Substring) -> Int? {
        let words = text.split(separator: " ")
        // No worker has more devices, and the sum of all workers does not overflow.
        guard words.count == 2, words[1] == word, let count = Int(words[0]), 0...1_000_000_000 ~= count else { return nil }
        return count
    }
}
