import ExchangeCodec
import ShuntCore

extension LoopEngine {
    /// Hands a client's request to the loop that the chat is at home on.
    func chat(_ request: ChatRequest) {
        let connection = request.member.connection
        clients[connection.slot].isInChat = true
        if request.key == .session { output.figures.chatMessagesReceived += 1 }
        let home = ChatHouse.home(of: request.chat, loops: loops)
        send(.request(request), toHome: home, peer: hooks == nil ? nil : peer(connection))
    }

    /// The client has gone: so it has for the chats of every loop.
    func leaveChats(_ connection: ConnectionID) {
        output.tell(.chat(.left(connection), nil))
        chat(.left(connection), peer: nil)
    }

    /// The master's answer to `askChat`.
    public func answered(chat: String, request: UInt64, _ assignment: ChatAssignment, now: Double) {
        router.now = now
        self.chat(.answer(chat: chat, request: request, assignment), peer: nil)
    }

    /// The master says that another worker has the chat, or an operator ends it.
    public func received(_ event: ChatEvent, now: Double) {
        router.now = now
        chat(event, peer: nil)
    }

    /// The worker has lost the master that serves, or found it; where there is one master alone this is not told.
    public func setCutOff(_ isCutOff: Bool) { house.isCutOff = isCutOff }

    /// All chats that are at home here, for a new master.
    public var chats: [ChatSummary] { house.summaries() }

    /// Hands an event to the loop that its chat is at home on.
    func send(_ event: ChatEvent, toHome home: Int, peer: Peer?) {
        if home == Int(loop) {
            chat(event, peer: peer)
        } else {
            output.tell(.chat(event, peer), loop: UInt8(home))
        }
    }

    /// Something happens to the chats that are at home here.
    /// - Parameter peer: whose request it is, where rules may want to know.
    func chat(_ event: ChatEvent, peer: Peer?) {
        var event = event
        // What a rule sends to another chat is handled within the request.
        let before = guest
        defer { guest = before }
        if case .request(let request) = event, let hooks, let peer {
            router.begin(hooks)
            guest = peer
            router.permissions = permissions(of: peer)
            guard let passed = pass(request, of: peer, through: hooks) else { return }
            event = .request(passed)
        }
        handle(event)
    }

    func handle(_ event: ChatEvent) {
        for action in house.handle(event, now: now) { dispatch(action) }
        output.figures.chats = house.count
    }

    /// Carries an action out here, or sends it to the loop of the client that it is for.
    func dispatch(_ action: ChatAction) {
        switch action {
        case .acknowledgeConfirmed(let connection, let receipt): acknowledgeConfirmed(receipt, connection)
        case .wait(let connection, _), .acknowledge(let connection, _), .refuse(let connection, _, _), .redirect(let connection, _, _),
            .deliver(let connection, _, _, _):
            if connection.loop == loop { return carryOut(action) }
            output.tell(.chatAction(action), loop: connection.loop)
        case .askMaster(let request, let chat): output.news.append(.askChat(request: request, chat: chat))
        case .tellMaster(let news): output.news.append(.chat(news))
        case .report(let report): told(report)
        }
    }

    /// What is to be done for a client of this loop.
    func carryOut(_ action: ChatAction) {
        switch action {
        case .wait(let connection, let receipt): leaveUndecided(receipt, connection)
        case .acknowledge(let connection, let receipt):
            if isCurrent(connection) { acknowledge(receipt, connection) }
        case .refuse(let connection, let receipt, let error):
            if isCurrent(connection) { refuse(receipt, connection, error) }
        case .redirect(let connection, let receipt, let address):
            guard isCurrent(connection) else { return }
            let client = clients[connection.slot]
            let own = client.protocolName == .exchange ? address : neighbour(address, Int(client.listener))
            refuse(receipt, connection, ShuntError(.chatElsewhere, own ?? ""))
        case .deliver(let connection, let chat, let key, let payload):
            guard isCurrent(connection) else { return }
            let isExchange = clients[connection.slot].protocolName == .exchange
            // A frame without a value has no place for the chat's id.
            guard !isExchange || !payload.bytes.isEmpty else { return output.figures.inexpressible += 1 }
            output.figures.chatMessages += 1
            guard isExchange else { return deliverChat(chat, key, payload, to: connection) }
            let stretch = stretch(of: payload, in: chat, key)
            output.actions.append(router.looksAtDeliveries ? .offer(connection, stretch) : .deliver(connection, stretch))
        case .acknowledgeConfirmed, .askMaster, .tellMaster, .report: break
        }
    }

    /// The frame of a chat's message: made once for all members who get it, one after another.
    private func stretch(of payload: ChatPayload, in chat: String, _ key: ChatDeliveryKey) -> Stretch {
        if let lastChatFrame, lastChatFrame.key == key, lastChatFrame.chat == chat, lastChatFrame.payload == payload {
            return lastChatFrame.stretch
        }
        let frame = Frame(
            .chat, id: router.makeID(), compression: payload.compression, format: payload.format, value: payload.bytes,
            name: chat, key: key.rawValue)
        let stretch = output.made.append(frame.encoded(), .exchange)
        lastChatFrame = ChatFrame(chat: chat, key: key, payload: payload, stretch: stretch)
        return stretch
    }

    /// A chat's message among the bytes that the engine has made.
    struct ChatFrame {
        var chat: String
        var key: ChatDeliveryKey
        var payload: ChatPayload
        var stretch: Stretch
    }
}
