import MQTTCodec
import ShuntCore

/// PUBLISH and the answers to it, both ways (5.0 §3.3 to §3.7, §4.3).
extension MQTTFront {
    @inline(__always)
    func publish(_ packet: PlainPublish, at offset: Int, _ form: WireForm, _ hooks: (any RuleHooks)?) {
        router.output.figures.requests += 1
        router.output.figures.requestBytes += packet.size
        if engine.clients[client.slot].isRestricted, !engine.may(.publish, packet.topic, client) { return }
        guard let route = route(of: packet.topic) else { return }
        let stretch = Stretch(.input, form, offset: offset, count: packet.size)
        var id: Int64?
        let rules = router.rules(of: route, hooks)
        if !rules.isEmpty {
            let made = router.makeID()
            let answer = ask(rules, about: packet, id: made, route, hooks)
            guard case .passes = answer else { return publish(packet, id: made, stretch, route, hooks, after: .none, answer) }
            id = made
        }
        let relayed = router.relay(stretch, key: nil, isPlain: true, route)
        if case .all = relayed {
            router.output.figures.succeeded += 1
        } else {
            publish(packet, id: id ?? router.makeID(), stretch, route, hooks, after: relayed, id == nil ? .notAsked : .passes)
        }
    }

    @inline(never)
    private func ask(
        _ rules: RuleSelection, about packet: PlainPublish, id: Int64, _ route: RouteReference, _ hooks: (any RuleHooks)?
    ) -> RuleAnswer {
        router.ask(rules, about: message(packet, id: id), route, hooks)
    }

    /// One that rules do something with, or whose recipients need more than its bytes.
    @inline(never)
    private func publish(
        _ packet: PlainPublish, id: Int64, _ stretch: Stretch, _ route: RouteReference, _ hooks: (any RuleHooks)?,
        after relayed: TopicRouter.Relayed, _ said: RuleAnswer
    ) {
        count(router.publish(Publication(message(packet, id: id), as: stretch), route, hooks, after: relayed, said))
    }

    @inline(__always)
    private func message(_ packet: PlainPublish, id: Int64) -> MessageView {
        MessageView(kind: .topic, topic: packet.topic, key: nil, payload: packet.payload, format: .none, id: id, sender: client)
    }

    @inline(never)
    func publish(_ header: PacketHeader, _ bytes: Bytes, at offset: Int, _ hooks: (any RuleHooks)?) throws(MQTTFault) {
        let packet = try PublishView(header, bytes, version)
        var message = MessageView(packet, sender: client)
        message.id = router.makeID()
        // Passed on as it came, except for flags and the packet identifier, which are each recipient's own.
        var stretch = Stretch(.input, packet.qos == .atMostOnce ? form : form.numbered, offset: offset, count: header.size)
        if packet.qos == .atMostOnce, header.flags != 0 { stretch = .none }
        guard version.hasProperties else { return try publish(Publication(message, as: stretch), packet, hooks) }
        guard !packet.isRetained || engine.limits(of: client).keepsRetained else {
            throw MQTTFault(.retainNotSupported, "this worker keeps no retained messages (mqtt.retained.messages)", "MQTT-3.2.2-14")
        }
        let properties = try PublishProperties(packet.encodedProperties)
        message.take(properties)
        let isBroken = properties.isText && !UTF8Text.isPayload(packet.payload)
        guard properties.topicAlias > 0 || packet.topic.isEmpty else {
            return try publish(Publication(message, as: stretch), packet, hooks, isBroken: isBroken)
        }
        let topic = try topic(of: packet, alias: properties.topicAlias)
        let fault: MQTTFault? = topic.withUnsafeBytes {
            message.topic = $0
            do throws(MQTTFault) {
                try publish(Publication(message), packet, hooks, isBroken: isBroken)
                return nil
            } catch {
                return error
            }
        }
        if let fault { throw fault }
    }

    /// The topic that an alias stands for, or gets (5.0 §3.3.2.3.4).
    private func topic(of packet: PublishView, alias: UInt16) throws(MQTTFault) -> [UInt8] {
        guard alias > 0 else { throw MQTTFault(.protocolError, "an empty topic without an alias", "MQTT-3.3.2-8") }
        let most = engine.limits(of: client).topicAliases
        guard alias <= most, let session = engine.needSession(client) else {
            throw MQTTFault(.topicAliasInvalid, "topic alias \(alias); at most \(most)", "MQTT-3.3.2-9")
        }
        if packet.topic.isEmpty {
            guard let known = session.incomingAliases.topic(alias) else {
                throw MQTTFault(.protocolError, "topic alias \(alias) has no topic yet", "MQTT-3.3.2-7")
            }
            return known
        }
        guard packet.topic.count <= router.limits.topic else { return Array(packet.topic) }
        session.incomingAliases.name(alias, packet.topic)
        return Array(packet.topic)
    }

    /// - Parameter isBroken: the payload is not the text that it is said to be.
    private func publish(
        _ publication: Publication, _ packet: PublishView, _ hooks: (any RuleHooks)?, isBroken: Bool = false
    ) throws(MQTTFault) {
        guard packet.qos == .exactlyOnce else { return route(publication, packet, hooks, isBroken: isBroken) }
        guard let session = engine.needSession(client) else { return }
        // The same message again: it has been routed (MQTT-4.3.3-10), or is answered once it is decided about it.
        guard !session.received.contains(packet.identifier) else {
            if !engine.isUndecided(packet.identifier, client) { answer(.publishReceived, packet.identifier, .success) }
            return
        }
        // A client of 3.1.1 knows of no such bound: its identifiers are one.
        guard session.received.count < (version.hasProperties ? Int(engine.limits(of: client).receiveMaximum) : 65_535) else {
            throw MQTTFault(.receiveMaximumExceeded, "more than \(session.received.count) messages of QoS 2 at a time", "MQTT-3.3.4-7")
        }
        route(publication, packet, hooks, isBroken: isBroken)
    }

    /// Routes a message, and answers one of QoS 1 or 2: it is with the sessions of this loop, and on its way to the others.
    private func route(_ publication: Publication, _ packet: PublishView, _ hooks: (any RuleHooks)?, isBroken: Bool) {
        guard !isBroken else {
            router.output.figures.failed += 1
            return conclude(packet, .payloadFormatInvalid, "the payload is said to be UTF-8, and is not")
        }
        guard mayPublish(publication.message.topic) else {
            return conclude(packet, .notAuthorized, LoopEngine.denial(of: .publish, String(decoding: publication.message.topic, as: UTF8.self)))
        }
        if publication.message.topic.first == UInt8(ascii: "$"), let served = service(publication.message, packet) {
            if case .done(let reason, let text) = served { conclude(packet, reason, text) }
            return
        }
        switch publish(publication, hooks) {
        case .delivered?, .elsewhere?, .dropped?: conclude(packet, .success)
        case .nobody?: conclude(packet, .noMatchingSubscribers)
        case .rejected(let why)?: conclude(packet, .implementationSpecificError, why.isEmpty ? "a rule rejected the message" : why)
        case nil: conclude(packet, .topicNameInvalid, "the topic has more than \(router.limits.topic) bytes (limits.topic)")
        }
    }

    /// 3.1.1 cannot be told of a failure: its message counts as delivered.
    private func conclude(_ packet: PublishView, _ reason: ReasonCode, _ text: String = "") {
        guard packet.qos > .atMostOnce else { return }
        let type: PacketType = packet.qos == .atLeastOnce ? .publishAcknowledgement : .publishReceived
        if type == .publishReceived, !reason.isError || !version.hasProperties { session?.received.insert(packet.identifier) }
        answer(type, packet.identifier, reason, text)
    }

    /// A message for the worker itself is served.
    /// - Parameter text: what there is to say of it.
    func serve(_ type: PacketType, _ identifier: UInt16, _ text: String) {
        guard version.hasProperties, !text.isEmpty else { return answer(type, identifier, .success) }
        answer(text) { PublishAnswer(type, identifier, .success, properties: $0).encoded(version) }
    }

    /// A message for the worker itself, which has taken time to refuse it.
    func refuse(_ type: PacketType, _ identifier: UInt16, _ error: ShuntError) {
        if type == .publishReceived, version.hasProperties { _ = session?.received.remove(identifier) }
        answer(type, identifier, ReasonCode(refusingMessage: error.code), error.message)
    }

    private func answer(_ type: PacketType, _ identifier: UInt16, _ reason: ReasonCode, _ text: String = "") {
        guard version.hasProperties, reason != .success else {
            router.output.actions.append(.receipt(client, .mqtt(type, identifier)))
            return
        }
        answer(text) { PublishAnswer(type, identifier, reason, properties: $0).encoded(version) }
    }

    /// - Returns: nil where the topic is none that a message can have.
    private func publish(_ publication: Publication, _ hooks: (any RuleHooks)?) -> PublishOutcome? {
        guard let route = route(of: publication.message.topic) else { return nil }
        let outcome = router.publish(publication, route, hooks)
        count(outcome)
        return outcome
    }

    /// - Returns: nil where the topic is none that a message can have.
    @inline(__always)
    private func route(of topic: Bytes) -> RouteReference? {
        guard topic.count <= router.limits.topic else {
            router.output.figures.failed += 1
            return nil
        }
        let route = router.route(of: topic, last: engine.clients[client.slot].route)
        engine.clients[client.slot].route = route
        guard !route.isNone else {
            router.output.figures.failed += 1
            return nil
        }
        return route
    }

    private func count(_ outcome: PublishOutcome) {
        switch outcome {
        case .delivered, .elsewhere, .dropped: router.output.figures.succeeded += 1
        case .nobody, .rejected: router.output.figures.failed += 1
        }
        if router.leavesMore { engine.sendOthers() }
    }

    /// PUBREL: the client has PUBREC, and may use the identifier anew.
    func publishReleased(_ packet: PublishAnswer) {
        let isKnown = session?.received.remove(packet.identifier) ?? false
        answer(.publishComplete, packet.identifier, isKnown ? .success : .packetIdentifierNotFound)
    }

    // MARK: Messages to the client

    /// PUBACK.
    func acknowledged(_ packet: PublishAnswer) {
        guard let session else { return }
        engine.finish(session.window.acknowledged(packet.identifier, qos: .atLeastOnce), session, isTaken: !packet.reason.isError)
        engine.pump(session)
    }

    /// PUBREC.
    func publishReceived(_ packet: PublishAnswer) {
        guard let session else { return answer(.publishRelease, packet.identifier, .packetIdentifierNotFound) }
        guard !packet.reason.isError else {
            // The client does not want it, and nobody else gets it (MQTT-4.8.2-6).
            engine.finish(session.window.acknowledged(packet.identifier, qos: .exactlyOnce), session)
            return engine.pump(session)
        }
        let received = session.window.received(packet.identifier)
        engine.finish(received, session, isTaken: true)
        answer(.publishRelease, packet.identifier, received == .unknown ? .packetIdentifierNotFound : .success)
    }

    /// PUBCOMP.
    func publishCompleted(_ packet: PublishAnswer) {
        guard let session else { return }
        engine.finish(session.window.completed(packet.identifier), session)
        engine.pump(session)
    }
}
