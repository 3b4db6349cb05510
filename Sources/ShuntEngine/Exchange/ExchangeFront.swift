import ExchangeCodec
import ShuntCore

/// One client of the exchange protocol, for the time of an event: frames become requests, outcomes become answers.
struct ExchangeFront {
    let engine: LoopEngine
    let router: TopicRouter
    let client: ConnectionID

    init(_ engine: LoopEngine, _ client: ConnectionID) {
        self.engine = engine
        self.router = engine.router
        self.client = client
    }

    /// Takes whole frames.
    /// - Returns: the bytes that were taken.
    func received(_ bytes: Bytes) -> Int {
        let slot = client.slot
        // Counted once an event, not once a message.
        let hooks = router.hooks
        var offset = 0
        while offset < bytes.count, !engine.isBatchFull, !router.takesLong {
            guard engine.clients[slot].state != .closing else { return bytes.count }
            switch FrameDecoder.decode(Bytes(rebasing: bytes[offset...]), limit: router.limits.frame) {
            case .frame(let frame):
                if frame.type == .register || !engine.clients[slot].isAdmitted, let taken = admit(frame, at: offset, of: bytes) { return taken }
                handle(frame, at: offset, of: bytes, hooks)
                offset += Int(frame.size)
                if engine.isWaiting(client) { return offset }
                if router.index.blocker != .none {
                    engine.holdProducer(client)
                    return offset
                }
            case .needMore: return isNoFrame(bytes, at: offset) ? bytes.count : offset
            case .malformed(let fault):
                refuse(StreamRefusal(of: Bytes(rebasing: bytes[offset...]), isFirst: isFirst(offset), fault))
                return bytes.count
            }
        }
        return offset
    }

    @inline(__always)
    private func handle(_ frame: FrameView, at offset: Int, of bytes: Bytes, _ hooks: (any RuleHooks)?) {
        let start = bytes.baseAddress.unsafelyUnwrapped + offset
        router.output.figures.requests += 1
        router.output.figures.requestBytes += Int(frame.size)
        if frame.type == .message, !frame.isError {
            publish(frame, start, Stretch(.input, .exchange, offset: offset, count: Int(frame.size)), hooks)
        } else {
            handleControl(frame, start)
        }
    }

    @inline(never)
    private func handleControl(_ frame: FrameView, _ start: UnsafeRawPointer) {
        router.output.figures.otherRequests += 1
        // An error frame answers nothing that a worker asks of its clients.
        guard !frame.isError else { return }
        switch frame.type {
        case .ping: engine.acknowledge(.exchange(id: frame.id), client)
        case .subscribe: subscribe(frame, start)
        case .unsubscribe: unsubscribe(frame, start)
        case .allocation: refuse(frame, ShuntError(.workerNone, "not found server"))
        case .register: register(frame, start)
        case .notify:
            router.output.figures.broadcastsReceived += 1
            notify(frame, start)
        case .chat: chat(frame, start)
        case .balance, .binding, .registered, .acknowledgement, .message: break
        }
    }

    private func isFirst(_ offset: Int) -> Bool { offset == 0 && !engine.clients[client.slot].isAdmitted }

    /// Whether a client begins with bytes of another protocol. It gets an answer that says so.
    @inline(never)
    private func isNoFrame(_ bytes: Bytes, at offset: Int) -> Bool {
        guard isFirst(offset), let refusal = StreamRefusal(of: bytes, isFirst: true) else { return false }
        refuse(refusal)
        return true
    }

    /// A frame has come by which the client shows who it is: its first one, or a later REGISTER with a token, which then counts instead.
    /// - Returns: nil where the client is let in; else the bytes that are taken: none of the frame where that is to be decided, and it comes again.
    @inline(never)
    private func admit(_ frame: FrameView, at offset: Int, of bytes: Bytes) -> Int? {
        let start = bytes.baseAddress.unsafelyUnwrapped + offset
        var error: ShuntError?
        // A chat that is still here lets its members back in.
        if !engine.clients[client.slot].isAdmitted, frame.type != .chat, engine.goesElsewhere() {
            error = elsewhere
        } else if let decided = engine.ruleOutcomes.removeValue(forKey: client) {
            error = engine.admit(client, decided.connect)
        } else {
            switch entrance(frame, start) {
            case .waits: return offset
            case .refused(let refusal): error = refusal
            case .open: if !engine.clients[client.slot].isAdmitted { error = engine.admit(client) }
            }
        }
        if engine.isWaiting(client) {
            engine.whenDecided(client) { [client] engine, outcome in engine.ruleOutcomes[client] = outcome }
            return offset
        }
        guard let error else { return nil }
        router.output.figures.requests += 1
        router.output.figures.otherRequests += 1
        router.output.figures.requestBytes += Int(frame.size)
        refuse(frame, error)
        engine.shut(client, error.code, error.message)
        return bytes.count
    }

    /// This worker drains.
    private var elsewhere: ShuntError {
        guard let other = engine.neighbour(nil, Int(engine.clients[client.slot].listener)) else {
            return ShuntError(.workerNone, "this worker takes no more clients, and knows no other")
        }
        return ShuntError(.workerElsewhere, other)
    }

    private func entrance(_ frame: FrameView, _ start: UnsafeRawPointer) -> LoopEngine.Entrance {
        guard engine.clients[client.slot].isAdmitted else { return engine.enter(client) { credentials(in: frame, start) } }
        guard engine.clients[client.slot].identity?.access != nil else { return .open }
        var shown = credentials(in: frame, start)
        guard shown.password != nil else { return .open }
        shown.isRenewal = true
        return engine.renew(client) { shown }
    }

    /// A client of this protocol shows who it is by its first frame, a REGISTER with a member `token`: `uid:password`, or a token.
    private func credentials(in frame: FrameView, _ start: UnsafeRawPointer) -> Credentials {
        let client = engine.clients[client.slot]
        var credentials = Credentials(listener: Int(client.listener), .exchange, address: client.address)
        guard frame.type == .register, let value = frame.value(in: start), frame.compression == .none,
            let token = try? LenientJSON.object(in: value, subject: "device").string("token")
        else { return credentials }
        let colon = token.utf8.firstIndex(of: UInt8(ascii: ":"))
        credentials.user = colon.map { String(Substring(token.utf8[..<$0])) }
        credentials.password = Array(colon.map { token.utf8[token.utf8.index(after: $0)...] } ?? token.utf8[...])
        return credentials
    }

    /// A client that has to show who it is, and sends nothing within 10 seconds, is closed.
    func opened(now: Double) {
        let listener = Int(engine.clients[client.slot].listener)
        guard listener < engine.access.count, engine.access[listener].wantsCredentials else { return }
        engine.clients[client.slot].keepAlive = 7
        engine.clients[client.slot].heardAt = LoopEngine.eighths(now)
    }

    // MARK: Messages

    /// MESSAGE (exchange protocol §10.2).
    @inline(__always)
    private func publish(_ frame: FrameView, _ start: UnsafeRawPointer, _ stretch: Stretch, _ hooks: (any RuleHooks)?) {
        guard let topic = frame.name(in: start), topic.count <= router.limits.topic else { return refuseMessage(frame, start) }
        if topic.first == UInt8(ascii: "$") || engine.clients[client.slot].isRestricted, !mayPublish(topic, frame) { return }
        let route = router.route(of: topic, last: engine.clients[client.slot].route)
        if route.isNone { return refuseTopic(frame, topic) }
        engine.clients[client.slot].route = route
        let rules = router.rules(of: route, hooks)
        if !rules.isEmpty {
            let answer = ask(rules, about: frame, start, route, hooks)
            guard case .passes = answer else { return publish(frame, start, stretch, route, hooks, after: .none, answer) }
        }
        let relayed = router.relay(stretch, key: frame.key(in: start), isPlain: false, route)
        if case .all = relayed { return engine.acknowledge(.exchange(id: frame.id), client) }
        publish(frame, start, stretch, route, hooks, after: relayed, rules.isEmpty ? .notAsked : .passes)
    }

    @inline(never)
    private func ask(
        _ rules: RuleSelection, about frame: FrameView, _ start: UnsafeRawPointer, _ route: RouteReference, _ hooks: (any RuleHooks)?
    ) -> RuleAnswer {
        router.ask(rules, about: MessageView(frame, start, sender: client), route, hooks)
    }

    /// One that rules do something with, or whose recipients need more than its bytes.
    @inline(never)
    private func publish(
        _ frame: FrameView, _ start: UnsafeRawPointer, _ stretch: Stretch, _ route: RouteReference, _ hooks: (any RuleHooks)?,
        after relayed: TopicRouter.Relayed, _ said: RuleAnswer
    ) {
        let publication = Publication(MessageView(frame, start, sender: client), as: stretch)
        answer(frame, router.publish(publication, route, hooks, after: relayed, said))
        if router.leavesMore { engine.sendOthers() }
    }

    @inline(never)
    private func answer(_ frame: FrameView, _ outcome: PublishOutcome) {
        switch outcome {
        case .delivered, .elsewhere, .dropped: engine.acknowledge(.exchange(id: frame.id), client)
        case .nobody, .rejected: if let error = outcome.error { refuse(frame, error) }
        }
    }

    /// No body, no topic, or a topic that is too long.
    @inline(never)
    private func refuseMessage(_ frame: FrameView, _ start: UnsafeRawPointer) {
        if router.index.count == 0 {
            let message = MessageView(frame, start, sender: client)
            router.beginMessage(message)
            router.nobody(message)
            return answer(frame, .nobody)
        }
        guard frame.hasBody else { return refuse(frame, ShuntError(.requestInvalid, "Bad Request")) }
        let length = frame.name(in: start)?.count ?? 0
        refuse(
            frame,
            length == 0
                ? ShuntError(.topicInvalid, "a message needs a topic")
                : .topic(ofBytes: length, limit: router.limits.topic))
    }

    /// Refuses a message that its client may not publish. Few messages need the question.
    @inline(never)
    private func mayPublish(_ topic: Bytes, _ frame: FrameView) -> Bool {
        if TopicRouter.isSystemTopic(topic) {
            refuse(frame, ShuntError(.topicInvalid, TopicRouter.systemTopicRefusal))
            return false
        }
        guard engine.clients[client.slot].isRestricted, !engine.may(.publish, topic, client) else { return true }
        refuse(frame, ShuntError(.accessDenied, LoopEngine.denial(of: .publish, String(decoding: topic, as: UTF8.self))))
        return false
    }

    @inline(never)
    private func refuseTopic(_ frame: FrameView, _ topic: Bytes) {
        refuse(frame, .notATopic(topic))
    }

    // MARK: Refusals

    /// Answers a request that cannot be served.
    func refuse(_ frame: FrameView, _ error: ShuntError) { engine.refuse(.exchange(id: frame.id), client, error) }

    /// Closes a client whose stream cannot be read any further.
    @inline(never)
    private func refuse(_ refusal: StreamRefusal) {
        router.output.figures.malformed += 1
        if !refusal.isForeign, !refusal.answer.isEmpty { router.output.figures.failed += 1 }
        if !refusal.answer.isEmpty { router.output.actions.append(.answer(client, router.output.made.append(refusal.answer, .exchange))) }
        engine.close(client, refusal.code)
    }

    /// The value of a frame that must have one, and not compressed.
    /// - Parameter example: of what would be right.
    func controlValue(of frame: FrameView, _ start: UnsafeRawPointer, example: String = "a JSON object") throws(ShuntError) -> Bytes {
        guard let value = frame.value(in: start) else { throw ShuntError(.requestInvalid, "the request has no body", help: example) }
        guard frame.compression == .none else {
            throw ShuntError(.requestInvalid, "a control frame can't be compressed", help: "send the JSON as it is")
        }
        return value
    }
}

extension ShuntError {
    static func topic(ofBytes length: Int, limit: Int) -> ShuntError {
        ShuntError(.topicInvalid, "the topic has \(length) bytes", help: "at most \(limit) (limits.topic)")
    }

    static func notATopic(_ topic: Bytes) -> ShuntError {
        let what = topic.contains(0) ? "NUL" : topic.contains(UInt8(ascii: "#")) ? "#" : "+"
        return ShuntError(
            .topicInvalid, "the topic of a message has a \(what)", help: "+ and # are wildcards of subscriptions; NUL is in neither (MQTT 5 §4.7)")
    }
}

extension MadeBytes {
    /// Appends an acknowledgement with a text.
    func appendAnswer(_ id: Int64, _ text: String) -> Stretch {
        var text = text
        return text.withUTF8 { append(FrameFields(acknowledging: id, text: Bytes($0))) }
    }

    /// Appends an error, in the words that message-channel's clients know where there are such.
    func appendRefusal(_ id: Int64, _ error: ShuntError) -> Stretch {
        var text = error.code.exchangeText ?? (error.help.map { "\(error.message); \($0)" } ?? error.message)
        return text.withUTF8 { append(FrameFields(acknowledging: id, status: error.code.exchangeStatus, text: Bytes($0))) }
    }
}
