import ShuntCore

/// A message that has come in, for what rules have made of it and that goes out later, or whose end shows later: all of that counts together.
final class MessageOrigin {
    /// As it came.
    let kind: MessageKind
    let topic: [UInt8]
    /// Messages that rules have made of it, and bytes of them.
    var made = 0
    var bytes = 0
    /// It is a dead letter.
    var isDead = false

    init(_ kind: MessageKind, _ topic: [UInt8]) { (self.kind, self.topic) = (kind, topic) }
}

/// The message that is being handled.
extension TopicRouter {
    /// A message is being handled from here on: what comes of it counts together.
    /// - Parameter isAsked: rules have been asked about it already, and one may have failed.
    @inline(__always)
    func beginMessage(_ message: MessageView, isAsked: Bool = false) {
        (madeOfMessage, madeBefore, deniedOfMessage) = (0, output.made.size, 0)
        (isSomethingLeft, hasEndedAtHops) = (false, false)
        came = (message.kind, message.topic)
        if !isAsked { isDead = false }
        if leftover != nil { leftover = nil }
    }

    /// The same where that message is no topic message, or goes out later than it came.
    func beginMessage(_ message: MessageView, of origin: MessageOrigin?) {
        beginMessage(message)
        guard let origin else { return }
        self.origin = origin
        (madeOfMessage, isDead) = (origin.made, origin.isDead)
        madeBefore -= origin.bytes
    }

    /// What has come of the message so far counts for what comes of it later.
    @inline(__always)
    func endMessage() {
        if let origin {
            (origin.made, origin.bytes) = (madeOfMessage, madeBytes)
            self.origin = nil
        }
        // Other rules may have seen what a standing verdict sends on, too.
        if kept.size > 0 { kept.removeAll() }
    }

    /// The message, for what goes out later.
    func keepOrigin() -> MessageOrigin {
        if let origin { return origin }
        let new = MessageOrigin(came.kind, Array(came.topic))
        new.isDead = isDead
        origin = new
        return new
    }

    /// What rules have made of the message, under the kind and the topic that it came with.
    func asItCame(_ made: MessageView, _ body: (MessageView) -> Void) {
        var made = made
        guard let origin else {
            (made.kind, made.topic) = came
            return body(made)
        }
        origin.topic.withUnsafeBytes {
            (made.kind, made.topic) = (origin.kind, $0)
            body(made)
        }
    }

    // MARK: What comes to nothing

    /// Nobody gets anything of the message.
    /// - Parameter message: as it came. Where rules have made others of it, hooks and dead letters get the first of these in its place.
    func nobody(_ message: MessageView) {
        output.figures.undelivered += 1
        guard tellsUndelivered else { return }
        let why = hasEndedAtHops ? UndeliveredReason.tooManyHops : .nobodySubscribed
        func tell(_ made: MessageView) {
            asItCame(made) { made in
                var made = made
                made.sender = message.sender
                if tellUndelivered(made, why: why, isDead: isDead) { noteDead() }
            }
        }
        if let leftover { leftover.withView(id: message.id, tell) } else { tell(message) }
    }

    /// The message becomes a dead letter, once: of several reasons the first one counts.
    func die(_ message: MessageView, why: String, rule: String) {
        if !isDead, keepDeadLetter(message, why: why, rule: rule) { noteDead() }
    }

    private func noteDead() {
        isDead = true
        origin?.isDead = true
    }

    /// Tells the rules of a message that did not reach anybody, or somebody.
    /// - Parameter isDead: it is a dead letter already.
    /// - Returns: whether it is one now.
    func tellUndelivered(_ message: MessageView, why: UndeliveredReason, isDead: Bool = false) -> Bool {
        let isNow = isDead || why.isForDeadLetters && keepDeadLetter(message, why: why.rawValue)
        if let hooks, hooks.wanted.contains(.undelivered) { hooks.onUndelivered(message, why: why.rawValue, now: now) }
        return isNow
    }

    /// Whether a dead letter or a rule's hook tells of messages that have no subscriber.
    var tellsUndelivered: Bool { !limits.deadLetterTopic.isEmpty || hooks?.wanted.contains(.undelivered) == true }

    /// Keeps what rules have made of the message and nobody has got: `nobody` tells this copy, since the rules may have taken something out of
    /// the message that came.
    @inline(never)
    func noteLeftover(_ made: MessageView) {
        guard leftover == nil, tellsUndelivered else { return }
        var copy = OwnedMessage(made)
        copy.isRetained = made.isRetained
        leftover = copy
    }
}
