import MQTTCodec
import ShuntCore

/// One client of MQTT 3.1 or 3.1.1, for the time of an event: packets become requests, outcomes become answers.
///
/// Serves QoS 0. A subscription is granted QoS 0, whatever it asks for; a message of a higher QoS closes its client, as 3.1.1 has no other way
/// to refuse one. Nothing is kept of a client that has gone, and no message is retained.
struct MQTTFront {
    let engine: LoopEngine
    let router: TopicRouter
    let client: ConnectionID

    init(_ engine: LoopEngine, _ client: ConnectionID) {
        self.engine = engine
        self.router = engine.router
        self.client = client
    }

    /// Takes whole packets.
    /// - Returns: the bytes that were taken.
    func received(_ bytes: Bytes) -> Int {
        let slot = client.slot
        engine.clients[slot].heardAt = LoopEngine.eighths(router.now)
        // Counted once an event, not once a message.
        let hooks = router.hooks
        var offset = 0
        while offset < bytes.count, !engine.isBatchFull, !router.takesLong {
            guard engine.clients[slot].state != .closing else { return bytes.count }
            let rest = Bytes(rebasing: bytes[offset...])
            if engine.clients[slot].isAdmitted, let packet = PlainPublish(rest, limit: router.limits.frame) {
                publish(packet, at: offset, hooks)
                offset += packet.size
                if router.index.blocker != .none {
                    engine.holdProducer(client)
                    return offset
                }
                continue
            }
            switch PacketDecoder.decode(rest, limit: router.limits.frame) {
            case .packet(let header):
                handle(header, rest, at: offset, hooks)
                offset += header.size
                if router.index.blocker != .none {
                    engine.holdProducer(client)
                    return offset
                }
            case .needMore:
                // Nobody waits for the rest of a first packet that is no CONNECT.
                guard engine.clients[slot].isAdmitted || rest[0] >> 4 == PacketType.connect.rawValue else { return refuseFirst(bytes) }
                return offset
            case .malformed(let fault):
                guard engine.clients[slot].isAdmitted || rest[0] >> 4 == PacketType.connect.rawValue else { return refuseFirst(bytes) }
                refuse(fault)
                return bytes.count
            }
        }
        return offset
    }

    @inline(never)
    private func handle(_ header: PacketHeader, _ bytes: Bytes, at offset: Int, _ hooks: (any RuleHooks)?) {
        router.output.figures.requests += 1
        router.output.figures.requestBytes += header.size
        do throws(MQTTFault) {
            if header.type == .publish, engine.clients[client.slot].isAdmitted {
                try publish(header, bytes, at: offset, hooks)
            } else {
                try handleControl(header, Bytes(rebasing: bytes[header.headerSize..<header.size]))
            }
        } catch {
            refuse(error)
        }
    }

    @inline(never)
    private func handleControl(_ header: PacketHeader, _ body: Bytes) throws(MQTTFault) {
        guard engine.clients[client.slot].isAdmitted != (header.type == .connect) else {
            throw header.type == .connect
                ? MQTTFault(.protocolError, "a second CONNECT", "MQTT-3.1.0-2")
                : MQTTFault(.protocolError, "the first packet is no CONNECT", "MQTT-3.1.0-1")
        }
        switch header.type {
        case .connect: try connect(body)
        case .subscribe: subscribe(try Subscribe(decoding: body, .v3_1_1))
        case .unsubscribe: unsubscribe(try Unsubscribe(decoding: body, .v3_1_1))
        case .pingRequest:
            try Ping.check(body)
            answer(Ping.response)
        case .disconnect:
            _ = try Disconnect(decoding: body, .v3_1_1)
            engine.clients[client.slot].identity?.will = nil
            engine.close(client, nil)
        default: throw MQTTFault(.protocolError, "a packet of type \(header.type.rawValue), which a client has no reason to send")
        }
    }

    // MARK: CONNECT

    /// A client that does not send CONNECT within 10 seconds is closed.
    func opened(now: Double) {
        engine.clients[client.slot].keepAlive = 7
        engine.clients[client.slot].heardAt = LoopEngine.eighths(now)
    }

    private func connect(_ body: Bytes) throws(MQTTFault) {
        var greeting: Connect
        do throws(MQTTFault) {
            greeting = try Connect(decoding: body)
        } catch {
            // Of what cannot be understood only the version is answered (MQTT-3.1.2-2).
            if error.code == .unsupportedProtocolVersion { return turnAway(.unsupportedProtocolVersion, .requestUnsupported) }
            throw error
        }
        guard greeting.version < .v5 else { return turnAway(.unsupportedProtocolVersion, .requestUnsupported, .v5) }
        let isAnonymous = greeting.clientID.isEmpty
        if isAnonymous {
            guard greeting.isClean else { return turnAway(.clientIdentifierNotValid, .requestInvalid) }
            greeting.clientID = "auto-" + String(client.raw, radix: 36)
        }
        guard greeting.will.map({ $0.qos == .atMostOnce && $0.topic.utf8.count <= router.limits.topic }) ?? true else {
            throw MQTTFault(.qosNotSupported, "a will of QoS 1 or 2, or of a long topic")
        }
        let slot = client.slot
        let identity = Client.Identity()
        identity.uid = greeting.userName ?? greeting.clientID
        identity.device = greeting.clientID
        engine.clients[slot].identity = identity
        if let error = engine.admit(client) { return turnAway(error.code == .workerElsewhere ? .serverMoved : .notAuthorized, error.code) }
        if let will = greeting.will { identity.will = Will(topic: Array(will.topic.utf8), payload: will.payload) }
        engine.clients[slot].keepAlive = greeting.keepAlive
        // An identifier that the worker has chosen is not registered: no other client can take it over.
        if !isAnonymous { engine.greeted(greeting.clientID, client) }
        router.output.figures.succeeded += 1
        answer(ConnectAcknowledgement(.success).encoded(.v3_1_1) ?? [])
    }

    private func turnAway(_ reason: ReasonCode, _ code: ErrorCode, _ version: MQTTVersion = .v3_1_1) {
        router.output.figures.failed += 1
        if let packet = ConnectAcknowledgement(reason).encoded(version) { answer(packet) }
        engine.close(client, code)
    }

    /// The client has gone: its will is published, unless it has said goodbye.
    func closed() {
        guard let identity = engine.clients[client.slot].identity else { return }
        engine.forget(identity.device, client)
        guard let will = identity.will else { return }
        identity.will = nil
        will.topic.withUnsafeBytes { topic in
            will.payload.withUnsafeBytes { payload in
                publish(
                    MessageView(
                        kind: .topic, topic: topic, key: nil, payload: payload, format: .text, id: router.makeID(), sender: client), router.hooks)
            }
        }
    }

    // MARK: PUBLISH

    @inline(__always)
    private func publish(_ packet: PlainPublish, at offset: Int, _ hooks: (any RuleHooks)?) {
        router.output.figures.requests += 1
        router.output.figures.requestBytes += packet.size
        let message = MessageView(
            kind: .topic, topic: packet.topic, key: nil, payload: packet.payload, format: .text, id: router.makeID(), sender: client)
        publish(Publication(message, as: Stretch(.input, .mqtt3, offset: offset, count: packet.size)), hooks)
    }

    @inline(never)
    private func publish(_ header: PacketHeader, _ bytes: Bytes, at offset: Int, _ hooks: (any RuleHooks)?) throws(MQTTFault) {
        let packet = try PublishView(header, bytes, .v3_1_1)
        guard packet.qos == .atMostOnce else {
            throw MQTTFault(.qosNotSupported, "a message of QoS \(packet.qos.rawValue); this worker takes QoS 0")
        }
        var message = MessageView(packet, sender: client)
        message.id = router.makeID()
        // Relayed as it came, unless it has the retain flag (MQTT-3.3.1-9).
        guard header.flags == 0 else { return publish(message, hooks) }
        publish(Publication(message, as: Stretch(.input, .mqtt3, offset: offset, count: header.size)), hooks)
    }

    private func publish(_ message: MessageView, _ hooks: (any RuleHooks)?) { publish(Publication(message), hooks) }

    /// 3.1.1 has no way to tell what became of a message.
    @inline(__always)
    private func publish(_ publication: Publication, _ hooks: (any RuleHooks)?) {
        let topic = publication.message.topic
        guard topic.count <= router.limits.topic else {
            router.output.figures.failed += 1
            return
        }
        let route = router.route(of: topic, last: engine.clients[client.slot].route)
        engine.clients[client.slot].route = route
        guard !route.isNone else {
            router.output.figures.failed += 1
            return
        }
        switch router.publish(publication, route, hooks) {
        case .delivered, .dropped: router.output.figures.succeeded += 1
        case .nobody, .rejected: router.output.figures.failed += 1
        }
        if !router.others.isEmpty { engine.sendOthers() }
    }

    // MARK: SUBSCRIBE, UNSUBSCRIBE

    /// Each filter is answered by itself, once all loops know it.
    private func subscribe(_ packet: Subscribe) {
        let reasons = packet.filters.map { filter -> ReasonCode in
            do throws(ShuntError) {
                let request = try Self.request(filter.filter)
                try engine.check(request, mayHaveNoGroup: true)
                // One that is there already is replaced by itself (MQTT-3.8.4-3).
                _ = try engine.subscribe(request, terms: DeliveryTerms(.mqtt3), client)
                return .success
            } catch {
                router.output.figures.failed += 1
                return .unspecifiedError
            }
        }
        acknowledge(SubscribeAnswer(.subscribeAcknowledgement, packet.identifier, reasons))
    }

    private func unsubscribe(_ packet: Unsubscribe) {
        let reasons = packet.filters.map { filter -> ReasonCode in
            guard let request = try? Self.request(filter), engine.unsubscribe(request, client) else { return .noSubscriptionExisted }
            return .success
        }
        acknowledge(SubscribeAnswer(.unsubscribeAcknowledgement, packet.identifier, reasons))
    }

    /// A shared subscription names its group in the filter (MQTT 5.0 §4.8.2); any other is one of the client's own.
    private static func request(_ filter: String) throws(ShuntError) -> SubscriptionRequest {
        // By bytes: a mark that combines with a separator does not make another letter of it.
        guard filter.utf8.starts(with: "$share/".utf8) else { return SubscriptionRequest(topic: filter, group: "") }
        let parts = filter.utf8.split(separator: UInt8(ascii: "/"), maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, !parts[1].isEmpty, !parts[2].isEmpty, !parts[1].contains(UInt8(ascii: "+")), !parts[1].contains(UInt8(ascii: "#"))
        else {
            throw ShuntError(.topicInvalid, "'\(filter)' is no shared subscription", help: "$share/GROUP/FILTER (MQTT 5.0 §4.8.2)")
        }
        return SubscriptionRequest(topic: String(Substring(parts[2])), group: String(Substring(parts[1])))
    }

    private func acknowledge(_ packet: SubscribeAnswer) {
        engine.acknowledgeOnceConfirmed(.bytes(packet.encoded(.v3_1_1), .mqtt3), client)
    }

    // MARK: Answers

    private func answer(_ packet: [UInt8]) {
        router.output.actions.append(.answer(client, router.output.made.append(packet, .mqtt3)))
    }

    /// 3.1.1 tells nothing before it closes a client that breaks the protocol (MQTT-4.8.0-1).
    @inline(never)
    private func refuse(_ fault: MQTTFault) {
        router.output.figures.malformed += 1
        let code: ErrorCode =
            switch fault.code {
            case .packetTooLarge: .frameTooLarge
            case .qosNotSupported: .requestUnsupported
            default: .frameMalformed
            }
        engine.close(client, code)
    }

    @inline(never)
    private func refuseFirst(_ bytes: Bytes) -> Int {
        refuse(MQTTFault(.protocolError, "the first packet is no CONNECT", "MQTT-3.1.0-1"))
        return bytes.count
    }
}
