import ShuntCore

/// Why a message was not acknowledged.
public struct SendFailure: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Outcome: Equatable, Sendable {
        /// The worker said no; it did not route the message.
        case refused(Refusal)
        /// The connection was lost before the answer: the message may have been routed or not.
        case unknown
        /// The message never left.
        case notSent
    }

    public var outcome: Outcome
    public var error: ShuntError

    public init(_ outcome: Outcome, _ error: ShuntError) {
        self.outcome = outcome
        self.error = error
    }

    public var description: String { error.description }
}
