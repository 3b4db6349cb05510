import Dispatch
import ExchangeCodec
import PayloadCompression
import ShuntCore
import ShuntEngine
import ShuntReactor
import ShuntRules

/// One loop of a worker: carries out what its engine decides, on its event loop's connections.
final class WorkerLoop: EventLoopHandler {
    let loop: EventLoop
    let engine: LoopEngine
    let peers: LoopPeers
    let driver: LoopDriver
    let listeners: [ListenerSetup]
    /// Clients that are not read from until the mailboxes they fill have room.
    private var held: [ConnectionID] = []
    /// nil where no rules are enabled.
    var rules: LoopRules?
    var version: WorkerRules
    /// The version before, until all loops have switched.
    var previous: WorkerRules?
    /// The clients of listeners that take only so many.
    private var entered: [ConnectionID: Entered] = [:]
    /// Whether the clients of any listener may send only so much.
    private let isPacing: Bool
    private var paced = PacedClients()

    init(loop: EventLoop, setup: LoopSetup, peers: LoopPeers) {
        self.loop = loop
        self.peers = peers
        // Behind the listeners stand the same ones again, for the clients whom the worker has no room for.
        listeners = setup.listeners + setup.listeners.map { $0.turningAway ?? $0 }
        isPacing = setup.listeners.contains { $0.pace != nil }
        version = setup.rules
        engine = LoopEngine(
            loop: loop.index, of: setup.loops, limits: setup.limits, strategies: setup.strategies, slowPolicies: setup.slowPolicies, chat: setup.chat,
            inflate: { bytes, compression, limit in try? inflate(bytes, compression, limit: limit) },
            neighbour: { [listeners, neighbours = peers.neighbours] worker, listener in
                let name = listeners[listener].name
                guard let worker else { return neighbours.room(listener: name) }
                return neighbours.address(of: worker, listener: name)
            })
        engine.sessionDirectory = setup.rules.sessions
        engine.waiting = { [unowned loop] in loop.connection($0)?.waitingMessages ?? 0 }
        driver = LoopDriver(engine)
        engine.setAccess(peers.doorkeeper.access(), now: loop.now)
        do throws(ShuntError) {
            rules = try setup.rules.load(loop: loop.index, peers: engine, now: loop.now)
            permitLookups()
            engine.setHooks(rules)
            peers.started(nil)
        } catch {
            peers.started(error)
        }
    }

    // MARK: Events

    func opened(_ connection: Connection) {
        if closeIfRevoked(connection) { return }
        let listener = listeners[connection.role.number]
        engine.opened(
            connection.id, address: connection.remoteAddress, speaking: listener.speaks, listener: UInt8(connection.role.number),
            isTurnedAway: listener.isTurningAway, now: loop.now)
    }

    func received(_ bytes: Bytes, on connection: Connection) -> Int {
        let taken = isPacing || engine.hasPaces ? receivedPaced(bytes, connection) : driver.received(bytes, on: connection.id, self)
        if peers.isFull { hold(connection) }
        return taken
    }

    func pressure(_ pressure: ConsumerPressure, on connection: Connection) {
        engine.pressure(pressure, on: connection.id)
        if pressure == .none {
            slow.removeValue(forKey: connection.id)
        } else {
            slow[connection.id] = SlowClient(
                isStuck: pressure == .stuck, waiting: connection.waiting, name: engine.peer(connection.id)?.slowName ?? "")
        }
    }

    func slowConsumerPolicy(of connection: Connection, for kind: FrameKind) -> SlowConsumerPolicy {
        let policy = engine.slowConsumerPolicy(of: connection.id)
        // The sender of a broadcast hears how many devices were too slow for it, and a chat's members do not wait for one of them: neither
        // is held.
        return policy == .hold && !kind.mayHold ? loop.limits.stuckConsumer : policy
    }

    func framing(of role: Connection.Role) -> Framing { listeners[role.number].framing }

    func transport(for connection: Connection) -> (any Transport)? { listeners[connection.role.number].transport() }

    /// This loop's clients whose out-buffers have filled up.
    private var slow: [ConnectionID: SlowClient] = [:]
    /// What operators follow.
    var traces: Traces?
    /// Clients that were held and are to be read from again at the end of the turn.
    private var resumable: [ConnectionID] = []
    /// Clients whose rest is taken at the end of the turn, as rules have taken long for what came before.
    private var yielding: [ConnectionID] = []

    func closed(_ connection: Connection, reason: CloseReason) {
        slow.removeValue(forKey: connection.id)
        paced.closed(connection.id)
        leave(connection.id)?.leave()
        peers.connectionClosed(loop.index)
        if listeners[connection.role.number].isTurningAway { peers.turnedAwayClosed() }
        peers.log.closed(connection, reason)
        engine.closed(connection.id, why: reason.text, now: loop.now)
    }

    func mayDrop(_ frame: Bytes, for connection: Connection) -> Bool { engine.mayDrop(frame, for: connection.id) }

    func dropped(_ frame: Bytes, before rest: Bytes, for connection: Connection) {
        engine.dropped(frame, before: rest, for: connection.id, now: loop.now)
    }

    func connectFailed(role: Connection.Role, address: HostPort, why: String) {}

    func turnEnded() {
        driver.carryOut(self)
        while let id = resumable.popLast() {
            if let connection = loop.connection(id) { loop.setReadingPaused(false, .slowConsumer, connection) }
        }
        goOn()
        driver.turnEnded(self)
        times.turnEnded(engine.output.figures) { loop.turnDuration() }
    }

    private var times = RequestTimes()

    func tick() {
        for client in held { engine.isUnread(client, now: loop.now) }
        tickPaced()
        for lookup in rules?.overdueLookups(now: loop.now) ?? [] { lookedUp(lookup, .failed("timed out")) }
        engine.tick(now: loop.now)
        traces?.tick(now: loop.now)
        peers.publish(
            LoopReport(
                routing: engine.output.figures, loop: loop.figures, rules: rules?.figures() ?? [], lostRecipients: driver.lostRecipients,
                answerSeconds: times.answerSeconds, requestTimes: times.times, largestHoarder: engine.largestHoarder,
                deniedExample: engine.deniedExample, paceHolds: paced.holds),
            loop.index)
        if let refused = engine.takeRefused() { peers.doorkeeper.refused.add(refused) }
        peers.log.publish(slow.values, loop.index)
        if !held.isEmpty, !peers.isAboveHalf { release() }
    }

    /// Another loop has something for this one.
    func received(_ mail: LoopMail) {
        driver.received(mail, self)
        peers.took(mail)
        peers.readMail.give(mail)
    }

    // MARK: Access

    /// It is decided whether a client is let in.
    func decided(_ admission: Admission, about client: ConnectionID) { driver.decided(admission, about: client, self) }

    /// Listeners let clients in so from now on.
    func setAccess(_ doors: [Door]) {
        engine.setAccess(doors.map { $0.access() }, now: loop.now)
        driver.carryOut(self)
    }

    /// The master has told who is banned; clients of new bans are closed.
    func changeBans(_ told: [BansBody]) {
        engine.changeBans(told, now: loop.now)
        driver.carryOut(self)
    }

    /// Carries out what an operator has had the engine decide.
    func carryOutActions() { driver.carryOut(self) }

    /// What has let a client in no longer counts.
    /// - Returns: false where the engine does not know the client.
    func expel(_ client: ConnectionID, why: String) -> Bool {
        let isKnown = engine.expel(client, why: why, now: loop.now)
        driver.carryOut(self)
        return isKnown
    }

    /// What a rule has looked up is there.
    func lookedUp(_ lookup: UInt64, _ answer: LookupAnswer) {
        let ended = rules?.lookedUp(lookup, answer, now: loop.now)
        driver.sendEmitted(self)
        guard let (client, outcome) = ended else { return }
        driver.decided(outcome, by: client, self)
    }

    // MARK: Limits of listeners

    /// A client that its listener counts is there.
    func count(_ entered: Entered?, _ connection: Connection) {
        guard let entered else { return }
        if connection.isOpen { self.entered[connection.id] = entered } else { entered.leave() }
    }

    /// A client is no longer this loop's.
    private func leave(_ client: ConnectionID) -> Entered? { entered.isEmpty ? nil : entered.removeValue(forKey: client) }

    /// A client's bytes have come, and only so much of them may be taken.
    private func receivedPaced(_ bytes: Bytes, _ connection: Connection) -> Int {
        let (client, listener, now) = (connection.id, listeners[connection.role.number], Self.uptime)
        let own = engine.pace(of: client)
        guard let pace = Pace(listener.pace, own) else { return driver.received(bytes, on: client, self) }
        var portion = paced.portion(of: bytes, from: client, of: listener, pace, now: now)
        let taken = driver.received(Bytes(rebasing: bytes[..<portion.count]), on: client, self)
        // It may have gone, or to another loop.
        guard connection.isOpen else { return taken }
        guard engine.pace(of: client) == own else {
            // A rule has just said how fast it may send: that counts from here on.
            paced.closed(client)
            return taken
        }
        if taken < portion.count { portion = paced.portion(of: Bytes(rebasing: bytes[..<taken]), from: client, of: listener, pace, now: now) }
        if paced.took(portion, from: client, now: now) { loop.setReadingPaused(true, .pace, connection) }
        return taken
    }

    private func tickPaced() {
        for client in paced.due(now: Self.uptime) {
            if let connection = loop.connection(client) { loop.setReadingPaused(false, .pace, connection) }
        }
        for client in paced.held { engine.isUnread(client, now: loop.now) }
    }

    /// Seconds of a clock that never goes back.
    private static var uptime: Double { Double(DispatchTime.now().uptimeNanoseconds) / 1e9 }

    // MARK: The master

    func answered(chat: String, request: UInt64, _ assignment: ChatAssignment) {
        engine.answered(chat: chat, request: request, assignment, now: loop.now)
    }

    func confirmed(_ requests: [UInt64]) { engine.confirmed(requests, now: loop.now) }

    /// Devices have registered at other workers.
    func displaced(_ devices: [DeviceBatchBody.Left]) {
        for one in devices {
            engine.displaced(uid: one.uid, device: one.device, registeredAt: one.registeredAt, now: loop.now)
        }
    }

    func setCutOff(_ isCutOff: Bool) { engine.setCutOff(isCutOff) }

    func received(_ event: ChatEvent) { engine.received(event, now: loop.now) }

    /// Retained messages that are at home on this loop.
    func retainedPage(_ query: RetainedQuery) -> RetainedPage { engine.retainedPage(query, now: loop.now) }

    func beginClearing(_ filter: String) -> RetainedClearing { engine.beginClearing(filter, now: loop.now) }

    /// Clears some more retained messages.
    func goOn(_ clearing: RetainedClearing) -> RetainedClearing {
        var clearing = clearing
        engine.goOn(&clearing)
        return clearing
    }

    /// All that this loop holds, for a new master.
    func holdings() -> LoopHoldings {
        var devices: [Device] = []
        engine.forEachDevice { devices.append($0) }
        return LoopHoldings(devices: devices, chats: engine.chats)
    }

    // MARK: Settings

    func setLimits(_ limits: RoutingLimits, _ connections: ConnectionLimits) {
        engine.setLimits(limits)
        loop.setLimits(connections)
    }

    func setStrategies(_ strategies: GroupStrategies) { engine.setStrategies(strategies) }

    func setSlowPolicies(_ policies: SlowConsumerPolicies) { engine.setSlowPolicies(policies) }

    func setChat(_ settings: ChatSettings) { engine.setChat(settings) }

    /// The version that runs, and those of its rules that a breaker has switched off here.
    var rulesVersion: WorkerRules { version }
    var switchedOff: [String] { rules?.switchedOff ?? [] }

    /// Publishes a figure of the worker's below `$SYS`.
    func publishSystem(_ name: String, _ value: String) {
        engine.publishSystem(name, value, now: loop.now)
        driver.carryOut(self)
    }

    func stop() {
        // Clients of MQTT 5.0 are told why they are closed.
        engine.stop(now: loop.now)
        driver.carryOut(self)
        loop.shutDown()
        rules?.stop(now: loop.now)
    }

    // MARK: Clients that wait

    /// A producer that fills the way to a busy loop waits; everyone else goes on.
    private func hold(_ connection: Connection) {
        guard connection.isOpen else { return }
        held.append(connection.id)
        loop.setReadingPaused(true, .mailbox, connection)
    }

    private func goOn() {
        guard !yielding.isEmpty else { return }
        let resumed = yielding
        yielding = []
        for id in resumed { if let connection = loop.connection(id) { loop.setReadingPaused(false, .turn, connection) } }
        if !yielding.isEmpty { loop.wakeAgain() }
    }

    private func release() {
        let released = held
        held = []
        // What they had sent is taken now, which may fill the mailboxes again.
        for id in released { if let connection = loop.connection(id) { loop.setReadingPaused(false, .mailbox, connection) } }
    }
}

extension WorkerLoop: LoopEdge {
    var now: Double { loop.now }

    func reads(_ client: ConnectionID) -> Bool {
        guard !peers.isFull, let connection = loop.connection(client) else { return false }
        return connection.isOpen && !connection.isReadingPaused
    }

    func postpone(_ client: ConnectionID) {
        guard let connection = loop.connection(client), connection.isOpen else { return }
        yielding.append(client)
        loop.setReadingPaused(true, .turn, connection)
    }

    @inline(__always)
    func send(_ bytes: Bytes, to client: ConnectionID) -> SendOutcome? {
        loop.send(bytes, to: client)
    }

    @inline(__always)
    func answer(_ count: Int, to client: ConnectionID, _ write: (UnsafeMutableRawPointer) -> Void) {
        loop.answer(count, to: client, write)
    }

    func close(_ client: ConnectionID, _ code: ErrorCode?) {
        let text = engine.takeCloseText(of: client)
        guard let connection = loop.connection(client) else { return }
        loop.closeAfterWriting(
            connection, code.map { code in .byUs(why: text.map { "\($0) (\(code.rawValue))" } ?? code.rawValue) } ?? .byPeer,
            lingers: code == .workerElsewhere)
    }

    func move(_ client: ConnectionID, to other: Int, unread: Bytes) {
        guard let connection = loop.connection(client) else { return }
        guard let moving = loop.detach(connection, unread: unread) else {
            return loop.close(connection, .byUs(why: "the client sent a request before its first answer was written"))
        }
        peers.move(moving, leave(client), from: loop.index, to: other)
    }

    func authenticate(_ client: ConnectionID, _ credentials: Credentials) {
        guard let connection = loop.connection(client) else { return }
        loop.setReadingPaused(true, .access, connection)
        peers.decide(about: client, credentials, connection.clientCertificate, from: loop.index)
    }

    func readAgain(_ client: ConnectionID) {
        if let connection = loop.connection(client) { loop.setReadingPaused(false, .access, connection) }
    }

    func setWaiting(_ isWaiting: Bool, _ client: ConnectionID) {
        if let connection = loop.connection(client) { loop.setReadingPaused(isWaiting, .rules, connection) }
    }

    func closeIfGone(_ client: ConnectionID) -> Bool { loop.connection(client).map(loop.closeIfEnded) ?? false }

    func wakeAgain() { loop.wakeAgain() }

    func setHeld(_ isHeld: Bool, _ client: ConnectionID) {
        guard isHeld else { return resumable.append(client) }
        if let connection = loop.connection(client) { loop.setReadingPaused(true, .slowConsumer, connection) }
    }

    func emptyMail() -> LoopMail { peers.readMail.take() }

    func post(_ mail: LoopMail, to other: Int) { peers.send(mail, to: other) }

    func tellMaster(_ news: [MasterNews]) { peers.tellMaster(news, from: loop.index) }
}
