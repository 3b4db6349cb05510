import ShuntCore

/// Why a message was not acknowledged.
public struct SendFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is known of the message.
    public enum Outcome: Equatable, Sendable {
        /// The worker said no; it did not route the message.
        case refused(Refusal)
        /// The connection was lost before the answer: the message may have been routed or not.
        case unknown
        /// The message never left.
        case notSent
    }

    /// Whether the message was refused, is lost, or may have arrived.
    public var outcome: Outcome
    /// What went wrong.
    public var error: ShuntError

    /// A failure with this outcome.
    public init(_ outcome: Outcome, _ error: ShuntError) {
        self.outcome = outcome
        self.error = error
    }

    /// The error's text.
    public var description: String { error.description }
}
