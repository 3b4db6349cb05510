import MQTTCodec
import ShuntCore

/// Topics that begin with `$` and mean something here: presence and figures below `$SYS`, which the worker alone publishes.
extension MQTTFront {
    /// Takes a message for one of the worker's own topics.
    /// - Returns: its answer; nil where the topic is one like any other.
    func service(_ message: MessageView, _ hooks: (any RuleHooks)?) -> ReasonCode? {
        guard message.topic.starts(with: "$SYS/".utf8) else { return nil }
        router.output.figures.failed += 1
        return .notAuthorized
    }

    /// - Returns: false where the filter is one like any other.
    func subscribeService(_ request: SubscriptionRequest) throws(ShuntError) -> Bool { false }

    func unsubscribeService(_ request: SubscriptionRequest) -> Bool { false }
}

extension LoopEngine {
    /// Tells those who have subscribed `$SYS/clients/#` that a client has come or gone.
    /// - Parameter why: it has gone, for this reason; nil: it has come.
    func tellPresence(_ identity: Client.Identity, _ connection: ConnectionID, why: String?) {}
}
