import ShuntCore

extension TopicRouter {
    /// A client may not publish what an operator follows: it never comes to the rules.
    @inline(never)
    func tellDenied(_ topic: Bytes, _ permissions: any Permissions, _ tracer: MessageTracer) {
        // What a rule has sent on is part of the message that is followed already.
        guard !tracer.isFollowing else { return }
        let message = MessageView(
            kind: .topic, topic: topic, key: nil, payload: .none, format: .none, id: 0, sender: asking)
        tracer.begin(message, from: peerOf, now: now)
        tracer.end("denied", "the sender may not publish to this topic: \(permissions.place(of: .publish, topic, group: nil))", 0)
    }
}

extension LoopEngine {
    /// From now on messages of this loop are followed; nil: no longer.
    public func setTracer(_ tracer: MessageTracer?) {
        router.setTracer(tracer) { [unowned self] in $1 ? peer($0) : naming($0) }
    }
}
