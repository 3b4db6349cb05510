import ShuntCore

/// Messages that went out as broadcasts and into chats alone: whether anybody has got one is known when all loops have answered.
struct MessageFates {
    struct Fate {
        /// The message that `on_undelivered` and a dead letter get. It has the kind and the topic that the client gave it.
        var message: OwnedMessage
        var id: Int64
        /// Broadcasts and chats' messages whose end is not known yet.
        var open: Int
        /// It is a dead letter already.
        var isDead = false
    }

    private var fates: [UInt32: Fate] = [:]
    private var last: UInt32 = 0
    /// What becomes of further ones is not told.
    private static let most = 4096

    mutating func begin(_ fate: Fate) -> UInt32? {
        guard fates.count < Self.most else { return nil }
        last &+= 1
        fates[last] = fate
        return last
    }

    /// One of the message's broadcasts and chats' messages has come to its end.
    /// - Returns: the message, where none of them has reached anybody.
    mutating func ended(_ number: UInt32, isReached: Bool) -> Fate? {
        guard var fate = fates[number] else { return nil }
        fate.open -= 1
        let isOver = isReached || fate.open == 0
        fates[number] = isOver ? nil : fate
        return isOver && !isReached ? fate : nil
    }
}

extension TopicRouter {
    /// Follows the broadcasts and chats' messages that rules have made of a message, where they have made nothing else of it. A delayed message
    /// is followed when it goes out.
    func followOthers(of message: MessageView) {
        guard tellsUndelivered, let first = others.first, others.allSatisfy({ $0.delay == nil }) else { return }
        var told = leftover ?? first
        (told.kind, told.topic, told.isRetained, told.sender) = (message.kind, Array(message.topic), false, message.sender)
        let isDead = deadLetters.last.map { $0.id == message.id && $0.sender == message.sender } ?? false
        let fate = fates.begin(.init(message: told, id: message.id, open: others.count, isDead: isDead))
        for index in others.indices { others[index].fate = fate }
    }

    /// Follows one broadcast, or one message of a chat: a rule has made it in a hook about no topic message, or it was delayed.
    func followed(_ message: OwnedMessage) -> OwnedMessage {
        guard tellsUndelivered, message.kind != .topic, message.delay == nil, message.fate == nil else { return message }
        var (message, told) = (message, message)
        (told.kind, told.topic) = message.came ?? (message.kind, message.kind == .broadcast ? [] : message.topic)
        told.isRetained = false
        message.fate = fates.begin(.init(message: told, id: makeID(), open: 1))
        return message
    }

    /// A broadcast or a chat's message of rules cannot go out.
    func missed(_ message: OwnedMessage, _ why: UndeliveredReason) {
        guard message.fate == nil else { return settle(message.fate, isReached: false, why) }
        output.figures.undelivered += 1
    }

    /// A broadcast or a chat's message has come to its end.
    func settle(_ fate: UInt32?, isReached: Bool, _ why: UndeliveredReason) {
        guard let fate, let missed = fates.ended(fate, isReached: isReached) else { return }
        output.figures.undelivered += 1
        deadLetters.areKept = !missed.isDead
        missed.message.withView(id: missed.id) { tellUndelivered($0, why: why) }
        deadLetters.areKept = true
    }
}
