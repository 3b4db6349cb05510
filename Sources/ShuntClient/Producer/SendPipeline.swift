import ShuntCore
import Synchronization

/// Sends many messages in order, within the producer's window, and does not wait for the acknowledgement of each.
///
/// One task sends; failures are reported as they come, by the message's number, counted from 0.
public final class SendPipeline: Sendable {
    /// Counts of messages by their outcome.
    public struct Totals: Equatable, Sendable {
        /// Messages given to `send`, or skipped.
        public var submitted = 0
        /// Messages that were acknowledged.
        public var acknowledged = 0
        /// Messages that were refused.
        public var refused = 0
        /// Messages whose outcome is unknown: the connection was lost.
        public var unknown = 0
        /// Messages that never left.
        public var notSent = 0

        /// No messages yet.
        public init() {}

        var completed: Int { acknowledged + refused + unknown + notSent }
        /// Messages that went out.
        public var sent: Int { submitted - notSent }
    }

    private struct State {
        var totals = Totals()
        var finishers: [CheckedContinuation<Totals, Never>] = []
    }

    private let producer: Producer
    private let onFailure: @Sendable (Int, SendFailure) -> Void
    private let state = Mutex(State())

    init(_ producer: Producer, onFailure: @escaping @Sendable (Int, SendFailure) -> Void) {
        self.producer = producer
        self.onFailure = onFailure
    }

    /// The counts at this moment.
    public var totals: Totals { state.withLock { $0.totals } }

    /// The largest payload, in bytes, that can be sent with this topic and key.
    public func payloadLimit(topic: String, key: String?) -> Int {
        let empty = OutgoingMessage(topic: topic, payload: [], key: key)
        return max(1, producer.configuration.connection.frameLimit - empty.frameSize)
    }

    /// Sends a message as soon as the window has room, and returns. The pipeline counts its outcome and reports a failure.
    public func send(_ message: OutgoingMessage) async {
        let number = state.withLock { state in
            defer { state.totals.submitted += 1 }
            return state.totals.submitted
        }
        if let fault = producer.fault(of: message) {
            return completed(number, SendFailure(.notSent, fault))
        }
        if producer.submitIfRoom(message, .pipelined(self, number: number, room: nil)) { return }
        await withCheckedContinuation { room in
            producer.submit(message, .pipelined(self, number: number, room: room))
        }
    }

    /// Sends a message and waits for its outcome. Sends it again while it has no subscriber, until this time is over or the task is
    /// cancelled. Messages that are sent in this way, one after the other, keep their order.
    public func send(_ message: OutgoingMessage, retryingFor patience: Duration) async {
        let number = state.withLock { state in
            defer { state.totals.submitted += 1 }
            return state.totals.submitted
        }
        let deadline = ContinuousClock.now + patience
        while true {
            do throws(SendFailure) {
                try await producer.send(message)
                return completed(number, nil)
            } catch {
                guard case .refused(let refusal) = error.outcome, refusal.code == .topicNoSubscriber, !Task.isCancelled,
                    ContinuousClock.now < deadline
                else { return completed(number, error) }
                try? await Task.sleep(for: Self.retryPause)
            }
        }
    }

    private static var retryPause: Duration { .milliseconds(200) }

    /// Counts messages that are not sent after all.
    public func skip(_ count: Int) {
        state.withLock { state in
            state.totals.submitted += count
            state.totals.notSent += count
        }
    }

    /// Waits until every message sent has an outcome.
    public func finish() async -> Totals {
        await withCheckedContinuation { continuation in
            let totals = state.withLock { state -> Totals? in
                guard state.totals.completed < state.totals.submitted else { return state.totals }
                state.finishers.append(continuation)
                return nil
            }
            if let totals { continuation.resume(returning: totals) }
        }
    }

    func completed(_ number: Int, _ failure: SendFailure?) {
        if let failure { onFailure(number, failure) }
        let (totals, finishers) = state.withLock { state -> (Totals, [CheckedContinuation<Totals, Never>]) in
            switch failure?.outcome {
            case nil: state.totals.acknowledged += 1
            case .refused: state.totals.refused += 1
            case .unknown: state.totals.unknown += 1
            case .notSent: state.totals.notSent += 1
            }
            guard state.totals.completed == state.totals.submitted else { return (state.totals, []) }
            defer { state.finishers = [] }
            return (state.totals, state.finishers)
        }
        for finisher in finishers { finisher.resume(returning: totals) }
    }
}

extension Producer {
    /// - Parameter onFailure: gets the number, from 0, of each message that was not acknowledged, and the reason. Must be quick: it may be
    ///   called on the connection's event loop.
    public func pipeline(onFailure: @escaping @Sendable (Int, SendFailure) -> Void = { _, _ in }) -> SendPipeline {
        SendPipeline(self, onFailure: onFailure)
    }
}
