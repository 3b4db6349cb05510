import ShuntCore

/// Everything that one loop of a worker decides: clients, subscriptions, routing.
///
/// Events come in by calls; what is to be done about them is appended to `output`, which the driver carries out and clears. A front per
/// protocol turns a client's bytes into requests, and what becomes of these into answers. No sockets, clock or randomness of its own: a test
/// drives it with bytes and compares actions.
public final class LoopEngine {
    public let output: LoopOutput
    let router: TopicRouter
    var clients: ContiguousArray<Client> = []
    var devices = DeviceIndex()
    var broadcasts: [UInt32: Broadcast] = [:]
    var lastBroadcast: UInt32 = 0
    var house: ChatHouse
    /// Answers that wait for the master.
    var pending = PendingAnswers()
    /// Answers that wait for the other loops.
    var confirmations: SubscriptionConfirmations
    /// The clients of this loop that wait for a congested consumer, on whatever loop that is.
    var producersHeldBy: [ConnectionID: [ConnectionID]] = [:]
    /// The clients of MQTT that are at home here.
    var sessions = SessionTable()
    /// The messages that wait for sessions.
    let held = HeldMessages()
    /// Sessions that are looked at with the next tick.
    var listedSessions: [MQTTSession] = []
    /// SUBSCRIBE packets with filters that have no answer yet, by their numbers; and answers that came before the packet was read to its end.
    var waitingSubscribes: [UInt32: WaitingSubscribe] = [:]
    var earlyAnswers: [(place: UInt16, error: ShuntError?)] = []
    var lastSubscribe: UInt32 = 0
    var readSubscribe: UInt32?
    /// Where clients of a listener reach the worker of this name, or one that has room.
    let neighbour: (_ worker: String?, _ listener: Int) -> String?
    /// For client identifiers that the worker chooses.
    let random: () -> UInt64
    /// The client of MQTT that is being let in and has no CONNACK yet.
    var entering = ConnectionID.none
    /// Why clients are closed that are being closed, in a sentence.
    var closeTexts: [ConnectionID: String] = [:]
    /// How many messages wait in a client's buffer.
    public var waiting: (ConnectionID) -> Int = { _ in 0 }
    /// Clients that go to other workers.
    var departures = Departures()
    /// Bytes of wills and user properties of clients.
    var ownBytes = 0
    /// Sessions that hold much of `mqtt.memory` while it is full, the largest last, when they were sought, and who the largest was.
    var hoarders: [MQTTSession] = []
    var hoardersSoughtAt = -Double.infinity
    public internal(set) var largestHoarder = ""
    /// What a client was denied last, and by what.
    public var deniedExample: String { router.deniedExample }
    /// How clients are let in, by the numbers of their listeners; empty: everybody is, and may do everything.
    var access: [ListenerAccess] = []
    /// Clients about whom it is being decided, from `LoopAction.authenticate` on; what they have shown, until the driver takes it; and what was
    /// decided about them.
    var undecided: Set<ConnectionID> = []
    var credentialsOf: [ConnectionID: Credentials] = [:]
    var admissions: [ConnectionID: Admission] = [:]
    /// Clients whose rules look something up, and what goes on then; what was decided for clients whose first frame comes again.
    var ruleWaits: [ConnectionID: RuleContinuation] = [:]
    var ruleOutcomes: [ConnectionID: WaitedOutcome] = [:]
    /// Packet identifiers of messages of QoS 2 for the worker itself that wait, by their clients.
    var undecidedMessages: [ConnectionID: Set<UInt16>] = [:]
    /// Clients of MQTT that wait to be let in, by their identifiers.
    var arrivals = Arrivals()
    /// Clients that show by AUTH who they are.
    var authentications: [ConnectionID: Authentication] = [:]
    /// Whom operators keep out.
    var bans = Bans()
    var bansSeenAt = -Double.infinity
    /// Whom this loop has refused since `takeRefused`.
    var refused = RefusedClients(capacity: 256)
    /// When clients have to go; some entries no longer count.
    var expiries = Deadlines<ConnectionID>()
    /// How often devices have registered again in a second.
    var registrations = (second: 0.0, counts: [ConnectionID: Int]())
    /// Where the search for silent clients goes on.
    var silenceAt = 0
    /// What rules have made of the message that was offered last.
    let replacement = MadeBytes()
    /// Where it is in there.
    var replaced = Stretch.none
    /// The broadcast that was offered last, its place and text, until `clear`.
    var broadcastText: (start: UnsafeRawPointer, count: Int, text: String)?
    /// The frame of the broadcast that is being delivered.
    var broadcastFrame = Stretch.none
    /// The chat message that was made last, until `clear`.
    var lastChatFrame: ChatFrame?
    /// A chat's sender that is connected to another loop, while rules look at what it sends; or a will's client, which has gone.
    var guest: Peer?
    /// Scratch for the devices that a broadcast is for.
    var matching: ContiguousArray<ConnectionID> = []
    /// What rules have said of clients, and what they send later.
    var rulesState = RuleState()
    /// What rules of all loops find of the clients of this loop.
    var listing = SessionListing()
    /// What the master is still to be told of clients.
    var clientNews = ClientNews()
    /// What clients of MQTT 5.0 have been told of the limits.
    var announcements: Announcements
    private var tickedAt: Double?
    private var lastSubscription: UInt64 = 0

    /// An event stops taking requests when it has caused so many actions; the driver carries them out and goes on.
    public static let batchSize = 2048
    /// The same for bytes that the engine has made.
    static let batchBytes = 1 << 20

    /// - Parameters:
    ///   - random: for client identifiers that nobody is to guess.
    ///   - inflate: the plain bytes of a packed payload; nil where they are broken, or more than so many.
    ///   - neighbour: `host:port` where clients of a listener, by its number, reach the worker of a name, or (nil) one that has room.
    public init(
        loop: UInt8, of loops: Int = 1, limits: RoutingLimits = .init(), strategies: GroupStrategies = .init(),
        slowPolicies: SlowConsumerPolicies = .init(), chat: ChatSettings = .init(hasMasters: false), hooks: (any RuleHooks)? = nil,
        random: @escaping () -> UInt64 = { .random(in: .min ... .max) },
        inflate: @escaping (Bytes, PayloadCompression, Int) -> [UInt8]? = { _, _, _ in nil },
        neighbour: @escaping (_ worker: String?, _ listener: Int) -> String? = { worker, _ in worker }
    ) {
        output = LoopOutput(loop: loop, of: loops)
        router = TopicRouter(
            output, SubscriptionIndex(strategies: strategies, slowPolicies: slowPolicies), limits: limits,
            encoder: WireEncoder(output.made, inflated: limits.inflated, inflate), hooks: hooks)
        house = ChatHouse(chat)
        announcements = Announcements(limits)
        self.random = random
        self.neighbour = neighbour
        confirmations = SubscriptionConfirmations(loop: loop, loops: loops)
    }

    public var loop: UInt8 { output.loop }
    var loops: Int { output.loops }
    var hooks: (any RuleHooks)? { router.hooks }
    var limits: RoutingLimits { router.limits }
    /// Seconds since 1970, of the event that is being handled.
    var now: Double { router.now }

    // MARK: Clients

    /// A client has connected.
    /// - Parameters:
    ///   - listener: its listener's number.
    ///   - isTurnedAway: there is no room for it: it is told where there is some.
    public func opened(
        _ connection: ConnectionID, address: PeerAddress, speaking protocolName: ClientProtocol = .exchange, listener: UInt8 = 0,
        isTurnedAway: Bool = false, now: Double
    ) {
        let slot = connection.slot
        while clients.count <= slot { clients.append(Client()) }
        clients[slot] = Client(
            state: .open, protocolName: protocolName, generation: connection.generation, listener: listener, isTurnedAway: isTurnedAway,
            announced: announcements.present, address: address, connectedAt: now)
        if protocolName == .mqtt { MQTTFront(self, connection).opened(now: now) } else { ExchangeFront(self, connection).opened(now: now) }
    }

    /// A client's bytes have come, which the driver calls `received` for, once or several times.
    @inline(__always)
    public func beginRead() { router.beginRead() }

    /// Bytes have arrived, from a request's first byte on.
    /// - Returns: how many bytes of whole requests were taken. If that is less than there is and there are actions,
    ///   the driver carries them out and calls again with the rest; otherwise a request is incomplete.
    public func received(_ bytes: Bytes, on connection: ConnectionID, now: Double) -> Int {
        router.now = now
        let slot = connection.slot
        guard slot < clients.count, clients[slot].generation == connection.generation else { return bytes.count }
        router.index.blocker = .none
        if clients[slot].isRestricted || router.permissions != nil { router.permissions = clients[slot].identity?.access?.permissions }
        switch clients[slot].protocolName {
        case .exchange: return ExchangeFront(self, connection).received(bytes)
        case .mqtt: return MQTTFront(self, connection).received(bytes)
        }
    }

    /// Whether an event is to end, so that the driver carries out what it has caused; then it goes on with the rest of the bytes.
    @inline(__always)
    public var isBatchFull: Bool { output.actions.count >= batch || output.made.size >= Self.batchBytes }

    /// Whether rules have taken so long since `beginRead` that other clients are to have their turn: the driver keeps the rest for later.
    public var takesLong: Bool { hooks?.takesLong ?? false }

    /// After how many actions the driver carries them out. Where rules see deliveries these take time, and are looked at more often.
    private var batch: Int { router.looksAtDeliveries ? 32 : Self.batchSize }

    /// The client has gone.
    public func closed(_ connection: ConnectionID, why: String, now: Double) {
        router.now = now
        let slot = connection.slot
        guard slot < clients.count, clients[slot].generation == connection.generation, clients[slot].state != .free else { return }
        var gone: Peer?
        if clients[slot].protocolName == .mqtt {
            MQTTFront(self, connection).closed(why: why)
        } else {
            unlist(connection)
            if clients[slot].isAdmitted {
                noteClient(connection)
                gone = hooks == nil ? nil : peer(connection)
            }
        }
        if hasPaces { rulesState.paces[connection] = nil }
        if !rulesState.refusals.isEmpty { rulesState.refusals[connection] = nil }
        if clients[slot].subscriptions > 0 {
            output.figures.subscriptions -= Int(clients[slot].subscriptions)
            router.index.removeAll(of: connection)
            output.tell(.left(connection))
            releaseProducers(heldBy: connection)
        }
        if clients[slot].isHeld { forgetHeld(connection) }
        if clients[slot].pressure == .stuck { output.figures.stuckConsumers -= 1 }
        confirmations.forget(connection)
        if !departures.leaving.isEmpty { departures.leaving[connection] = nil }
        forgetSubscribes(of: connection)
        forgetAdmission(of: connection)
        forgetWait(of: connection)
        if !arrivals.isEmpty, let identity = clients[slot].identity { arrivals.leave(connection, as: identity.name) }
        if !closeTexts.isEmpty { closeTexts[connection] = nil }
        deviceLeft(connection)
        if clients[slot].isInChat { leaveChats(connection) }
        // A rule has nothing left to close.
        clients[slot].state = .closing
        if let gone { tellGone(gone, why: why) }
        clients[slot] = Client(state: .free, generation: connection.generation)
    }

    /// Runs `on_disconnect` once nothing goes to the client any more: what rules send there is for others.
    /// - Parameter peer: who it was.
    func tellGone(_ peer: Peer, why: String) {
        guard let hooks else { return }
        hooks.onDisconnect(peer, why: why, now: now)
        sendEmitted(hooks)
    }

    /// The client's out-buffer is filling up, has drained, or nobody is to wait for it any longer. Its groups prefer others meanwhile.
    public func pressure(_ pressure: ConsumerPressure, on connection: ConnectionID) {
        guard isCurrent(connection) else { return }
        let slot = connection.slot
        output.figures.stuckConsumers += (pressure == .stuck ? 1 : 0) - (clients[slot].pressure == .stuck ? 1 : 0)
        clients[slot].pressure = pressure
        if let session = session(of: connection) {
            tellPressure(session)
            if pressure == .none { pump(session) }
            return
        }
        guard clients[slot].subscriptions > 0 else { return }
        router.index.setPressure(pressure, of: connection)
        output.tell(.pressure(pressure, connection))
        if pressure != .congested { releaseProducers(heldBy: connection) }
    }

    /// Why a client is closed, in a sentence, if there is more to say than its code.
    public func takeCloseText(of connection: ConnectionID) -> String? { closeTexts.isEmpty ? nil : closeTexts.removeValue(forKey: connection) }

    func isCurrent(_ connection: ConnectionID) -> Bool {
        connection.loop == loop && connection.slot < clients.count && clients[connection.slot].generation == connection.generation
            && clients[connection.slot].state != .free
    }

    /// Closes a client, once it has been written what waits for it.
    /// - Parameter code: why; nil where the client has asked for it.
    func close(_ connection: ConnectionID, _ code: ErrorCode?) {
        guard isCurrent(connection), clients[connection.slot].state == .open else { return }
        if let code, clients[connection.slot].protocolName == .mqtt { MQTTFront(self, connection).tellClose(code) }
        shut(connection, code)
    }

    /// The same without a word.
    /// - Parameter text: why, for the log.
    func shut(_ connection: ConnectionID, _ code: ErrorCode?, _ text: String? = nil) {
        guard isCurrent(connection) else { return }
        if let text {
            let isHidden = code == .ruleRejected && hooks?.hidesReason(text) == true
            closeTexts[connection] = isHidden ? "the rule's reason repeats what the client has sent, and is not logged" : text
        }
        clients[connection.slot].state = .closing
        output.actions.append(.close(connection, code))
    }

    /// Runs `on_connect` with a client's first request.
    /// - Parameter decided: what it has decided already.
    /// - Returns: why it is not let in; nil where it is, or where it waits for its rules (`isWaiting`).
    @inline(never)
    func admit(_ connection: ConnectionID, _ decided: ConnectOutcome? = nil) -> ShuntError? {
        let error = reasonToRefuse(connection, decided)
        if let error { noteRefused(connection, error) }
        // A client of MQTT is in once it has its session.
        guard clients[connection.slot].protocolName == .exchange else { return error }
        if clients[connection.slot].isAdmitted { clients[connection.slot].keepAlive = 0 }
        list(connection)
        return error
    }

    private func reasonToRefuse(_ connection: ConnectionID, _ decided: ConnectOutcome?) -> ShuntError? {
        let slot = connection.slot
        if let hooks, let peer = peer(connection) {
            let outcome = decided ?? hooks.onConnect(peer, now: now)
            sendEmitted(hooks)
            switch outcome {
            case .accept: break
            case .waits:
                beginWait(connection)
                return nil
            case .acceptAs(let uid, let tags, let alias, let terms):
                if let until = terms.expiresAt, until <= now { return Self.over }
                let identity = clients[slot].identity ?? Client.Identity()
                if let uid { identity.uid = uid }
                if let tags { identity.tags = tags }
                if let alias { identity.alias = alias }
                clients[slot].identity = identity
                if let uid { name(connection, uid) }
                if terms != ClientTerms() { settle(terms, connection) }
            case .reject(let why): return ShuntError(.ruleRejected, why)
            case .redirect(let worker): return ShuntError(.workerElsewhere, worker)
            }
        }
        guard !clients[slot].needsName else { return Self.unknown }
        if let error = refusal(of: connection) ?? refusalByRule(of: connection) { return error }
        clients[slot].isAdmitted = true
        return nil
    }

    private static let over = ShuntError(.accessExpired, "the time until which a rule lets the client in is over", help: "a later expires_at")
    private static let unknown = ShuntError(
        .accessCredentials, "nobody knows this client", help: "a user name and a password, a token or a certificate")

    // MARK: Other events

    /// Another loop of the worker has something to tell.
    public func received(_ letter: LoopLetter, now: Double) {
        router.now = now
        (router.permissions, router.publisher) = (nil, .none)
        hooks?.beginTurn()
        switch letter {
        case .subscribed(let subscription): _ = router.index.insert(subscription)
        case .unsubscribed(let connection, let filter, let group, let key):
            _ = router.index.remove(connection: connection, filter: filter, group: group, key: key)
            router.forgetQuestions(of: connection, filter: filter)
            releaseProducers(heldBy: connection)
        case .left(let connection):
            router.index.removeAll(of: connection)
            router.forgetQuestions(of: connection)
            releaseProducers(heldBy: connection)
        case .pressure(let pressure, let connection):
            router.index.setPressure(pressure, of: connection)
            if pressure != .congested { releaseProducers(heldBy: connection) }
        case .sync(let other, let number): output.tell(.synced(loop: loop, number: number), loop: other)
        case .synced(let other, let number): confirmed(by: other, number)
        case .registered(let uid, let device, let connection, let at): takenOver(uid, device, by: connection, at: at)
        case .retain(let topic, let packet, let qos, let expiry): router.keepRetained(topic, packet, qos, expiry: expiry)
        case .askRetained(let question): router.answer(question)
        case .broadcast(let id, let filter, let frame): broadcast(id, filter, frame: frame)
        case .tallied(let id, let tally): tallied(id, tally)
        case .announce(let chat, let payload, let fate, let loop):
            output.tell(.announced(fate: fate, isOpen: announceHere(chat, payload)), loop: loop)
        case .announced(let fate, let isOpen): announced(fate, isOpen)
        case .chat(let event, let peer): chat(event, peer: peer)
        case .chatAction(let action): carryOut(action)
        case .close(let connection, let why, let rule): close(connection, why: why, by: rule)
        }
    }

    /// About ten times a second.
    public func tick(now: Double) {
        router.now = now
        if let tickedAt, !(0...Self.longestStep).contains(now - tickedAt) {
            house.forget(pause: max(0, now - tickedAt), now: now)
            forgiveSilence()
        }
        tickedAt = now
        (router.permissions, router.publisher) = (nil, .none)
        // The turn that follows sends it.
        rulesState.areDue = true
        router.retainedIdle = 0
        router.index.tickTraffic(now: now)
        closeSilent()
        closeExpired()
        expireBans()
        tickSessions()
        announceClientNews()
        answerOverdue()
        tickDepartures()
        chat(.tick, peer: nil)
        if let hooks, hooks.wanted.contains(.tick) { hooks.onTick(now: now) { sendEmitted(hooks) } }
    }

    /// All events of a turn have been handled: what has changed in subscriptions meanwhile is to be confirmed by the other loops.
    /// - Returns: whether there is more to do at once.
    public func turnEnded() -> Bool {
        if let number = confirmations.takeRequest() { output.tell(.sync(loop: loop, number: number)) }
        if rulesState.areDue { sendDue() }
        let lists = goOnListing()
        if !router.deadLetters.messages.isEmpty { router.sendDeadLetters() }
        return router.sendRetained() || rulesState.areDue || lists
    }

    /// Ticks come in smaller steps than this many seconds, or the clock was set, or the process stood still.
    static let longestStep = 2.0

    /// The driver has carried out the output.
    public func clear() {
        output.clear()
        if broadcastText != nil { broadcastText = nil }
        if lastChatFrame != nil { lastChatFrame = nil }
        held.endBatch()
        router.index.trimRoutes()
    }

    /// A new subscription's id: the clock's microseconds, and one more where two join in the same.
    func nextSubscription() -> SubscriptionID {
        lastSubscription = max(lastSubscription + 1, UInt64(max(0, now) * 1e6))
        return SubscriptionID(microseconds: lastSubscription, loop: loop)
    }

    // MARK: Settings

    public func setLimits(_ new: RoutingLimits) {
        router.limits = new
        announcements.change(to: new)
        tellDelayRoom()
        router.encoder.inflated = new.inflated
        router.retained.setLimits(new.mqtt)
    }

    public func setStrategies(_ new: GroupStrategies) { router.index.setStrategies(new) }

    /// The new policies apply from the next message on. A producer that is held already stays so until its consumer drains or is stuck.
    public func setSlowPolicies(_ new: SlowConsumerPolicies) { router.index.setSlowPolicies(new) }

    /// What happens to a topic message for a client of this loop whose out-buffer is full.
    public func slowConsumerPolicy(of connection: ConnectionID) -> SlowConsumerPolicy {
        router.index.slowConsumerPolicy(of: isCurrent(connection) ? subscriber(of: connection) : connection)
    }

    public func setChat(_ new: ChatSettings) { house.setSettings(new, now: now) }

    /// Other rules apply from the next message on.
    public func setHooks(_ new: (any RuleHooks)?) {
        router.setHooks(new)
        tellDelayRoom()
        switchListing()
    }
}
