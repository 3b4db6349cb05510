import MQTTCodec
import ShuntCore

/// One client of MQTT 3.1, 3.1.1 or 5.0, for the time of an event: packets become requests, outcomes become answers.
struct MQTTFront {
    let engine: LoopEngine
    let router: TopicRouter
    let client: ConnectionID

    init(_ engine: LoopEngine, _ client: ConnectionID) {
        self.engine = engine
        self.router = engine.router
        self.client = client
    }

    var version: MQTTVersion { engine.clients[client.slot].version }
    var form: WireForm { engine.clients[client.slot].form }
    var identity: Client.Identity? { engine.clients[client.slot].identity }
    var session: MQTTSession? { identity?.session }

    /// Takes whole packets.
    /// - Returns: the bytes that were taken.
    func received(_ bytes: Bytes) -> Int {
        let slot = client.slot
        engine.clients[slot].heardAt = LoopEngine.eighths(router.now)
        if engine.clients[slot].isAdmitted { router.publisher = engine.subscriber(of: client) }
        // Counted once an event, not once a message.
        let hooks = router.hooks
        let isNew = engine.clients[slot].announced == engine.announcements.present
        let limit = isNew ? router.limits.frame : engine.limits(of: client).frame
        var form = form
        var offset = 0
        while offset < bytes.count, !engine.isBatchFull, !router.takesLong {
            guard engine.clients[slot].state == .open else { return bytes.count }
            let rest = Bytes(rebasing: bytes[offset...])
            if engine.clients[slot].isAdmitted, let packet = PlainPublish(rest, hasProperties: form.hasProperties, limit: limit),
                packet.topic.first != UInt8(ascii: "$")
            {
                publish(packet, at: offset, form, hooks)
                offset += packet.size
                if router.index.blocker != .none {
                    engine.holdProducer(client)
                    return offset
                }
                continue
            }
            switch PacketDecoder.decode(rest, limit: limit) {
            case .packet(let header):
                guard handle(header, rest, at: offset, hooks) else { return offset }
                offset += header.size
                if engine.isWaiting(client) { return offset }
                if router.index.blocker != .none {
                    engine.holdProducer(client)
                    return offset
                }
                // What follows CONNECT is read by the version that it has named.
                if header.type == .connect { form = self.form }
            case .needMore:
                // Nobody waits for the rest of a first packet that is no CONNECT.
                guard mayBegin(rest[0]) else { return refuseFirst(bytes) }
                return offset
            case .malformed(let fault):
                guard mayBegin(rest[0]) else { return refuseFirst(bytes) }
                refuse(fault)
                return bytes.count
            }
        }
        return offset
    }

    /// - Returns: false where the client goes on elsewhere, or the packet comes again.
    @inline(never)
    private func handle(_ header: PacketHeader, _ bytes: Bytes, at offset: Int, _ hooks: (any RuleHooks)?) -> Bool {
        router.output.figures.requests += 1
        router.output.figures.requestBytes += header.size
        do throws(MQTTFault) {
            if header.type == .publish, engine.clients[client.slot].isAdmitted {
                try publish(header, bytes, at: offset, hooks)
                return true
            }
            router.output.figures.otherRequests += 1
            let body = Bytes(rebasing: bytes[header.headerSize..<header.size])
            if header.type == .connect, !engine.clients[client.slot].isAdmitted, !isAuthenticating { return try connect(body, at: offset) }
            if isAuthenticating, !engine.clients[client.slot].isAdmitted {
                try handleAuthenticating(header, body)
                return true
            }
            if header.type == .authenticate, version.hasProperties, engine.clients[client.slot].isAdmitted { return try renew(body) }
            try handleControl(header, body)
        } catch {
            refuse(error)
        }
        return true
    }

    @inline(never)
    private func handleControl(_ header: PacketHeader, _ body: Bytes) throws(MQTTFault) {
        guard engine.clients[client.slot].isAdmitted else { throw MQTTFault(.protocolError, "the first packet is no CONNECT", "MQTT-3.1.0-1") }
        switch header.type {
        case .connect: throw MQTTFault(.protocolError, "a second CONNECT", "MQTT-3.1.0-2")
        case .publishAcknowledgement: acknowledged(try PublishAnswer(header.type, decoding: body, version))
        case .publishReceived: publishReceived(try PublishAnswer(header.type, decoding: body, version))
        case .publishRelease: publishReleased(try PublishAnswer(header.type, decoding: body, version))
        case .publishComplete: publishCompleted(try PublishAnswer(header.type, decoding: body, version))
        case .subscribe: subscribe(try Subscribe(decoding: body, version))
        case .unsubscribe: unsubscribe(try Unsubscribe(decoding: body, version))
        case .pingRequest:
            try Ping.check(body)
            answer(Ping.response)
        case .disconnect: try disconnect(body)
        case .authenticate: throw MQTTFault(.protocolError, "packet type 15 is reserved")
        default: throw MQTTFault(.protocolError, "a packet of type \(header.type.rawValue), which a client has no reason to send")
        }
    }

    /// Whether the client shows by AUTH who it is.
    private var isAuthenticating: Bool { !engine.authentications.isEmpty && engine.authentications[client] != nil }

    /// Whether a packet may begin so.
    private func mayBegin(_ byte: UInt8) -> Bool {
        engine.clients[client.slot].isAdmitted || byte >> 4 == PacketType.connect.rawValue || isAuthenticating
    }

    /// A packet of a client that is not in yet (MQTT-3.1.2-30).
    private func handleAuthenticating(_ header: PacketHeader, _ body: Bytes) throws(MQTTFault) {
        switch header.type {
        case .authenticate: try goOnAuthenticating(try Authenticate(decoding: body))
        case .disconnect: engine.shut(client, nil)
        default: throw MQTTFault(.protocolError, "a packet that is no AUTH before CONNACK", "MQTT-3.1.2-30")
        }
    }

    /// A client that does not send CONNECT within 10 seconds is closed, one that finds no room within 1.5.
    func opened(now: Double) {
        engine.clients[client.slot].keepAlive = engine.clients[client.slot].isTurnedAway ? 1 : 7
        engine.clients[client.slot].heardAt = LoopEngine.eighths(now)
    }

    // MARK: Answers

    func answer(_ packet: [UInt8]) { router.output.actions.append(.answer(client, router.output.made.append(packet, form))) }

    /// Answers with a text for people, where the client wants it and takes so much (MQTT-3.1.2-29, MQTT-3.2.2-19, MQTT-3.14.2-3).
    /// - Parameter packet: gets the properties with the text, or none; empty: nothing is answered.
    func answer(_ text: String, _ packet: (Properties) -> [UInt8]) {
        var properties = Properties.none
        if version.hasProperties, session?.wantsReasons ?? true, !text.isEmpty { properties.reasonString = text }
        var bytes = packet(properties)
        if !takes(bytes) { bytes = packet(.none) }
        if !bytes.isEmpty, takes(bytes) { answer(bytes) }
    }

    /// Whether the client takes packets that are as large (MQTT-3.1.2-24).
    func takes(_ packet: [UInt8]) -> Bool { packet.count <= identity?.maximumPacket ?? .max }

    /// The client breaks the protocol. 5.0 is told so before it is closed; 3.1.1 has no packet for that (MQTT-4.13.1-1).
    @inline(never)
    func refuse(_ fault: MQTTFault) {
        router.output.figures.malformed += 1
        let code: ErrorCode =
            switch fault.code {
            case .packetTooLarge: .frameTooLarge
            case .notAuthorized: .ruleRejected
            default: .frameMalformed
            }
        if version.hasProperties {
            let isAdmitted = engine.clients[client.slot].isAdmitted
            answer(fault.message) {
                isAdmitted
                    ? Disconnect(fault.code, properties: $0).encoded(.v5) : ConnectAcknowledgement(fault.code, properties: $0).encoded(.v5) ?? []
            }
        }
        let name = identity?.name ?? ""
        engine.shut(client, code, name.isEmpty ? fault.message : "\(fault.message), from client '\(name)'")
    }

    @inline(never)
    private func refuseFirst(_ bytes: Bytes) -> Int {
        refuse(MQTTFault(.protocolError, "the first packet is no CONNECT", "MQTT-3.1.0-1"))
        return bytes.count
    }

    func tellStop() {
        guard version.hasProperties, engine.clients[client.slot].isAdmitted else { return }
        answer(Disconnect(.serverShuttingDown).encoded(.v5))
    }

    /// The worker closes a client of 5.0 and tells it why (5.0 §3.14).
    func tellClose(_ code: ErrorCode) {
        guard version.hasProperties, engine.clients[client.slot].isAdmitted else { return }
        let why =
            switch code {
            case .accessExpired: "its token is over, its password has changed, or its certificate is revoked"
            case .accessBanned: AccessRefusal.banned
            case .clientKicked: "an operator has closed this client"
            case .ruleRejected: engine.closeTexts[client] ?? ""
            case .frameTooLarge: "the answer to a request is larger than the client takes"
            default: ""
            }
        answer(why) { properties in
            var disconnect = Disconnect(ReasonCode(closing: code), properties: properties)
            // As a client that is refused is told (§4.13).
            if code == .workerElsewhere { disconnect.properties.serverReference = engine.neighbour(nil, Int(engine.clients[client.slot].listener)) }
            return disconnect.encoded(.v5)
        }
    }
}

extension ReasonCode {
    /// Why the worker closes a client.
    init(closing code: ErrorCode) {
        self =
            switch code {
            case .sessionReplaced: .sessionTakenOver
            case .keepAlive: .keepAliveTimeout
            case .ruleRejected, .accessBanned, .clientKicked: .administrativeAction
            case .accessExpired, .accessDenied: .notAuthorized
            case .accessRate: .messageRateTooHigh
            case .workerElsewhere: .useAnotherServer
            case .frameTooLarge: .packetTooLarge
            case .memoryLimit, .subscriptionLimit: .quotaExceeded
            case .topicInvalid: .topicFilterInvalid
            default: .unspecifiedError
            }
    }
}
