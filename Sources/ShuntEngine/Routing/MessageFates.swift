import ShuntCore

/// What rules have made of messages and sent as broadcasts and into chats: whether anybody has got it is known when all loops have answered.
struct MessageFates {
    struct Fate {
        /// What `on_undelivered` and a dead letter get. It has the kind and the topic that the client gave it.
        var message: OwnedMessage
        var id: Int64
        /// What rules have made of it and whose end is not known yet.
        var open: Int
        /// The message that it is made of.
        var origin: MessageOrigin
        /// Something of it has gone out, and nobody has got that.
        var isMissed = false
    }

    /// How something ends that rules have made of a message.
    enum End {
        case reached
        case missed
        /// The sender of the message may not send it, nor may the rule.
        case denied
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

    /// Something that rules have made of the message has come to its end.
    /// - Returns: the message, where nothing of it has reached anybody.
    mutating func ended(_ number: UInt32, _ end: End) -> Fate? {
        guard var fate = fates[number] else { return nil }
        fate.open -= 1
        if end == .missed { fate.isMissed = true }
        let isOver = end == .reached || fate.open == 0
        fates[number] = isOver ? nil : fate
        return isOver && end != .reached && fate.isMissed ? fate : nil
    }
}

extension TopicRouter {
    /// Follows the broadcasts and chats' messages that rules have made of the message that is being handled, where they have made nothing else
    /// of it. A delayed message is followed when it goes out.
    func followOthers(of message: MessageView) {
        guard tellsUndelivered, let first = others.first, others.allSatisfy({ $0.delay == nil }) else { return }
        var told = leftover ?? first
        told.sender = message.sender
        let fate = follow(told, of: keepOrigin(), id: message.id, open: others.count)
        for index in others.indices { others[index].fate = fate }
    }

    /// Follows what rules have made of a broadcast or of a chat's message. Only if nothing of that reaches anybody, rules and the dead letters are
    /// told.
    /// - Parameter message: the broadcast or message itself, where it goes out besides.
    /// - Returns: the fate that the message is to have.
    func follow(_ made: inout [OwnedMessage], of origin: MessageOrigin, besides message: MessageView? = nil, id: Int64) -> UInt32? {
        let atOnce = made.indices.filter { made[$0].delay == nil }
        guard tellsUndelivered, let told = message.map({ OwnedMessage($0) }) ?? atOnce.first.map({ made[$0] }) else { return nil }
        let fate = follow(told, of: origin, id: id, open: atOnce.count + (message == nil ? 0 : 1))
        for index in atOnce { made[index].fate = fate }
        return fate
    }

    /// Follows one broadcast, or one message of a chat, that goes out by itself: a rule's own, or one that was delayed.
    func followed(_ message: OwnedMessage) -> OwnedMessage {
        guard tellsUndelivered else { return message }
        var message = message
        let origin = message.origin ?? MessageOrigin(message.kind, message.kind == .broadcast ? [] : message.topic)
        message.fate = follow(message, of: origin, id: makeID(), open: 1)
        return message
    }

    private func follow(_ message: OwnedMessage, of origin: MessageOrigin, id: Int64, open: Int) -> UInt32? {
        var told = message.asItCame(origin)
        told.isRetained = false
        return fates.begin(.init(message: told, id: id, open: open, origin: origin))
    }

    /// A broadcast or a chat's message of rules cannot go out.
    func missed(_ message: OwnedMessage, _ why: UndeliveredReason) {
        guard message.fate == nil else { return settle(message.fate, .missed, why) }
        output.figures.undelivered += 1
    }

    /// Something that rules have made has come to its end.
    func settle(_ fate: UInt32?, _ end: MessageFates.End, _ why: UndeliveredReason) {
        guard let fate, let missed = fates.ended(fate, end) else { return }
        output.figures.undelivered += 1
        let origin = missed.origin
        missed.message.withView(id: missed.id) { origin.isDead = tellUndelivered($0, why: why, isDead: origin.isDead) }
    }
}
