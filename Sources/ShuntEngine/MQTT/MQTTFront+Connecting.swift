import MQTTCodec
import ShuntCore

/// CONNECT and DISCONNECT.
extension MQTTFront {
    /// - Returns: false where the client's session is at home on another loop, and the client moves there.
    func connect(_ body: Bytes, at offset: Int) throws(MQTTFault) -> Bool {
        let slot = client.slot
        engine.clients[slot].version = Connect.version(in: body) ?? .v3_1_1
        var greeting: Connect
        do throws(MQTTFault) {
            greeting = try Connect(decoding: body)
        } catch {
            // Of what 3.1.1 sends and cannot be understood only the version is answered (MQTT-3.1.2-2).
            if error.code == .unsupportedProtocolVersion {
                turnAway(.unsupportedProtocolVersion, .requestUnsupported, error.message)
                return true
            }
            throw error
        }
        let identity = Client.Identity()
        identity.maximumPacket = greeting.properties.maximumPacketSize ?? .max
        engine.clients[slot].identity = identity
        guard !engine.clients[slot].isTurnedAway else {
            sendElsewhere()
            return true
        }
        guard let isAssigned = name(&greeting) else {
            turnAway(.clientIdentifierNotValid, .requestInvalid, "an empty client identifier needs a clean session")
            return true
        }
        let home = SessionTable.home(of: greeting.clientID, loops: engine.loops)
        guard home == Int(engine.loop) else {
            engine.move(client, to: UInt8(home), from: offset)
            return false
        }
        guard !engine.goesElsewhere(clientID: greeting.clientID) else {
            sendElsewhere()
            return true
        }
        guard check(greeting) else { return true }
        identity.name = greeting.clientID
        identity.authMethod = greeting.properties.authenticationMethod
        if let method = identity.authMethod, method != Self.tokenMethod || !engine.takesTokens(client) {
            engine.arrivals.wait(client, as: greeting.clientID)
            authenticate(greeting, isAssigned: isAssigned, method: method)
            return true
        }
        switch engine.enter(client, { credentials(of: greeting, isAssigned: isAssigned) }) {
        case .waits:
            engine.arrivals.wait(client, as: greeting.clientID)
            return false
        case .refused(let error): turnAway(ReasonCode(refusingEntry: error.code), error.code, error.message)
        case .open: admit(greeting, identity, isAssigned: isAssigned)
        }
        return true
    }

    /// There is no room here. A client of 5.0 is told where there is (5.0 §4.13).
    private func sendElsewhere() {
        let other = version.hasProperties ? engine.neighbour(nil, Int(engine.clients[client.slot].listener)) : nil
        guard let other else { return turnAway(.serverBusy, .workerElsewhere, "this worker takes no more clients") }
        turnAway(.useAnotherServer, .workerElsewhere, other)
    }

    /// A client without an identifier gets one that is at home here.
    /// - Returns: whether it got one; nil where it may not be without.
    private func name(_ greeting: inout Connect) -> Bool? {
        guard greeting.clientID.isEmpty else { return false }
        guard greeting.isClean || greeting.version.hasProperties else { return nil }
        repeat {
            greeting.clientID = "auto-" + String(engine.random(), radix: 36)
        } while SessionTable.home(of: greeting.clientID, loops: engine.loops) != Int(engine.loop)
        return true
    }

    func credentials(of greeting: Connect, isAssigned: Bool) -> Credentials {
        let client = engine.clients[client.slot]
        var credentials = Credentials(
            listener: Int(client.listener), .mqtt, address: client.address, clientID: isAssigned ? "" : greeting.clientID,
            user: greeting.userName, password: greeting.properties.authenticationData ?? greeting.password)
        credentials.isToken = greeting.properties.authenticationMethod != nil
        return credentials
    }

    /// What a worker refuses besides broken packets.
    private func check(_ greeting: Connect) -> Bool {
        if let method = greeting.properties.authenticationMethod, method != Self.tokenMethod || !engine.takesTokens(client), !rulesAuthenticate {
            let known =
                engine.takesTokens(client) ? "the one authentication method here is \(Self.tokenMethod)" : "no authentication method is known here"
            turnAway(.badAuthenticationMethod, .requestUnsupported, known)
            return false
        }
        guard let will = greeting.will else { return true }
        guard will.topic.utf8.count <= router.limits.topic else {
            turnAway(.topicNameInvalid, .topicInvalid, "the will's topic has more than \(router.limits.topic) bytes (limits.topic)")
            return false
        }
        guard !will.isRetained || !version.hasProperties || router.limits.mqtt.keepsRetained else {
            turnAway(.retainNotSupported, .requestUnsupported, "this worker keeps no retained messages (mqtt.retained.messages)")
            return false
        }
        guard !LoopEngine.withBytes(will.topic, TopicRouter.isSystemTopic) else {
            turnAway(.notAuthorized, .topicInvalid, TopicRouter.systemTopicRefusal)
            return false
        }
        guard !LoopEngine.withBytes(will.topic, Self.isServiceTopic) else {
            turnAway(.topicNameInvalid, .topicInvalid, "'\(will.topic)' is the worker's own topic, which no will goes to")
            return false
        }
        return true
    }

    func admit(_ greeting: Connect, _ identity: Client.Identity, isAssigned: Bool) {
        let slot = client.slot
        // Where the listener asks, a name counts that has been proved.
        let isAsked = identity.access != nil
        let uid = isAsked ? identity.access?.admitted.uid : greeting.userName
        if identity.authMethod == Self.tokenMethod, engine.takesTokens(client) { identity.access?.isRenewable = true }
        identity.uid = uid ?? greeting.clientID
        engine.clients[slot].isAnonymous = uid == nil
        identity.properties = greeting.properties.userProperties
        for pair in identity.properties {
            if pair.name == "tag", identity.access?.admitted.tags == nil { identity.tags.append(pair.value) }
            if pair.name == "alias", identity.access?.admitted.alias == nil { identity.alias.append(pair.value) }
        }
        identity.will = greeting.will.map { Will($0) }
        engine.clients[slot].keepAlive = keepAlive(of: greeting)
        ask(greeting, identity, isAssigned: isAssigned, nil)
    }

    /// Has the rules decide, or goes on with what they have decided.
    private func ask(_ greeting: Connect, _ identity: Client.Identity, isAssigned: Bool, _ decided: ConnectOutcome?) {
        if let error = engine.admit(client, decided) {
            return turnAway(ReasonCode(refusingEntry: error.code), error.code, error.message)
        }
        guard engine.isWaiting(client) else { return enter(greeting, identity, isAssigned: isAssigned) }
        engine.arrivals.wait(client, as: greeting.clientID)
        engine.whenDecided(client) { [client] engine, outcome in
            MQTTFront(engine, client).ask(greeting, identity, isAssigned: isAssigned, outcome.connect)
        }
    }

    /// The client is let in.
    private func enter(_ greeting: Connect, _ identity: Client.Identity, isAssigned: Bool) {
        let keepAlive = keepAlive(of: greeting)
        guard !engine.arrivals.isOvertaken(client) else {
            engine.clients[client.slot].isAdmitted = false
            return turnAway(.clientIdentifierNotValid, .sessionReplaced, "another client of this identifier has come since")
        }
        if let will = greeting.will {
            do throws(ShuntError) {
                try demandPublishing(Array(will.topic.utf8), client)
            } catch {
                engine.clients[client.slot].isAdmitted = false
                return turnAway(.notAuthorized, error.code, error.message)
            }
        }
        let expiry = expiry(of: greeting)
        var accepted = ConnectAcknowledgement(hasSession: false, .success)
        if greeting.version.hasProperties {
            accepted.properties = properties(greeting, expiry: expiry, keepAlive: keepAlive, isAssigned: isAssigned)
        }
        // It is sent no packet that is larger than it takes, and cannot go on without this one.
        guard takes(accepted.encoded(greeting.version) ?? []) else {
            engine.clients[client.slot].isAdmitted = false
            return turnAway(.packetTooLarge, .frameTooLarge, "CONNACK is larger than the client takes")
        }
        do throws(ShuntError) {
            accepted.hasSession = try engine.begin(greeting, expiry: expiry, isAssigned: isAssigned, client)
        } catch {
            engine.clients[client.slot].isAdmitted = false
            return turnAway(ReasonCode(refusingEntry: error.code), error.code, error.message)
        }
        engine.arrivals.enter(client, as: greeting.clientID)
        router.output.figures.mqttClients += 1
        settle(greeting)
        router.publisher = engine.subscriber(of: client)
        router.output.figures.succeeded += 1
        answer(accepted.encoded(greeting.version) ?? [])
        engine.tellPresence(identity, client, why: nil)
        // A device that says what it is. One without tags becomes a device when it subscribes broadcasts.
        resumeServices()
        if !identity.tags.isEmpty || !identity.alias.isEmpty || identity.broadcastQoS != nil { registerByName(nil) }
        if let session { engine.resume(session) }
    }

    /// A client whom rules do not let be a device is a client still.
    private func registerByName(_ decided: RegisterOutcome?) {
        guard (try? engine.registerByName(client, decided)) == false else { return }
        engine.whenDecided(client) { [client] engine, outcome in MQTTFront(engine, client).registerByName(outcome.register) }
    }

    /// Seconds that the session is kept without a connection.
    private func expiry(of greeting: Connect) -> UInt32 {
        guard greeting.version.hasProperties else { return greeting.isClean ? 0 : router.limits.mqtt.sessionExpiry }
        return min(greeting.properties.sessionExpiry ?? 0, router.limits.mqtt.maximumSessionExpiry)
    }

    private func keepAlive(of greeting: Connect) -> UInt16 {
        let most = router.limits.mqtt.maximumKeepAlive
        guard greeting.version.hasProperties, most > 0, greeting.keepAlive == 0 || greeting.keepAlive > most else { return greeting.keepAlive }
        return most
    }

    /// What the client has asked for besides: kept in its session, if there is anything to keep.
    private func settle(_ greeting: Connect) {
        let asked = greeting.properties
        let asksForMore =
            asked.receiveMaximum != nil || asked.maximumPacketSize != nil || asked.topicAliasMaximum ?? 0 > 0
            || asked.requestProblemInformation == false
        if let session, let identity { (session.will, identity.will) = (identity.will, nil) }
        guard asksForMore || session != nil, let session = engine.needSession(client) else { return }
        session.receiveMaximum = min(Int(asked.receiveMaximum ?? .max), router.limits.mqtt.inflight)
        session.maximumPacket = asked.maximumPacketSize.map(Int.init) ?? .max
        session.wantsReasons = asked.requestProblemInformation ?? true
        session.outgoingAliases = OutgoingAliases(limit: min(asked.topicAliasMaximum ?? 0, router.limits.mqtt.topicAliases))
    }

    /// What a client of 5.0 is told of the worker (5.0 §3.2.2.3).
    private func properties(_ greeting: Connect, expiry: UInt32, keepAlive: UInt16, isAssigned: Bool) -> Properties {
        engine.clients[client.slot].announced = engine.announcements.present
        var properties = Properties.none
        if expiry != greeting.properties.sessionExpiry ?? 0 { properties.sessionExpiry = expiry }
        if keepAlive != greeting.keepAlive { properties.serverKeepAlive = keepAlive }
        if isAssigned { properties.assignedClientIdentifier = greeting.clientID }
        properties.authenticationMethod = greeting.properties.authenticationMethod
        if router.limits.mqtt.receiveMaximum < .max { properties.receiveMaximum = router.limits.mqtt.receiveMaximum }
        if router.limits.mqtt.topicAliases > 0 { properties.topicAliasMaximum = router.limits.mqtt.topicAliases }
        if !router.limits.mqtt.keepsRetained { properties.retainAvailable = false }
        if router.limits.frame < 268_435_460 { properties.maximumPacketSize = UInt32(router.limits.frame) }
        return properties
    }

    func turnAway(_ reason: ReasonCode, _ code: ErrorCode, _ why: String) {
        router.output.figures.failed += 1
        answer(reason == .useAnotherServer ? "" : why) { properties in
            var refused = ConnectAcknowledgement(reason, properties: properties)
            if reason == .useAnotherServer { refused.properties.serverReference = why }
            return refused.encoded(version) ?? []
        }
        engine.shut(client, code, why.isEmpty ? nil : why)
    }

    // MARK: DISCONNECT

    func disconnect(_ body: Bytes) throws(MQTTFault) {
        let goodbye = try Disconnect(decoding: body, version)
        if let expiry = goodbye.properties.sessionExpiry {
            guard expiry == 0 || session?.expiry ?? 0 > 0 else {
                throw MQTTFault(.protocolError, "a session expiry that was 0 is raised", "MQTT-3.14.2-2")
            }
            session?.expiry = min(expiry, router.limits.mqtt.maximumSessionExpiry)
        }
        if goodbye.reason == .success { forgetWill() }
        engine.leave(client, why: "DISCONNECT")
        engine.shut(client, nil)
    }

    private func forgetWill() {
        identity?.will = nil
        session?.will = nil
    }

    /// The connection has gone.
    func closed(why: String) { engine.leave(client, why: why == Self.closedByPeer ? "the connection ended without DISCONNECT" : why) }

    private static let closedByPeer = "closed by the client"
}
