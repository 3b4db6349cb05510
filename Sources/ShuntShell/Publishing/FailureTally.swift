import ShuntClient
import ShuntCore
import Synchronization

/// Counts failures by reason, and keeps the first reasons. Bounded, however many reasons a server invents.
public final class FailureTally: Sendable {
    public struct Reason: Equatable, Sendable {
        public var text: String
        public var count: Int
        public var help: String?
    }

    private struct State {
        var reasons: [Reason] = []
        var others = 0
        var firstError: ShuntError?
        var hasBadMessage = false
        /// The reason why no server can be reached any more.
        var cutOff: String?
    }

    static let maximumReasons = 20
    private let state = Mutex(State())

    public init() {}

    /// Messages that were not tried any more: no server could be reached, or the command was told to end.
    func noteSkipped(_ count: Int) {
        state.withLock { state in
            let text = state.cutOff ?? "not sent: it was to end before"
            if let index = state.reasons.firstIndex(where: { $0.text == text }) {
                state.reasons[index].count += count
            } else {
                state.reasons.append(Reason(text: text, count: count))
            }
        }
    }

    public func note(_ failure: SendFailure) {
        let text =
            switch failure.outcome {
            case .refused(let refusal): "refused: \(refusal.description) (\(failure.error.code.rawValue))"
            case .unknown: "outcome unknown: \(failure.error.message) (\(failure.error.code.rawValue))"
            case .notSent: "not sent: \(failure.error.message) (\(failure.error.code.rawValue))"
            }
        state.withLock { state in
            if state.firstError == nil { state.firstError = failure.error }
            if failure.outcome == .notSent {
                if failure.error.code.exitCode == ErrorCode.requestInvalid.exitCode {
                    state.hasBadMessage = true
                } else {
                    state.cutOff = text
                }
            }
            if let index = state.reasons.firstIndex(where: { $0.text == text }) {
                state.reasons[index].count += 1
            } else if state.reasons.count < Self.maximumReasons {
                state.reasons.append(Reason(text: text, count: 1, help: failure.error.help))
            } else {
                state.others += 1
            }
        }
    }

    /// Whether no server can be reached any more, so that more messages would fail as well.
    public var isCutOff: Bool { state.withLock { $0.cutOff != nil } }
    /// Whether a message could not be sent for what it is.
    public var hasBadMessage: Bool { state.withLock { $0.hasBadMessage } }
    public var firstError: ShuntError? { state.withLock { $0.firstError } }
    /// The reasons, the most frequent first.
    public var reasons: [Reason] { state.withLock { $0.reasons }.sorted { $0.count > $1.count } }
    /// Failures for other reasons.
    public var others: Int { state.withLock { $0.others } }
}
