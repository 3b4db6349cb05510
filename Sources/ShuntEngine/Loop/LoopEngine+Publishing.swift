import MQTTCodec
import ShuntCore

extension LoopEngine {
    /// Publishes a client's topic message that no wire has brought, with all that it says of itself: QoS, retain flag, properties, hops.
    /// - Returns: why the sender is refused; nil where the message is taken.
    public func publish(_ message: MessageView, now: Double) -> ShuntError? {
        router.now = now
        router.index.blocker = .none
        router.beginRead()
        if let refusal = refusal(ofTopic: message.topic) { return refusal }
        let route = router.route(of: message.topic, last: .none)
        guard !route.isNone else { return .notATopic(message.topic) }
        var message = message
        message.expiry = PublishProperties.expiry(in: message.properties)
        let outcome = router.publish(Publication(message), route, router.hooks)
        if router.leavesMore { sendOthers() }
        return outcome.error
    }
}
