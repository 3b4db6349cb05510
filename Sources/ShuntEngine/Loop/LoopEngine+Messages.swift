import ExchangeCodec
import ShuntCore

extension LoopEngine {
    /// Routes a topic message (exchange protocol §10.2).
    @inline(__always)
    func message(
        _ frame: FrameView, _ start: UnsafeRawPointer, _ stretch: Stretch, from connection: ConnectionID, _ hooks: (any RuleHooks)?
    ) {
        guard let topic = frame.name(in: start), topic.count <= limits.topic else {
            return refuseMessage(frame, start, connection)
        }
        let slot = connection.slot
        let route = index.route(of: topic, last: sessions[slot].route) { hooks?.selection(for: .topic, topic: $0) ?? .none }
        if route.isNone { return refuseTopic(frame, start, connection) }
        sessions[slot].route = route
        let rules = index.rules(of: route)
        if rules.isEmpty || hooks == nil {
            conclude(delivered: deliver(stretch, route, key: frame.key(in: start)), frame, start, connection)
        } else {
            // Bound to no name, which would count them once more for each message.
            ruledMessage(frame, start, stretch, route, rules, from: connection, hooks.unsafelyUnwrapped)
        }
    }

    /// Hands a frame to one member of each group of a route.
    /// - Returns: how many got it.
    @inline(__always)
    func deliver(_ stretch: Stretch, _ route: RouteReference, key: Bytes?) -> Int {
        index.select(route, key: key, into: &recipients)
        if looksAtDeliveries { return offer(stretch) }
        let count = recipients.count
        for place in 0..<count {
            let recipient = recipients[place]
            actions.append(recipient.loop == loop ? .deliver(recipient, stretch) : .forward(recipient, stretch))
        }
        return count
    }

    /// Where rules look at each delivery. Those to other loops' clients are offered there.
    @inline(never)
    private func offer(_ stretch: Stretch) -> Int {
        for recipient in recipients {
            actions.append(recipient.loop == loop ? .offer(recipient, stretch) : .forward(recipient, stretch))
        }
        return recipients.count
    }

    @inline(never)
    private func nobody(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID) {
        figures.undelivered += 1
        tellUndelivered(MessageView(frame, start, hops: 0, sender: connection), why: .nobodySubscribed)
        refuse(frame.id, connection, ShuntError(.topicNoSubscriber, "nobody has subscribed the topic"))
    }

    /// No body, no topic, or a topic that is too long.
    @inline(never)
    private func refuseMessage(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID) {
        if index.count == 0 { return nobody(frame, start, connection) }
        guard frame.hasBody else { return refuse(frame.id, connection, ShuntError(.requestInvalid, "Bad Request")) }
        let length = frame.name(in: start)?.count ?? 0
        refuse(
            frame.id, connection,
            length == 0
                ? ShuntError(.topicInvalid, "a message needs a topic")
                : ShuntError(.topicInvalid, "the topic has \(length) bytes", help: "at most \(limits.topic) (limits.topic)"))
    }

    @inline(never)
    private func refuseTopic(_ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID) {
        let topic = frame.name(in: start) ?? Bytes(start: nil, count: 0)
        let what = topic.contains(0) ? "NUL" : topic.contains(UInt8(ascii: "#")) ? "#" : "+"
        refuse(
            frame.id, connection,
            ShuntError(
                .topicInvalid, "the topic of a message has a \(what)",
                help: "+ and # are wildcards of subscriptions; NUL is in neither (MQTT 5 §4.7)"))
    }

    /// A message that rules want to see.
    @inline(never)
    private func ruledMessage(
        _ frame: FrameView, _ start: UnsafeRawPointer, _ stretch: Stretch, _ route: RouteReference, _ rules: RuleSelection,
        from connection: ConnectionID, _ hooks: any RuleHooks
    ) {
        madeOfMessage = 0
        begin(hooks)
        if let standing = index.standing(of: route) {
            return conclude(apply(standing, frame, start, stretch, route, from: connection), frame, start, connection)
        }
        let message = MessageView(frame, start, hops: 0, sender: connection, room: limits.fanout)
        let outcome = hooks.onMessage(message, selection: rules, now: now)
        if outcome.isPlainPass { return conclude(delivered: deliver(stretch, route, key: message.key), frame, start, connection) }
        conclude(carryOut(outcome, message, frame, start, Passage(stretch: stretch, route: route)), frame, start, connection)
    }

    /// Answers the sender of a message that so many got.
    @inline(__always)
    private func conclude(delivered count: Int, _ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID) {
        if count > 0 { acknowledge(frame.id, connection) } else { nobody(frame, start, connection) }
    }

    private func conclude(_ result: Result, _ frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID) {
        switch result {
        case .delivered(let count): conclude(delivered: count, frame, start, connection)
        case .dropped:
            figures.dropped += 1
            acknowledge(frame.id, connection)
        case .rejected(let why):
            figures.rejected += 1
            refuse(frame.id, connection, ShuntError(.ruleRejected, why.isEmpty ? "a rule rejected the message" : why))
        }
    }

    /// Does what a rule has decided for all messages of the topic.
    private func apply(
        _ standing: StandingVerdict, _ frame: FrameView, _ start: UnsafeRawPointer, _ stretch: Stretch, _ route: RouteReference,
        from connection: ConnectionID
    ) -> Result {
        hooks?.decided(by: standing)
        switch standing.decision {
        case .drop: return .dropped
        case .reject(let why): return .rejected(why: why)
        case .send: break
        }
        var count = 0
        for at in standing.targets.indices {
            guard let topic = standing.targets[at].topic else {
                count += deliver(stretch, route, key: frame.key(in: start))
                continue
            }
            guard topic.count <= limits.topic, mayMakeAnother() else {
                figures.undelivered += 1
                continue
            }
            count += topic.withUnsafeBytes { topic in
                let target = self.route(of: topic, last: standing.targets[at].route)
                guard !target.isNone else { return 0 }
                standing.targets[at].route = target
                let made = made.append(frame, start, renamed: topic)
                let own = RuleSelection(mask: 1 << UInt64(standing.rule))
                guard !index.rules(of: target).subtracting(own).isEmpty else { return deliverMade(made, target, key: frame.key(in: start)) }
                return pass(
                    Passage(stretch: made, route: target, excluded: own, forwardedBy: standing.rule),
                    MessageView(frame, start, hops: 0, sender: connection))
            }
        }
        return .delivered(count)
    }

    /// A message on its way through the rules.
    struct Passage {
        var stretch: Stretch
        var route: RouteReference
        /// The rules that have already sent it on.
        var excluded = RuleSelection.none
        /// The rule that sent it to another topic, whose rules have not seen it yet.
        var forwardedBy: UInt8?
    }

    private enum Result {
        /// To so many; what went out as broadcasts or into chats counts too.
        case delivered(Int)
        case dropped
        case rejected(why: String)
    }

    /// Delivers what rules have decided about a message.
    ///
    /// A message that a rule sends to another topic meets the rules of that topic too, except those that have already sent it
    /// on; so a chain ends by itself, and `limits.hops` ends it sooner.
    private func carryOut(
        _ outcome: MessageOutcome, _ message: MessageView, _ frame: FrameView, _ start: UnsafeRawPointer, _ passage: Passage
    ) -> Result {
        if outcome.isStanding || !outcome.passing.isEmpty { index.keep(outcome, for: passage.route) }
        if outcome.verdict == .pass, outcome.messages.isEmpty {
            return .delivered(deliver(passage.stretch, passage.route, key: message.key))
        }
        if outcome.verdict == .send, outcome.messages.count == 1, let only = single(outcome.messages[0], frame, start, passage) {
            return .delivered(only)
        }
        var count = 0
        var others: [OwnedMessage] = []
        defer { for other in others { send(other) } }
        switch outcome.verdict {
        case .pass:
            // The outcome's messages live in the rules until their next call: encoded before anything else runs.
            let made = encode(outcome, message, passage, &others)
            count = deliver(passage.stretch, passage.route, key: message.key)
            for next in made { count += pass(next, message) }
        case .send:
            for next in encode(outcome, message, passage, &others) { count += pass(next, message) }
        case .drop:
            for next in encode(outcome, message, passage, &others) { count += pass(next, message) }
            return .dropped
        case .reject, .redirect:
            let why = outcome.reason
            for next in encode(outcome, message, passage, &others) { count += pass(next, message) }
            return .rejected(why: why)
        }
        return .delivered(count + others.count)
    }

    /// The common case, one message that no other rule wants: delivered without a list of what was made.
    /// - Returns: nil where it is not that case.
    private func single(_ routed: RoutedMessage, _ frame: FrameView, _ start: UnsafeRawPointer, _ passage: Passage) -> Int? {
        guard routed.kind == .topic else { return nil }
        if routed.changes.isEmpty { return deliver(passage.stretch, passage.route, key: routed.key) }
        guard routed.topic.count > 0, routed.topic.count <= limits.topic else { return nil }
        var route = passage.route
        if routed.changes.contains(.topic) {
            route = self.route(of: routed.topic)
            guard !route.isNone, index.rules(of: route).subtracting(passage.excluded).removing(Int(routed.rule)).isEmpty else { return nil }
        }
        let isRenamed = routed.changes == .topic && frame.value.length > 0
        let frame = isRenamed ? made.append(frame, start, renamed: routed.topic) : made.append(routed, id: frame.id)
        return deliverMade(frame, route, key: routed.key)
    }

    /// Delivers what was just made, and takes it back if nobody has subscribed it.
    @inline(__always)
    private func deliverMade(_ stretch: Stretch, _ route: RouteReference, key: Bytes?) -> Int {
        let count = deliver(stretch, route, key: key)
        if count == 0 { made.discard(stretch) }
        return count
    }

    /// Frames of all that a rule made, while its bytes are there.
    private func encode(
        _ outcome: MessageOutcome, _ message: MessageView, _ passage: Passage, _ others: inout [OwnedMessage]
    ) -> [Passage] {
        let takesItsPlace = outcome.verdict == .send && outcome.messages.count == 1
        return outcome.messages.compactMap { routed in
            guard takesItsPlace || mayMakeAnother() else {
                figures.dropped += 1
                return nil
            }
            guard routed.kind == .topic else {
                others.append(OwnedMessage(routed))
                return nil
            }
            var next = passage
            guard !routed.changes.isEmpty else { return next }
            guard routed.topic.count > 0, routed.topic.count <= limits.topic else {
                figures.undelivered += 1
                return nil
            }
            next.stretch = made.append(routed, id: message.id)
            if routed.changes.contains(.topic) {
                next.route = route(of: routed.topic)
                // The rules' host lets no such topic through.
                guard !next.route.isNone else {
                    figures.undelivered += 1
                    return nil
                }
                var excluded = RuleSelection.none
                excluded.insert(Int(routed.rule))
                next.excluded = RuleSelection(mask: passage.excluded.mask | excluded.mask)
                next.forwardedBy = routed.rule
            }
            return next
        }
    }

    /// Rules that send on what others have sent on multiply: all that comes of one message is bounded, in number and bytes. Their host
    /// keeps to what `room` says, but for a message that takes another's place.
    private func mayMakeAnother() -> Bool {
        guard madeOfMessage <= limits.fanout, made.size <= MessageView.madeBytes else { return false }
        madeOfMessage += 1
        return true
    }

    /// Delivers what a rule made; a message for another topic meets that topic's rules first.
    private func pass(_ passage: Passage, _ origin: MessageView) -> Int {
        guard passage.stretch.source == .made else {
            return deliver(passage.stretch, passage.route, key: origin.key)
        }
        // Its bytes are copied out, since what other rules make may move the engine's own.
        let bytes = made.withBytes { ContiguousArray($0[Int(passage.stretch.offset)..<Int(passage.stretch.offset + passage.stretch.count)]) }
        return bytes.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress, case .frame(let frame) = FrameDecoder.decode(bytes, limit: bytes.count)
            else { return 0 }
            let rules = passage.forwardedBy == nil ? .none : index.rules(of: passage.route).subtracting(passage.excluded)
            guard let hooks, let sender = passage.forwardedBy, !rules.isEmpty else {
                return deliver(passage.stretch, passage.route, key: frame.key(in: start))
            }
            guard Int(origin.hops) < limits.hops else {
                figures.dropped += 1
                hooks.exceededHops(rule: Int(sender), now: now)
                return 0
            }
            var message = MessageView(
                frame, start, hops: origin.hops + 1, sender: origin.sender, room: max(0, limits.fanout - madeOfMessage))
            message.roomBytes = max(0, MessageView.madeBytes - made.size)
            var next = passage
            next.forwardedBy = nil
            switch carryOut(hooks.onMessage(message, selection: rules, now: now), message, frame, start, next) {
            case .delivered(let count): return count
            case .dropped, .rejected:
                figures.dropped += 1
                return 0
            }
        }
    }

    /// The route of a topic that a rule has sent a message to: mostly the same as last time.
    private func route(of topic: Bytes) -> RouteReference {
        lastMadeRoute = route(of: topic, last: lastMadeRoute)
        return lastMadeRoute
    }

    private func route(of topic: Bytes, last: RouteReference) -> RouteReference {
        index.route(of: topic, last: last) { hooks?.selection(for: .topic, topic: $0) ?? .none }
    }
}

extension MessageView {
    /// A MESSAGE frame as the rules see it.
    init(_ frame: FrameView, _ start: UnsafeRawPointer, hops: UInt8, sender: ConnectionID, room: Int = .max) {
        self.init(
            kind: .topic, topic: frame.name(in: start) ?? Bytes(start: nil, count: 0), key: frame.key(in: start),
            payload: frame.value(in: start) ?? Bytes(start: nil, count: 0), format: frame.format,
            compression: frame.compression, id: frame.id, hops: hops, sender: sender, room: room)
    }
}

extension MadeBytes {
    /// Appends the MESSAGE frame of what a rule made.
    func append(_ routed: RoutedMessage, id: Int64) -> Stretch {
        append(
            FrameFields(
                .message, id: id, compression: routed.compression, format: routed.format, value: routed.payload,
                name: routed.topic, key: routed.key))
    }
}
