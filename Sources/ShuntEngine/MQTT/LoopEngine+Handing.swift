import MQTTCodec
import ShuntCore

/// What becomes of a message that a session is handed.
public enum HandedMessage {
    /// These bytes go to the client, with a stamp.
    case send(ConnectionID, PublishStamp)
    /// `replacementBytes` go to the client, with a stamp.
    case sendReplacement(ConnectionID, PublishStamp)
    /// The session keeps it.
    case kept
    /// Nobody gets it: a rule, the client's largest packet, a full queue, or the client's absence.
    case dropped
    /// The session has ended.
    case gone
}

/// Messages for clients whose sessions have something to say to them: numbers, flags, aliases, identifiers; and what waits for clients.
extension LoopEngine {
    /// A message for a client of this loop.
    /// - Parameters:
    ///   - packet: a PUBLISH, or another form's message.
    ///   - isAnother: it is not the message of the last call, for another client.
    public func hand(
        _ packet: Bytes, _ form: WireForm, to subscriber: ConnectionID, _ handOver: HandOver, isAnother: Bool, now: Double
    ) -> HandedMessage {
        router.now = now
        if isAnother { held.endBatch() }
        if handOver.isDead { held.setDead(true) }
        let session = session(of: subscriber)
        guard let client = session?.client ?? connection(of: subscriber), session != nil || handOver.qos == .atMostOnce else { return .gone }
        // A member of a group may read all that the group gets.
        guard handOver.isShared || mayReceive(packet, form, session?.identity ?? clients[client.slot].identity) else { return .dropped }
        var (packet, form, isReplaced) = (packet, form, false)
        if client != .none {
            switch offer(packet, form, to: client, handOver, isAnother: isAnother, now: now) {
            case .unchanged: break
            case .replaced: (packet, form, isReplaced) = (replacementBytes, replaced.form, true)
            case .dropped: return .dropped
            }
        }
        guard handOver.qos > .atMostOnce, let session else { return pass(packet, form, handOver, session, client, isReplaced) }
        let cost = held.cost(of: packet, isShared: !isReplaced)
        if memoryInUse + cost > limits.mqtt.memory { makeRoom(cost, for: session) }
        guard mayBeSent(session), session.waiting.isEmpty, session.window.isCaughtUp, session.window.count < session.receiveMaximum,
            !session.keeps(handOver) || memoryInUse + cost <= limits.mqtt.memory
        else {
            return keep(packet, form, handOver, session, cost: cost, isShared: !isReplaced, isOffered: client != .none)
        }
        guard let own = personal(packet, form, handOver, session, age: 0) else {
            output.figures.tooLarge += 1
            return .dropped
        }
        // What one client's bytes were made of is what another attempt needs.
        var number = HeldMessages.none
        let isForAcks = router.looksAtAcks && memoryInUse + cost <= limits.mqtt.memory
        if session.keeps(handOver) || own != .asItIs || session.outgoingAliases.isUsed || isForAcks {
            number = held.hold(packet, form, expiry: expiry(of: packet, form), isShared: !isReplaced, now: now)
        }
        output.figures.inflight += 1
        let stamp = PublishStamp(handOver, identifier: session.window.append(handOver, held: number))
        return outcome(own, packet, isReplaced: isReplaced, session, client, stamp)
    }

    /// Whether the client's connection takes more.
    private func mayBeSent(_ session: MQTTSession) -> Bool {
        session.isConnected && clients[session.client.slot].pressure == .none && clients[session.client.slot].state == .open
    }

    /// QoS 0.
    private func pass(
        _ packet: Bytes, _ form: WireForm, _ handOver: HandOver, _ session: MQTTSession?, _ client: ConnectionID, _ isReplaced: Bool
    ) -> HandedMessage {
        guard client != .none else {
            output.figures.missedByAbsent += 1
            return .dropped
        }
        guard let own = personal(packet, form, handOver, session, clients[client.slot].form, age: 0) else {
            output.figures.tooLarge += 1
            return .dropped
        }
        return outcome(own, packet, isReplaced: isReplaced, session, client, PublishStamp(handOver))
    }

    private func outcome(
        _ own: OwnPacket, _ packet: Bytes, isReplaced: Bool, _ session: MQTTSession?, _ client: ConnectionID, _ stamp: PublishStamp
    ) -> HandedMessage {
        let made: [UInt8]? =
            switch own {
            case .asItIs: numbered(packet, session)
            case .made(let new): new.withUnsafeBytes { numbered($0, session) } ?? new
            }
        guard let made else { return isReplaced ? .sendReplacement(client, stamp) : .send(client, stamp) }
        replacement.removeAll()
        replaced = replacement.append(made, clients[client.slot].form)
        return .sendReplacement(client, stamp)
    }

    // MARK: One client's bytes

    /// The bytes that one client gets.
    enum OwnPacket: Equatable {
        case asItIs
        case made([UInt8])
    }

    /// Writes a message as one client wants it, where that is not as it is. The number of its topic comes later (`numbered`).
    /// - Parameter age: seconds that it has waited here.
    /// - Returns: nil where it is more than the client takes.
    func personal(
        _ packet: Bytes, _ form: WireForm, _ handOver: HandOver, _ session: MQTTSession?, _ clientForm: WireForm? = nil, age: UInt32
    ) -> OwnPacket? {
        let wanted = (session?.form ?? clientForm ?? .mqtt3).numbered == form.numbered ? form : session?.form ?? clientForm ?? .mqtt3
        let hasNumber = handOver.qos > .atMostOnce
        let isRight = wanted == form && form.isNumbered == hasNumber
        let mayExpire = form.hasProperties && age > 0
        guard let session, form != .exchange else { return isRight ? .asItIs : rewritten(packet, form, wanted, handOver, session, age: age) }
        let isAsItIs = isRight && !mayExpire && session.identified.isEmpty
        guard !isAsItIs else { return packet.count <= session.maximumPacket ? .asItIs : nil }
        return rewritten(packet, form, wanted, handOver, session, age: age)
    }

    private func rewritten(
        _ packet: Bytes, _ form: WireForm, _ wanted: WireForm, _ handOver: HandOver, _ session: MQTTSession?, age: UInt32
    ) -> OwnPacket? {
        guard let publish = WireEncoder.publish(in: packet, form) else { return nil }
        var fields = PublishFields(
            wanted.hasProperties ? .v5 : .v3_1_1, topic: publish.topic, payload: publish.payload, qos: handOver.qos,
            isRetained: handOver.isRetained, identifier: handOver.qos > .atMostOnce ? 1 : 0)
        guard wanted.hasProperties else { return own(fields, session) }
        var changes = PublishProperties.Changes()
        let properties = publish.encodedProperties.withoutPropertyLength
        let expiry = PublishProperties.expiry(in: properties)
        changes.expiry = expiry == MessageView.noExpiry ? expiry : expiry - min(expiry, age)
        changes.key = PublishProperties.userProperty("key", in: properties)
        changes.subscriptionIdentifiers = session?.identifiers(for: publish.topic, isShared: handOver.isShared) ?? []
        return PublishProperties.rewrite(properties, changes).withUnsafeBytes {
            fields.encodedProperties = $0
            return own(fields, session)
        }
    }

    private func own(_ fields: PublishFields, _ session: MQTTSession?) -> OwnPacket? {
        guard fields.isExpressible, fields.size <= session?.maximumPacket ?? .max else { return nil }
        return .made(fields.encoded())
    }

    private func expiry(of packet: Bytes, _ form: WireForm) -> UInt32 {
        guard form.hasProperties, let publish = WireEncoder.publish(in: packet, form), publish.encodedProperties.count > 1 else {
            return MessageView.noExpiry
        }
        return PublishProperties.expiry(in: publish.encodedProperties.withoutPropertyLength)
    }

    // MARK: Waiting

    /// Keeps a message until the client takes it.
    /// - Parameters:
    ///   - cost: bytes of memory that it takes.
    ///   - isOffered: the rules have been asked about it.
    private func keep(
        _ packet: Bytes, _ form: WireForm, _ handOver: HandOver, _ session: MQTTSession, cost: Int, isShared: Bool, isOffered: Bool
    ) -> HandedMessage {
        while isFull(session, for: packet.count, cost: cost) {
            guard limits.mqtt.queueFull == .dropOldest, makesRoom(session, cost), let oldest = takeWaiting(session) else {
                output.figures.lostInSessions += 1
                held.setDead(undelivered(packet, form, why: .queueFull, isDead: held.isDead, now: now))
                return .dropped
            }
            lose(oldest.held, .queueFull)
        }
        let number = held.hold(packet, form, expiry: expiry(of: packet, form), isShared: isShared, now: now)
        session.waiting.append(.init(held: number, handOver: handOver, isOffered: isOffered))
        session.waitingBytes += packet.count
        output.figures.waiting += 1
        if session.isConnected { updatePressure(session) }
        return .kept
    }

    /// Whether so many bytes more may not wait for a session. If producers wait for its client, what they and other loops had under way still
    /// enters.
    /// - Parameter cost: bytes of memory that they take.
    private func isFull(_ session: MQTTSession, for count: Int, cost: Int) -> Bool {
        let mqtt = limits.mqtt
        if memoryInUse + cost > mqtt.memory { return true }
        guard session.waiting.count >= mqtt.queueMessages || session.waitingBytes + count > mqtt.queueBytes else { return false }
        return !session.isConnected || session.pressure == .stuck || router.index.slowConsumerPolicy(of: session.id) != .hold
    }

    /// Whether there is room for a message once what waits for the session is dropped: where others hold the memory, or want the same
    /// messages, there is none.
    private func makesRoom(_ session: MQTTSession, _ cost: Int) -> Bool {
        let missing = memoryInUse + cost - limits.mqtt.memory
        return missing <= 0 || session.waiting.all.reduce(0) { $0 + held.gain($1.held) } >= missing
    }

    func takeWaiting(_ session: MQTTSession) -> MQTTSession.Waiting? {
        guard let waiting = session.waiting.popFirst() else { return nil }
        session.waitingBytes -= held.size(waiting.held)
        output.figures.waiting -= 1
        return waiting
    }

    /// The connection did not take a message: it waits in its session again.
    public func putBack(_ client: ConnectionID, _ stamp: PublishStamp, _ packet: Bytes, _ form: WireForm) {
        guard let session = session(of: client) else { return }
        // It may have been the one that named an alias.
        session.outgoingAliases.forget()
        guard stamp.identifier != 0 else { return }
        guard !stamp.isDuplicate else {
            session.window.sendLater(from: stamp.identifier)
            return list(session)
        }
        guard let entry = session.window.takeBack(stamp.identifier) else { return }
        output.figures.inflight -= 1
        let number =
            entry.held != HeldMessages.none
            ? entry.held : held.hold(packet, form, expiry: expiry(of: packet, form), isShared: false, now: now)
        // Several may come back, one after the other: they keep their order.
        session.waiting.insert(.init(held: number, handOver: entry.handOver, isOffered: true), at: session.putBack)
        session.putBack += 1
        session.waitingBytes += held.size(number)
        output.figures.waiting += 1
        list(session)
    }

    /// Sends what waits, as far as the client takes it: first what it may have had on an earlier connection, in the order of then
    /// (MQTT-4.4.0-1, MQTT-4.6.0-1).
    func pump(_ session: MQTTSession) {
        session.putBack = 0
        while mayBeSent(session), output.actions.count < Self.batchSize, output.made.size < Self.batchBytes {
            if !session.window.isCaughtUp {
                guard session.window.sent < session.receiveMaximum, let entry = session.window.nextAgain() else { return }
                sendAgain(entry, session)
            } else {
                guard session.window.count < session.receiveMaximum, let next = takeWaiting(session) else { return updatePressure(session) }
                send(next, session)
            }
        }
        if mayBeSent(session) { list(session) }
        updatePressure(session)
    }

    private func sendAgain(_ entry: OutgoingWindow.Entry, _ session: MQTTSession) {
        guard !entry.isReleased else {
            return answer(PublishAnswer(.publishRelease, entry.identifier).encoded(session.version), session)
        }
        guard entry.held != HeldMessages.none else { return }
        guard let own = personal(entry.held, entry.handOver, session) else {
            // The client takes less than it did before.
            output.figures.tooLarge += 1
            return finish(session.window.acknowledged(entry.identifier, qos: entry.handOver.qos), session)
        }
        send(own, of: entry.held, PublishStamp(entry.handOver, identifier: entry.identifier, isDuplicate: true), session)
    }

    private func send(_ next: MQTTSession.Waiting, _ session: MQTTSession) {
        guard held.expiresAt(next.held) > now else {
            output.figures.expiredInSessions += 1
            return lose(next.held, .expired)
        }
        guard next.handOver.isShared || mayReceive(held.packet(next.held), held.form(next.held), session.identity) else {
            return held.release(next.held)
        }
        var next = next
        if router.looksAtDeliveries || router.looksAtAcks { next.held = aged(next.held, next.handOver) }
        guard let waiting = offered(next, session) else { return }
        guard let own = personal(waiting.held, waiting.handOver, session) else {
            output.figures.tooLarge += 1
            return held.release(waiting.held)
        }
        let isKept = session.keeps(waiting.handOver) || router.looksAtAcks
        let identifier = session.window.append(waiting.handOver, held: isKept ? waiting.held : HeldMessages.none)
        output.figures.inflight += 1
        send(own, of: waiting.held, PublishStamp(waiting.handOver, identifier: identifier), session)
        if !isKept { held.release(waiting.held) }
    }

    /// A message that has waited for an absent client meets the rules about deliveries when the client is there.
    /// - Returns: nil where they have kept it from the client.
    private func offered(_ waiting: MQTTSession.Waiting, _ session: MQTTSession) -> MQTTSession.Waiting? {
        guard !waiting.isOffered, router.looksAtDeliveries else { return waiting }
        switch offer(held.packet(waiting.held), held.form(waiting.held), to: session.client, waiting.handOver, isAnother: true, now: now) {
        case .unchanged: return waiting
        case .replaced:
            var changed = waiting
            changed.held = held.hold(replacementBytes, replaced.form, expiry: expiry(of: replacementBytes, replaced.form), isShared: false, now: now)
            held.release(waiting.held)
            return changed
        case .dropped:
            held.release(waiting.held)
            return nil
        }
    }

    /// A held message as one client wants it: with the seconds that are left before it expires (MQTT-3.3.2-6).
    private func personal(_ number: UInt32, _ handOver: HandOver, _ session: MQTTSession) -> OwnPacket? {
        personal(held.packet(number), held.form(number), handOver, session, age: age(of: number))
    }

    /// Whole seconds that a message which expires has been held.
    private func age(of number: UInt32) -> UInt32 {
        let left = held.expiresAt(number) - now
        guard left < .infinity else { return 0 }
        return UInt32(max(0, (Double(expiry(of: held.packet(number), held.form(number))) - left).rounded(.down)))
    }

    /// Takes another message in the place of a held one that has waited: its bytes say how many seconds are left.
    func aged(_ number: UInt32, _ handOver: HandOver) -> UInt32 {
        let (age, form) = (age(of: number), WireForm.mqtt5.numbered)
        guard age > 0, case .made(let packet)? = rewritten(held.packet(number), held.form(number), form, handOver, nil, age: age) else {
            return number
        }
        defer { held.release(number) }
        return packet.withUnsafeBytes { held.hold($0, form, expiry: expiry(of: $0, form), isShared: false, now: now) }
    }

    private func send(_ own: OwnPacket, of number: UInt32, _ stamp: PublishStamp, _ session: MQTTSession) {
        let stretch =
            switch own {
            case .asItIs: output.made.append(held.packet(number), held.form(number))
            case .made(let packet): output.made.append(packet, session.form.numbered)
            }
        output.actions.append(.deliverStamped(session.client, stretch, stamp))
    }

    /// The client has answered a message: what was held for it is given up, and the next one may go.
    /// - Parameter isTaken: it has taken the message.
    func finish(_ answered: OutgoingWindow.Answered, _ session: MQTTSession, isTaken: Bool = false) {
        switch answered {
        case .done(let entry):
            if isTaken, router.looksAtAcks { tellAcked(entry, session) }
            output.figures.inflight -= 1
            session.acknowledged += 1
            held.release(entry.held)
        case .release(let entry):
            if isTaken, router.looksAtAcks { tellAcked(entry, session) }
            held.release(entry.held)
        case .unknown: break
        }
    }

    private func answer(_ packet: [UInt8], _ session: MQTTSession) {
        output.actions.append(.answer(session.client, output.made.append(packet, session.form)))
    }

    // MARK: Pressure

    /// What waits for a client that reads too slowly holds its producers, as its buffer does.
    private func updatePressure(_ session: MQTTSession) {
        let most = max(session.waiting.count * 16 / max(1, limits.mqtt.queueMessages), session.waitingBytes * 16 / max(1, limits.mqtt.queueBytes))
        if session.pressure == .none {
            guard most >= 8 else { return }
            session.pressure = .congested
            session.progress = (now, session.acknowledged)
            list(session)
        } else {
            guard most < 4 else { return }
            session.pressure = .none
        }
        tellPressure(session)
    }

    /// The client's buffer, or what waits in its session, whichever is worse, counts.
    func tellPressure(_ session: MQTTSession) {
        guard session.isConnected else { return }
        setPressure(max(session.pressure, clients[session.client.slot].pressure), of: session)
    }

    func setPressure(_ pressure: ConsumerPressure, of session: MQTTSession) {
        let subscriptions = session.isConnected ? clients[session.client.slot].subscriptions : session.subscriptions
        guard subscriptions > 0 else { return }
        router.index.setPressure(pressure, of: session.id)
        output.tell(.pressure(pressure, session.id))
        if pressure != .congested { releaseProducers(heldBy: session.id) }
    }

    /// The session is looked at with the next tick.
    func list(_ session: MQTTSession) {
        guard !session.isListed else { return }
        session.isListed = true
        listedSessions.append(session)
    }

    /// Sessions that wait for something that no event tells: room in all buffers, or a client that no longer acknowledges.
    func lookAtCongested() {
        guard !listedSessions.isEmpty else { return }
        let listed = listedSessions
        listedSessions = []
        for session in listed {
            session.isListed = false
            guard session.isConnected else { continue }
            pump(session)
            guard session.pressure == .congested else { continue }
            let enough = max(1, limits.mqtt.queueMessages / 4)
            if session.acknowledged - session.progress.acknowledged >= enough {
                session.progress = (now, session.acknowledged)
            } else if now - session.progress.at >= limits.mqtt.patience {
                session.pressure = .stuck
                tellPressure(session)
            }
            list(session)
        }
    }
}
