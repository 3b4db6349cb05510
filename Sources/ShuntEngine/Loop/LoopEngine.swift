import ExchangeCodec
import ShuntCore

/// Everything that one loop of a worker decides: sessions, subscriptions, routing.
///
/// Events come in by calls; what is to be done about them is appended to `actions` and `letters`, which the driver carries
/// out and clears. No sockets, clock or randomness of its own: a test drives it with bytes and compares actions.
public final class LoopEngine {
    public let loop: UInt8
    public internal(set) var figures = RoutingFigures()
    /// To be carried out in order, then cleared, after each event.
    public internal(set) var actions: ContiguousArray<LoopAction> = []
    /// To be told to other loops of the worker, then cleared.
    public internal(set) var letters: [AddressedLetter] = []
    /// To be told to the master, then cleared.
    public internal(set) var messages: [MasterMessage] = []
    /// The bytes that actions with `.made` stretches mean.
    public let made = MadeBytes()
    /// The frame that rules have made of the one that was offered last.
    public let replacement = MadeBytes()

    /// The loops of the worker.
    let loops: Int
    var limits: RoutingLimits
    var devices = DeviceIndex()
    var broadcasts: [UInt32: Broadcast] = [:]
    var lastBroadcast: UInt32 = 0
    var house: ChatHouse
    /// Answers that wait for the master.
    var pending = PendingAnswers()
    private var tickedAt: Double?
    var lastMadeRoute = RouteReference.none
    /// Messages that rules have made of the one that is being handled.
    var madeOfMessage = 0
    /// Whether any rule has `on_deliver`.
    var looksAtDeliveries = false
    /// The broadcast that was offered last, its place and text, until `clear`.
    var broadcastText: (start: UnsafeRawPointer, count: Int, text: String)?
    /// The chat message that was made last, until `clear`.
    var lastChatFrame: ChatFrame?
    /// A chat's sender that is connected to another loop, while rules look at what it sends.
    var guest: Peer?
    private var lastID: UInt64 = 0
    /// The rules have taken long for what is being read.
    private var isLong = false
    var index: SubscriptionIndex
    var sessions: ContiguousArray<Session> = []
    /// nil where no rules run.
    var hooks: (any RuleHooks)?
    var now: Double = 0
    private var lastSubscription: UInt64 = 0
    /// Scratch for the chosen members of a message.
    var recipients: ContiguousArray<ConnectionID> = []
    /// The clients of this loop that wait for a congested consumer, on whatever loop that is.
    var producersHeldBy: [ConnectionID: [ConnectionID]] = [:]
    var confirmations: SubscriptionConfirmations

    /// An event stops taking frames when it has caused so many actions; the driver carries them out and goes on.
    public static let batchSize = 2048

    public init(
        loop: UInt8, of loops: Int = 1, limits: RoutingLimits = .init(), strategies: GroupStrategies = .init(),
        slowPolicies: SlowConsumerPolicies = .init(), chat: ChatSettings = .init(hasMasters: false), hooks: (any RuleHooks)? = nil
    ) {
        self.loop = loop
        self.loops = loops
        self.limits = limits
        self.hooks = hooks
        house = ChatHouse(chat)
        confirmations = SubscriptionConfirmations(loop: loop, loops: loops)
        looksAtDeliveries = hooks?.wanted.contains(.deliver) ?? false
        index = SubscriptionIndex(strategies: strategies, slowPolicies: slowPolicies)
    }

    // MARK: Events

    /// A client has connected.
    public func opened(_ connection: ConnectionID, address: PeerAddress, now: Double) {
        let slot = connection.slot
        while sessions.count <= slot { sessions.append(Session()) }
        sessions[slot] = Session(
            state: .open, generation: connection.generation, address: address, connectedAt: now)
    }

    /// Bytes have arrived, from a frame's first byte on.
    /// - Returns: how many bytes of whole frames were taken. If that is less than there is and there are actions,
    ///   the driver carries them out and calls again with the rest; otherwise a frame is incomplete.
    public func received(_ bytes: Bytes, on connection: ConnectionID, now: Double) -> Int {
        self.now = now
        let slot = connection.slot
        guard slot < sessions.count, sessions[slot].generation == connection.generation else { return bytes.count }
        index.blocker = .none
        var offset = 0
        // Counted once an event, not once a message.
        let hooks = hooks
        while offset < bytes.count, actions.count < batch, !isLong {
            guard sessions[slot].state != .closing else { return bytes.count }
            switch FrameDecoder.decode(Bytes(rebasing: bytes[offset...]), limit: limits.frame) {
            case .frame(let frame):
                handle(frame, at: offset, of: bytes, from: connection, hooks)
                offset += Int(frame.size)
                if index.blocker != .none {
                    holdProducer(connection)
                    return offset
                }
            case .needMore:
                let isFirst = offset == 0 && !sessions[slot].isAdmitted
                guard isFirst, let refusal = StreamRefusal(of: bytes, isFirst: true) else { return offset }
                refuse(refusal, connection)
                return bytes.count
            case .malformed(let fault):
                let isFirst = offset == 0 && !sessions[slot].isAdmitted
                refuse(StreamRefusal(of: Bytes(rebasing: bytes[offset...]), isFirst: isFirst, fault), connection)
                return bytes.count
            }
        }
        return offset
    }

    /// A client's bytes have come, which the driver calls `received` for, once or several times.
    @inline(__always)
    public func beginRead() {
        isLong = false
        hooks?.beginRead()
    }

    /// Rules are to see something that a client sent. All calls that it causes have a budget together; those of one read have a limit too,
    /// after which the rest of the read waits.
    @inline(__always)
    func begin(_ hooks: any RuleHooks) {
        hooks.beginTurn()
        isLong = hooks.takesLong
    }

    /// Whether rules have taken so long since `beginRead` that other clients are to have their turn: the driver keeps the rest for later.
    public var takesLong: Bool { hooks?.takesLong ?? false }

    /// After how many actions the driver carries them out. Where rules see deliveries these take time, and are looked at more often.
    public var batch: Int { looksAtDeliveries ? 32 : Self.batchSize }

    /// The client has gone.
    public func closed(_ connection: ConnectionID, why: String, now: Double) {
        self.now = now
        let slot = connection.slot
        guard slot < sessions.count, sessions[slot].generation == connection.generation, sessions[slot].state != .free
        else { return }
        if let hooks, sessions[slot].isAdmitted, let peer = peer(connection) { hooks.onDisconnect(peer, why: why, now: now) }
        if sessions[slot].subscriptions > 0 {
            figures.subscriptions -= Int(sessions[slot].subscriptions)
            index.removeAll(of: connection)
            tell(.left(connection))
            releaseProducers(heldBy: connection)
        }
        if sessions[slot].isHeld { forgetHeld(connection) }
        if sessions[slot].pressure == .stuck { figures.stuckConsumers -= 1 }
        confirmations.forget(connection)
        deviceLeft(connection)
        if sessions[slot].isInChat { leaveChats(connection) }
        sessions[slot] = Session(state: .free, generation: connection.generation)
    }

    /// The client's out-buffer is filling up, has drained, or nobody is to wait for it any longer. Its groups prefer others meanwhile.
    public func pressure(_ pressure: ConsumerPressure, on connection: ConnectionID) {
        guard isCurrent(connection) else { return }
        let slot = connection.slot
        figures.stuckConsumers += (pressure == .stuck ? 1 : 0) - (sessions[slot].pressure == .stuck ? 1 : 0)
        sessions[slot].pressure = pressure
        guard sessions[slot].subscriptions > 0 else { return }
        index.setPressure(pressure, of: connection)
        tell(.pressure(pressure, connection))
        if pressure != .congested { releaseProducers(heldBy: connection) }
    }

    /// Another loop of the worker has something to tell.
    public func received(_ letter: LoopLetter, now: Double) {
        self.now = now
        hooks?.beginTurn()
        switch letter {
        case .subscribed(let subscription): _ = index.insert(subscription)
        case .unsubscribed(let connection, let filter, let group, let key):
            _ = index.remove(connection: connection, filter: filter, group: group, key: key)
            releaseProducers(heldBy: connection)
        case .left(let connection):
            index.removeAll(of: connection)
            releaseProducers(heldBy: connection)
        case .pressure(let pressure, let connection):
            index.setPressure(pressure, of: connection)
            if pressure != .congested { releaseProducers(heldBy: connection) }
        case .sync(let other, let number):
            letters.append(AddressedLetter(loop: other, letter: .synced(loop: loop, number: number)))
        case .synced(let other, let number): confirmed(by: other, number)
        case .registered(let uid, let device, let connection, let at): takenOver(uid, device, by: connection, at: at)
        case .broadcast(let id, let filter, let frame): broadcast(id, filter, frame: frame)
        case .tallied(let id, let tally): tallied(id, tally)
        case .chat(let event, let peer): chat(event, peer: peer)
        case .chatAction(let action): carryOut(action)
        }
    }

    /// About ten times a second.
    public func tick(now: Double) {
        self.now = now
        if let tickedAt, !(0...Self.longestStep).contains(now - tickedAt) {
            house.forget(pause: max(0, now - tickedAt), now: now)
        }
        tickedAt = now
        answerOverdue()
        chat(.tick, peer: nil)
    }

    /// All events of a turn have been handled: what has changed in subscriptions meanwhile is to be confirmed by the other loops.
    public func turnEnded() {
        if let number = confirmations.takeRequest() { tell(.sync(loop: loop, number: number)) }
    }

    /// Ticks come in smaller steps than this many seconds, or the clock was set, or the process stood still.
    static let longestStep = 2.0

    /// The letters so far, for a driver that sends them before it carries out the actions.
    public func takeLetters() -> [AddressedLetter] {
        defer { letters = [] }
        return letters
    }

    /// The driver has carried out the actions, letters and messages.
    public func clear() {
        actions.removeAll(keepingCapacity: actions.capacity <= Self.batchSize * 16)
        letters.removeAll(keepingCapacity: true)
        messages.removeAll(keepingCapacity: true)
        made.removeAll()
        if broadcastText != nil { broadcastText = nil }
        if lastChatFrame != nil { lastChatFrame = nil }
        index.trimRoutes()
    }

    // MARK: Settings

    public func setLimits(_ new: RoutingLimits) { limits = new }

    public func setStrategies(_ new: GroupStrategies) { index.setStrategies(new) }

    /// The new policies apply from the next message on. A producer that is held already stays so until its consumer drains or is stuck.
    public func setSlowPolicies(_ new: SlowConsumerPolicies) { index.setSlowPolicies(new) }

    /// What happens to a topic message for a client of this loop whose out-buffer is full.
    public func slowConsumerPolicy(of connection: ConnectionID) -> SlowConsumerPolicy { index.slowConsumerPolicy(of: connection) }

    public func setChat(_ new: ChatSettings) { house.setSettings(new, now: now) }

    /// Other rules apply from the next message on.
    public func setHooks(_ new: (any RuleHooks)?) {
        hooks = new
        looksAtDeliveries = new?.wanted.contains(.deliver) ?? false
        index.forgetRoutes()
    }

    // MARK: Frames

    @inline(__always)
    private func handle(
        _ frame: FrameView, at offset: Int, of bytes: Bytes, from connection: ConnectionID, _ hooks: (any RuleHooks)?
    ) {
        figures.requests += 1
        figures.requestBytes += Int(frame.size)
        if !sessions[connection.slot].isAdmitted, !admit(connection, frame) { return }
        let start = bytes.baseAddress.unsafelyUnwrapped + offset
        if frame.type == .message, !frame.isError {
            message(frame, start, Stretch(.input, offset: offset, count: Int(frame.size)), from: connection, hooks)
        } else {
            handleControl(frame, start, from: connection)
        }
    }

    @inline(never)
    private func handleControl(_ frame: FrameView, _ start: UnsafeRawPointer, from connection: ConnectionID) {
        // An error frame answers nothing that a worker asks of its clients.
        guard !frame.isError else { return }
        switch frame.type {
        case .ping: acknowledge(frame.id, connection)
        case .subscribe: subscribe(frame, start, connection)
        case .unsubscribe: unsubscribe(frame, start, connection)
        case .allocation: refuse(frame.id, connection, ShuntError(.workerNone, "not found server"))
        case .register: register(frame, start, connection)
        case .notify: notify(frame, start, connection)
        case .chat: chat(frame, start, connection)
        case .balance, .binding, .registered, .acknowledgement, .message: break
        }
    }

    /// Runs `on_connect` with the client's first frame.
    @inline(never)
    private func admit(_ connection: ConnectionID, _ frame: FrameView) -> Bool {
        let slot = connection.slot
        guard let hooks, let peer = peer(connection) else {
            sessions[slot].isAdmitted = true
            return true
        }
        switch hooks.onConnect(peer, now: now) {
        case .accept:
            sessions[slot].isAdmitted = true
            return true
        case .acceptAs(let uid, let tags, let alias):
            let identity = sessions[slot].identity ?? Session.Identity()
            if let uid { identity.uid = uid }
            if let tags { identity.tags = tags }
            if let alias { identity.alias = alias }
            sessions[slot].identity = identity
            sessions[slot].isAdmitted = true
            return true
        case .reject(let why):
            return turnAway(connection, frame, ShuntError(.ruleRejected, why))
        case .redirect(let worker):
            return turnAway(connection, frame, ShuntError(.chatElsewhere, worker))
        }
    }

    private func turnAway(_ connection: ConnectionID, _ frame: FrameView, _ error: ShuntError) -> Bool {
        refuse(frame.id, connection, error)
        close(connection, error.code)
        return false
    }

    // MARK: Answers

    @inline(__always)
    func acknowledge(_ id: Int64, _ connection: ConnectionID) {
        figures.succeeded += 1
        actions.append(.acknowledge(connection, id: id))
    }

    /// Answers 200 with a text.
    func answer(_ id: Int64, _ connection: ConnectionID, _ text: String) {
        figures.succeeded += 1
        var text = text
        let stretch = text.withUTF8 { made.append(FrameFields(acknowledging: id, text: Bytes($0))) }
        actions.append(.answer(connection, stretch))
    }

    /// Answers with an error, in the words that message-channel's clients know where there are such.
    @inline(never)
    func refuse(_ id: Int64, _ connection: ConnectionID, _ error: ShuntError) {
        figures.failed += 1
        var text = error.code.exchangeText ?? (error.help.map { "\(error.message); \($0)" } ?? error.message)
        let stretch = text.withUTF8 {
            made.append(FrameFields(acknowledging: id, status: error.code.exchangeStatus, text: Bytes($0)))
        }
        actions.append(.answer(connection, stretch))
    }

    /// Closes a client whose stream cannot be read any further.
    @inline(never)
    private func refuse(_ refusal: StreamRefusal, _ connection: ConnectionID) {
        figures.malformed += 1
        if !refusal.isForeign, !refusal.answer.isEmpty { figures.failed += 1 }
        if !refusal.answer.isEmpty { actions.append(.answer(connection, made.append(refusal.answer))) }
        close(connection, refusal.code)
    }

    func close(_ connection: ConnectionID, _ code: ErrorCode) {
        guard isCurrent(connection) else { return }
        sessions[connection.slot].state = .closing
        actions.append(.close(connection, code))
    }

    /// Tells all other loops.
    func tell(_ letter: LoopLetter) {
        if loops > 1 { letters.append(AddressedLetter(loop: nil, letter: letter)) }
    }

    /// Ids of frames that this side starts: seconds, a flag that no client's generator makes (§7), and a counter.
    func makeID() -> Int64 {
        lastID &+= 1
        return Int64(bitPattern: UInt64(max(0, now)) << 32 | 63 << 16 | lastID & 0xFFFF)
    }

    func isCurrent(_ connection: ConnectionID) -> Bool {
        connection.loop == loop && connection.slot < sessions.count
            && sessions[connection.slot].generation == connection.generation
            && sessions[connection.slot].state != .free
    }

    /// A new subscription's id: the clock's microseconds, and one more where two join in the same.
    func nextSubscription() -> SubscriptionID {
        lastSubscription = max(lastSubscription + 1, UInt64(max(0, now) * 1e6))
        return SubscriptionID(microseconds: lastSubscription, loop: loop)
    }
}

extension LoopEngine: PeerDirectory {
    public func peer(_ id: ConnectionID) -> Peer? {
        guard isCurrent(id) else { return guest?.id == id ? guest : nil }
        let session = sessions[id.slot]
        let identity = session.identity
        return Peer(
            id: id, uid: identity?.uid ?? "", device: identity?.device ?? "", tags: identity?.tags ?? [],
            alias: identity?.alias ?? [], protocolName: "exchange", address: session.address.description,
            groups: session.subscriptions > 0 ? index.groups(of: id) : [], connectedAt: session.connectedAt)
    }

    public func address(of id: ConnectionID) -> PeerAddress? { isCurrent(id) ? sessions[id.slot].address : nil }

    /// A rule asks for it.
    public func close(_ id: ConnectionID, why: String) { close(id, .ruleRejected) }
}
