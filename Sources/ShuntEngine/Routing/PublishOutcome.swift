import ShuntCore

/// What became of a message that a client published. The client's front makes the answer of it.
enum PublishOutcome {
    /// To so many; what went out as broadcasts or into chats does not count.
    case delivered(Int)
    /// Rules have made broadcasts or chats' messages of it, or it goes out later: whom that reaches shows then.
    case elsewhere
    /// Nobody has subscribed the topic.
    case nobody
    /// A rule has dropped it.
    case dropped
    /// A rule has rejected it.
    case rejected(why: String)

    /// Why its sender is refused; nil where the message is taken.
    var error: ShuntError? {
        switch self {
        case .delivered, .elsewhere, .dropped: nil
        case .nobody: ShuntError(.topicNoSubscriber, "nobody has subscribed the topic")
        case .rejected(let why): ShuntError(.ruleRejected, why.isEmpty ? "a rule rejected the message" : why)
        }
    }
}

/// Why a message did not reach somebody, in the words of `on_undelivered`.
public enum UndeliveredReason: String, Sendable {
    case nobodySubscribed = "no subscriber"
    case noDevice = "no device"
    /// Rules have sent it on over more topics than `limits.hops` allows.
    case tooManyHops = "too many hops"
    /// The recipient does not read fast enough.
    case queueFull = "queue full"
    /// The recipient has left meanwhile.
    case gone = "gone"
    /// It was held for a member of a chat who did not come back, or for whom too much was held.
    case expired = "expired"
    /// It waited for a client of MQTT whose session has ended.
    case sessionEnded = "session ended"
}
