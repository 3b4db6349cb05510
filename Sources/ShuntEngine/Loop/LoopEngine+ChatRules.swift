import ExchangeCodec
import ShuntCore

/// What rules decide about chats, and what they send besides messages.
extension LoopEngine {
    /// Sends what rules have made of a message besides topic messages. The router has looked at the rights of who sent that.
    @inline(never)
    func sendOthers() {
        let others = router.others
        router.others = []
        for other in others { _ = sendAllowed(other) }
        giveRoomBack()
    }

    /// What has become of a message that a rule has made.
    enum Sent {
        /// Its sender may not send it, nor may the rule.
        case denied
        /// Nobody has subscribed its topic.
        case toNobody
        case out
    }

    /// Sends what a rule has made besides, or of a message of another kind, if the sender of what the rule has seen may send this, too. No rule
    /// sees it again.
    @discardableResult
    func send(_ message: OwnedMessage) -> Sent {
        guard router.mayBeSent(message) else {
            router.settle(message.fate, .denied, .nobodySubscribed)
            giveRoomBack()
            return .denied
        }
        return sendAllowed(message)
    }

    /// Rules have replaced a message by others. Tells why its sender is refused, by what became of those; nil: the message was taken.
    func refusal(after sent: [Sent]) -> ShuntError? {
        if sent.isEmpty || sent.contains(.out) { return nil }
        guard sent.allSatisfy({ $0 == .denied }) else { return ShuntError(.topicNoSubscriber, "nobody has subscribed the topic") }
        output.figures.rejected += 1
        return ShuntError(.ruleRejected, TopicRouter.nothingLeft)
    }

    /// What was delayed and denied takes no room.
    func giveRoomBack() {
        guard router.deniedDelay else { return }
        router.deniedDelay = false
        tellDelayRoom()
    }

    private func sendAllowed(_ message: OwnedMessage) -> Sent {
        if let delay = message.delay {
            keep(message, for: delay)
            return .out
        }
        switch message.kind {
        case .topic: return router.publish(message) > 0 ? .out : .toNobody
        case .broadcast: push(message, answering: nil)
        case .chat: announce(message)
        }
        return .out
    }

    func announce(_ message: OwnedMessage) {
        guard let (chat, payload) = chatMessage(message) else { return router.missed(message, .nobodySubscribed) }
        let home = ChatHouse.home(of: chat, loops: loops)
        guard let fate = message.fate else { return send(.announce(chat: chat, payload), toHome: home, peer: nil) }
        guard home != Int(loop) else { return announced(fate, announceHere(chat, payload)) }
        output.tell(.announce(chat: chat, payload, fate: fate, from: loop), loop: UInt8(home))
    }

    /// - Returns: whether the chat is open here.
    func announceHere(_ chat: String, _ payload: ChatPayload) -> Bool {
        let isOpen = house.view(of: chat) != nil
        self.chat(.announce(chat: chat, payload), peer: nil)
        return isOpen
    }

    func announced(_ fate: UInt32, _ isOpen: Bool) { router.settle(fate, isOpen ? .reached : .missed, .nobodySubscribed) }

    /// A member's message that rules have delayed, at the chat's home.
    func say(_ message: OwnedMessage, by place: ChatPlace) {
        guard let (chat, payload) = chatMessage(message) else { return router.missed(message, .nobodySubscribed) }
        router.settle(message.fate, house.view(of: chat) != nil ? .reached : .missed, .nobodySubscribed)
        handle(.said(chat: chat, by: place, payload))
    }

    private func chatMessage(_ message: OwnedMessage) -> (chat: String, ChatPayload)? {
        guard let chat = String(validating: message.topic, as: UTF8.self), !chat.isEmpty, !message.payload.isEmpty else { return nil }
        return (chat, ChatPayload(message.payload, format: message.format, compression: message.compression))
    }

    // MARK: Chats

    /// What the rules make of a chat frame.
    /// - Returns: the request to go on with; nil if it has been answered.
    func pass(_ request: ChatRequest, of peer: Peer, through hooks: any RuleHooks) -> ChatRequest? {
        let view = house.view(of: request.chat)
        let isOpen = view != nil
        let chat = view ?? ChatView(id: request.chat, members: [], createdAt: 0)
        switch request.key {
        // A member only asks again. A client that is no member has nothing to say in the chat, and is refused without the rules.
        case .create where house.isMember(request.member.connection, of: request.chat): return request
        case .create where isOpen && hooks.wanted.contains(.chatJoin):
            return admit(request, hooks.onChatJoin(chat, by: peer, now: now), hooks)
        case .create where !isOpen && hooks.wanted.contains(.chatOpen):
            return admit(request, hooks.onChatOpen(chat, by: peer, now: now), hooks)
        case .session where hooks.wanted.contains(.chat) && house.isMember(request.member.connection, of: request.chat):
            return pass(request, chat, hooks)
        default: return request
        }
    }

    private func admit(_ request: ChatRequest, _ outcome: ConnectOutcome, _ hooks: any RuleHooks) -> ChatRequest? {
        sendEmitted(hooks)
        let connection = request.member.connection
        switch outcome {
        case .accept, .waits: return request
        case .acceptAs(let uid, _, _, _):
            var request = request
            if let uid { request.member.uid = uid }
            return request
        case .reject(let why):
            answer(.refuse(connection, request.receipt, ShuntError(.ruleRejected, why.isEmpty ? "a rule refused" : why)))
        case .redirect(let worker): answer(.redirect(connection, request.receipt, to: worker))
        }
        return nil
    }

    /// - Returns: the request to go on with; nil where all that the rules made of it has been sent, or it has been answered.
    private func pass(_ request: ChatRequest, _ chat: ChatView, _ hooks: any RuleHooks) -> ChatRequest? {
        let origin = MessageOrigin(.chat, Array(request.chat.utf8))
        func staysInChat(_ message: OwnedMessage) -> Bool { message.kind == .chat && message.topic == origin.topic }
        let (verdict, why, made) = request.payload.bytes.withUnsafeBytes { payload in
            Self.withBytes(request.chat) { topic in
                var message = MessageView(
                    kind: .chat, topic: topic, key: nil, payload: payload, format: request.payload.format,
                    compression: request.payload.compression, id: request.receipt.frameID ?? 0,
                    sender: request.member.connection)
                message.qos = .atLeastOnce
                router.beginMessage(message, of: origin)
                defer { router.endMessage() }
                let outcome = hooks.onChat(message, in: chat, now: now)
                let (verdict, why) = (outcome.verdict, outcome.reason)
                var made = router.made(outcome, of: request.member.connection)
                // It may reach nobody if nothing of it stays in the chat.
                if verdict == .send, !made.contains(where: { staysInChat($0) && $0.delay == nil }) {
                    _ = router.follow(&made, of: origin, id: message.id)
                }
                return (verdict, why, made)
            }
        }
        if verdict == .pass { handle(.request(request)) }
        var (isSaid, sent) = (false, [Sent]())
        let place = house.place(of: request.member.connection, in: request.chat)
        for message in made {
            var message = message
            if verdict == .send, staysInChat(message) { message.place = place }
            guard message.place != nil, message.delay == nil else {
                sent.append(send(message))
                continue
            }
            // What goes to the same chat is the member's: the first one is answered for all.
            let payload = ChatPayload(message.payload, format: message.format, compression: message.compression)
            if isSaid {
                handle(.said(chat: request.chat, by: place, payload))
            } else {
                var replaced = request
                replaced.payload = payload
                handle(.request(replaced))
            }
            isSaid = true
        }
        if !isSaid { answer(request, verdict, why, after: sent) }
        return nil
    }

    /// Answers the sender of a message that does not stay in its chat, or not at once.
    private func answer(_ request: ChatRequest, _ verdict: MessageOutcome.Verdict, _ why: String, after sent: [Sent]) {
        let (client, receipt) = (request.member.connection, request.receipt)
        switch verdict {
        case .pass: break
        case .send: answer(refusal(after: sent).map { .refuse(client, receipt, $0) } ?? .acknowledge(client, receipt))
        case .drop:
            output.figures.dropped += 1
            answer(.acknowledge(client, receipt))
        case .reject:
            output.figures.rejected += 1
            answer(.refuse(client, receipt, ShuntError(.ruleRejected, why.isEmpty ? "a rule rejected the message" : why)))
        case .redirect: answer(.redirect(client, receipt, to: why))
        }
    }

    /// Something has happened in a chat.
    func told(_ report: ChatReport) {
        if case .undelivered(_, _, let messages) = report { output.figures.expired += messages.count }
        guard let hooks else { return }
        switch report {
        case .closed(let chat, let why):
            guard hooks.wanted.contains(.chatClose) else { return }
            hooks.onChatClose(chat, why: why.text, by: guest?.id, now: now)
            sendEmitted(hooks)
        case .undelivered(let chat, _, let messages):
            guard hooks.wanted.contains(.undelivered) else { return }
            for payload in messages { expired(payload, of: chat) }
        case .opened, .joined, .rejoined, .left, .expired: break
        }
    }

    private func answer(_ action: ChatAction) { dispatch(action) }

    static func withBytes<Result>(_ text: String, _ body: (Bytes) -> Result) -> Result {
        var text = text
        return text.withUTF8 { body(Bytes($0)) }
    }
}

extension ChatEnd {
    /// For rules.
    var text: String {
        switch self {
        case .destroyed: "destroyed"
        case .idle: "idle"
        case .deserted: "deserted"
        case .closedByOperator: "closed by an operator"
        case .moved: "moved"
        }
    }
}
