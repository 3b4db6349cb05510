import MQTTCodec
import ShuntCore

/// Sessions of MQTT that are at home on this loop: who has which, and how they begin and end.
extension LoopEngine {
    /// The session of a client, or of a subscription.
    func session(of id: ConnectionID) -> MQTTSession? {
        if id.isSession { return sessions[id] }
        return isCurrent(id) ? clients[id.slot].identity?.session : nil
    }

    /// How subscriptions name a client of this loop.
    func subscriber(of connection: ConnectionID) -> ConnectionID {
        guard clients[connection.slot].protocolName == .mqtt else { return connection }
        return clients[connection.slot].identity?.session?.id ?? connection
    }

    /// The connection of a client that a subscription names; nil while it is away.
    func connection(of subscriber: ConnectionID) -> ConnectionID? {
        guard subscriber.isSession else { return isCurrent(subscriber) ? subscriber : nil }
        guard let client = sessions[subscriber]?.client, client != .none else { return nil }
        return client
    }

    /// The client's session, which it gets now if it has had none.
    func needSession(_ connection: ConnectionID) -> MQTTSession? {
        guard let identity = clients[connection.slot].identity else { return nil }
        if let session = identity.session { return session }
        let session = MQTTSession(
            connection, clientID: identity.name, identity: identity, version: clients[connection.slot].version, expiry: 0)
        session.client = connection
        session.receiveMaximum = limits.mqtt.inflight
        (session.will, identity.will) = (identity.will, nil)
        identity.session = session
        return session
    }

    /// A client's session is at home on another loop, which the client has not told yet who it is: the connection goes there.
    /// - Parameter offset: of the event's bytes, from which on they go along.
    func move(_ connection: ConnectionID, to home: UInt8, from offset: Int) {
        clients[connection.slot] = Client(state: .free, generation: connection.generation)
        output.actions.append(.move(connection, loop: home, offset: UInt32(offset)))
    }

    /// A client of a session has been answered: it gets what waits for it.
    func resume(_ session: MQTTSession) {
        guard session.isLasting else { return }
        tellPressure(session)
        pump(session)
    }

    // MARK: Beginning

    /// A client has said who it is, and is let in: another one of its name is closed, and its session goes on or ends.
    /// - Parameters:
    ///   - expiry: seconds; 0: the session ends with the connection.
    ///   - isAssigned: the worker has chosen the identifier. Nobody can take over a client of 3.1.1 that has one, as it was not told it.
    /// - Returns: whether an earlier session goes on.
    /// - Throws: `limit.memory` where there are too many sessions; `rule.rejected` where a rule closes the client meanwhile.
    func begin(_ greeting: Connect, expiry: UInt32, isAssigned: Bool, _ connection: ConnectionID) throws(ShuntError) -> Bool {
        guard let identity = clients[connection.slot].identity else { return false }
        try checkOwner(of: greeting.clientID, identity, connection)
        try count(greeting, identity)
        entering = connection
        defer { entering = .none }
        let before = takeOver(greeting.clientID)
        if let error = refusalByRule(of: connection) {
            uncount(identity)
            noteRefused(connection, error)
            throw error
        }
        let isPresent = try begin(greeting, expiry: expiry, isAssigned: isAssigned, connection, identity, after: before)
        guard let error = refusalByRule(of: connection) else { return isPresent }
        giveBack(connection, identity, clientID: greeting.clientID, isNew: !isPresent)
        noteRefused(connection, error)
        throw error
    }

    /// - Parameter before: what another client of the same identifier has left.
    private func begin(
        _ greeting: Connect, expiry: UInt32, isAssigned: Bool, _ connection: ConnectionID, _ identity: Client.Identity, after before: MQTTSession?
    ) throws(ShuntError) -> Bool {
        var session = before
        if greeting.isClean, let before {
            end(before, why: .sessionEnded)
            session = nil
        }
        if let session { sessions.returned(session) }
        let isPresent = session != nil
        var isNew = false
        if session == nil, expiry > 0 {
            do throws(ShuntError) {
                session = try newSession(greeting, expiry: expiry, identity)
                isNew = true
            } catch {
                uncount(identity)
                throw error
            }
        } else if session == nil, !isAssigned || greeting.version.hasProperties {
            sessions.enter(greeting.clientID, connection, clients)
        }
        guard let session else {
            list(connection)
            return false
        }
        identity.session = session
        if isPresent, session.version.hasProperties != greeting.version.hasProperties {
            let form: WireForm = greeting.version.hasProperties ? .mqtt5 : .mqtt3
            changeTerms(of: session.id) { $0.inForm(form) }
        }
        if session.identity !== identity {
            identity.rewritten = session.identity.rewritten
            (identity.chats, identity.broadcastQoS) = (session.identity.chats, session.identity.broadcastQoS)
            uncount(session.identity)
        }
        (session.identity, session.client, session.version, session.expiry) = (identity, connection, greeting.version, expiry)
        clients[connection.slot].subscriptions = session.subscriptions
        list(connection)
        // It may have come back with other rights.
        if isPresent { checkSubscriptions(of: connection) }
        if isPresent || isNew { tell(isPresent ? .resumed : .created, session) }
        return isPresent
    }

    /// Where clients are asked who they are, a client identifier is that user's who has it: nobody else takes over its session.
    /// - Throws: `access.denied`.
    private func checkOwner(of clientID: String, _ identity: Client.Identity, _ newcomer: ConnectionID) throws(ShuntError) {
        let owner: Client.Identity? =
            switch sessions.holder(of: clientID, loop, clients) {
            case .client(let connection)?: clients[connection.slot].identity
            case .session(let session)?: session.identity
            case nil: identity
            }
        guard owner?.access != nil || identity.access != nil, owner?.access?.admitted.uid != identity.access?.admitted.uid else { return }
        output.figures.denied += 1
        noteDenied(newcomer)
        throw ShuntError(.accessDenied, "the client identifier is in use by another user")
    }

    /// Closes another client of the same identifier that is here (MQTT-3.1.4-3).
    /// - Returns: the session that there is.
    private func takeOver(_ clientID: String) -> MQTTSession? {
        var found = sessions.holder(of: clientID, loop, clients)
        let old: ConnectionID? =
            switch found {
            case .client(let connection): connection
            case .session(let session) where session.isConnected: session.client
            default: nil
            }
        if let old {
            output.figures.takeovers += 1
            tellTakenOver(old)
            close(old, .sessionReplaced)
            // The session may have ended with it.
            leave(old, why: ErrorCode.sessionReplaced.rawValue)
            found = sessions.holder(of: clientID, loop, clients)
        }
        guard case .session(let session) = found else { return nil }
        return session
    }

    /// A client that has begun is not let in after all. A session that was there before it stays, as if the client had gone.
    private func giveBack(_ connection: ConnectionID, _ identity: Client.Identity, clientID: String, isNew: Bool) {
        listLeaving(connection, identity.session)
        clients[connection.slot].isAdmitted = false
        identity.will = nil
        guard let session = identity.session else {
            sessions.remove(clientID, connection)
            return uncount(identity)
        }
        away(session, connection)
        if isNew || session.expiry == 0 { end(session, why: .sessionEnded) }
    }

    /// The client of a lasting session goes away.
    /// - Returns: seconds until its will is published.
    @discardableResult
    private func away(_ session: MQTTSession, _ connection: ConnectionID) -> UInt32 {
        let slot = connection.slot
        (session.subscriptions, clients[slot].subscriptions) = (clients[slot].subscriptions, 0)
        (session.client, session.awaySince, session.lastAddress) = (.none, now, clients[connection.slot].address)
        session.window.disconnected()
        session.incomingAliases = IncomingAliases()
        session.outgoingAliases = OutgoingAliases(limit: 0)
        // The identity stays with the session; the connection needs no name any longer.
        clients[slot].identity?.session = nil
        // A client that a rule has closed while it was entering leaves the will that was there.
        if let will = session.will, will.departed == nil { will.departed = DepartedClient(connection, clients[slot]) }
        session.endsAt = session.expiry == .max ? .infinity : now + Double(session.expiry)
        let delay = min(session.will?.delay ?? 0, session.expiry)
        if delay > 0 { session.willAt = now + Double(delay) }
        sessions.left(session)
        setPressure(.absent, of: session)
        return delay
    }

    private func newSession(_ greeting: Connect, expiry: UInt32, _ identity: Client.Identity) throws(ShuntError) -> MQTTSession {
        while sessions.count >= limits.mqtt.sessions {
            guard let first = sessions.popFirstToEnd() else {
                throw ShuntError(.memoryLimit, "\(sessions.count) sessions are kept", help: "no more are allowed (mqtt.sessions)")
            }
            output.figures.sessionsEvicted += 1
            end(first, why: .sessionEnded)
        }
        let session = MQTTSession(
            sessions.nextID(loop), clientID: greeting.clientID, identity: identity, version: greeting.version, expiry: expiry)
        sessions.enter(session, clients)
        output.figures.sessions = sessions.count
        return session
    }

    // MARK: Ending

    /// A client has gone, or is to be closed: its will is published or waits, its session stays or ends. Once for each client.
    func leave(_ connection: ConnectionID, why: String) {
        let slot = connection.slot
        guard let identity = clients[slot].identity, clients[slot].isAdmitted else { return }
        listLeaving(connection, identity.session)
        let peer = hooks == nil ? nil : peer(connection)
        func tellLeft() {
            if let peer { tellGone(peer, why: why) }
            tellPresence(identity, connection, why: why)
        }
        clients[slot].isAdmitted = false
        output.figures.mqttClients -= 1
        deviceLeft(connection)
        forgetUndecided(of: connection, identity.session)
        guard let session = identity.session else {
            sessions.remove(identity.name, connection)
            uncount(identity)
            let will = identity.will
            identity.will = nil
            dropSubscriptions(of: connection)
            tellLeft()
            publish(will, of: identity, connection)
            return
        }
        guard session.isLasting else {
            sessions.remove(identity.name, connection)
            uncount(identity)
            let (will, groups) = (session.will, sharedGroups(of: session))
            // What other loops have under way finds no session.
            (session.will, session.client, identity.session) = (nil, .none, nil)
            dropSubscriptions(of: connection)
            tellLeft()
            giveUp(session, why: .sessionEnded, groups)
            publish(will, of: identity, connection)
            return
        }
        let delay = away(session, connection)
        if session.expiry == 0 { return end(session, why: .sessionEnded, afterwards: tellLeft) }
        tellLeft()
        guard delay == 0, let will = session.will else { return }
        session.will = nil
        publish(will, of: session.identity, connection, as: session.id)
    }

    /// Ends a lasting session whose client is away. What rules send then goes to others.
    /// - Parameter tell: tells of something else that has ended with its subscriptions.
    func end(_ session: MQTTSession, why: UndeliveredReason, _ event: SessionEvent = .ended, afterwards tell: () -> Void = {}) {
        let view = view(of: session)
        unlist(session.id)
        noteClient(session.id)
        let (will, groups) = (session.will, sharedGroups(of: session))
        session.will = nil
        sessions.remove(session)
        uncount(session.identity)
        output.figures.sessions = sessions.count
        if session.subscriptions > 0 {
            output.figures.subscriptions -= Int(session.subscriptions)
            session.subscriptions = 0
            router.index.removeAll(of: session.id)
            router.forgetQuestions(of: session.id)
            output.tell(.left(session.id))
            releaseProducers(heldBy: session.id)
        }
        tell()
        causedFrom(session.lastAddress) { self.tell(event, view) }
        giveUp(session, why: why, groups)
        causedFrom(session.lastAddress) { publish(will, of: session.identity) }
    }

    /// The client's subscriptions end with its connection: before its will and its messages go to others.
    private func dropSubscriptions(of connection: ConnectionID) {
        let slot = connection.slot
        guard clients[slot].subscriptions > 0 else { return }
        output.figures.subscriptions -= Int(clients[slot].subscriptions)
        clients[slot].subscriptions = 0
        router.index.removeAll(of: connection)
        router.forgetQuestions(of: connection)
        output.tell(.left(connection))
        releaseProducers(heldBy: connection)
    }

    /// What a session keeps is given up. Messages of shared subscriptions go to another member, except those of QoS 2 that may have arrived
    /// (MQTT-4.8.2-5).
    private func giveUp(_ session: MQTTSession, why: UndeliveredReason, _ groups: Set<String>) {
        var others: [(held: UInt32, handOver: HandOver, mayHaveArrived: Bool)] = []
        for entry in session.window.all where entry.held != HeldMessages.none {
            if entry.handOver.isShared, entry.handOver.qos == .atLeastOnce {
                others.append((entry.held, entry.handOver, true))
            } else {
                lose(entry.held, nil)
            }
        }
        for waiting in session.waiting.all {
            if waiting.handOver.isShared { others.append((waiting.held, waiting.handOver, false)) } else { lose(waiting.held, why) }
        }
        output.figures.inflight -= session.window.count
        output.figures.waiting -= session.waiting.count
        session.window.removeAll()
        session.waiting.removeAll()
        session.waitingBytes = 0
        for other in others {
            // It expires as it would have for the member that has left (MQTT-3.3.2-5).
            guard held.expiresAt(other.held) > now else {
                output.figures.expiredInSessions += 1
                lose(other.held, other.mayHaveArrived ? nil : .expired)
                continue
            }
            let number = aged(other.held, other.handOver)
            redeliver(number, to: groups)
            held.release(number)
        }
    }

    /// A message that was held for a session is given up.
    /// - Parameter why: nil where it may have arrived.
    func lose(_ number: UInt32, _ why: UndeliveredReason?) {
        if let why {
            output.figures.lostInSessions += 1
            held.setDead(number, undelivered(held.packet(number), held.form(number), why: why, isDead: held.isDead(number), now: now))
        }
        held.release(number)
    }

    /// The groups that a session shares, asked for before it leaves them.
    private func sharedGroups(of session: MQTTSession) -> Set<String> {
        guard session.hasSharedSubscriptions else { return [] }
        return Set(router.index.groups(of: session.id).filter { $0.utf8.first != 0 })
    }

    /// A group's member has gone for good: its message goes to another one.
    private func redeliver(_ number: UInt32, to groups: Set<String>) {
        guard var message = WireEncoder.read(held.packet(number), held.form(number)) else { return }
        message.isRetained = false
        message.qos = max(message.qos, .atLeastOnce)
        let route = router.route(of: message.topic, last: .none)
        guard !route.isNone else { return }
        router.deliver(message, route, toGroups: groups, isDead: held.isDead(number))
    }

    // MARK: Time

    /// Called with each tick: what expires is forgotten.
    func tickSessions() {
        router.retained.sweep(now: now)
        output.figures.absentSessions = sessions.absent
        output.figures.heldBytes = memoryInUse
        if memoryInUse < limits.mqtt.memory / 2 { hoarders = [] }
        (output.figures.retained, output.figures.retainedBytes) = (router.retained.count, router.retained.bytes)
        lookAtCongested()
    }

    // MARK: Silence

    /// Times are kept in eighths of a second; differences stay right when the count wraps.
    static func eighths(_ seconds: Double) -> UInt32 { UInt32(truncatingIfNeeded: UInt64(max(0, seconds) * 8)) }

    /// Closes clients that have sent nothing for one and a half times their keep alive (MQTT-3.1.2-24). Each tick looks at a tenth of all.
    /// A client that is held may have sent what has not been read.
    func closeSilent() {
        guard !clients.isEmpty else { return }
        let time = Self.eighths(now)
        for _ in 0..<(clients.count / 10 + 1) {
            silenceAt = silenceAt + 1 < clients.count ? silenceAt + 1 : 0
            let client = silenceAt
            guard clients[client].keepAlive > 0, clients[client].state == .open, !clients[client].isHeld else { continue }
            guard time &- clients[client].heardAt > UInt32(clients[client].keepAlive) * 12 else { continue }
            let connection = ConnectionID(loop: loop, slot: UInt32(client), generation: clients[client].generation)
            if !isWaiting(connection), !undecided.contains(connection) { close(connection, .keepAlive) }
        }
    }

    /// The driver does not read from a client: its silence does not count.
    public func isUnread(_ connection: ConnectionID, now: Double) {
        if isCurrent(connection) { clients[connection.slot].heardAt = Self.eighths(now) }
    }

    /// The clock was set, or the process stood still: what clients have sent meanwhile has not been read.
    func forgiveSilence() {
        let time = Self.eighths(now)
        for client in clients.indices { clients[client].heardAt = time }
    }
}
