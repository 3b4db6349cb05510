import ExchangeCodec
import ShuntCore
import ShuntEngine
import ShuntReactor
import ShuntRules

/// One loop of a worker: carries out what its engine decides, on its event loop's connections.
final class WorkerLoop: EventLoopHandler {
    let loop: EventLoop
    let engine: LoopEngine
    private let peers: LoopPeers
    /// What is to be told to the other loops at the end of the turn, by loop.
    private var outgoing: [LoopMail]
    /// Clients that are not read from until the mailboxes they fill have room.
    private var held: [ConnectionID] = []
    /// nil where no rules are enabled.
    private var rules: LoopRules?
    private var version: WorkerRules
    /// The version before, until all loops have switched.
    private var previous: WorkerRules?

    init(loop: EventLoop, setup: LoopSetup, peers: LoopPeers) {
        self.loop = loop
        self.peers = peers
        version = setup.rules
        engine = LoopEngine(
            loop: loop.index, of: setup.loops, limits: setup.limits, strategies: setup.strategies, slowPolicies: setup.slowPolicies, chat: setup.chat)
        outgoing = Array(repeating: LoopMail(), count: setup.loops)
        do throws(ShuntError) {
            rules = try setup.rules.load(loop: loop.index, peers: engine, now: loop.now)
            engine.setHooks(rules)
            peers.started(nil)
        } catch {
            peers.started(error)
        }
    }

    // MARK: Events

    func opened(_ connection: Connection) {
        engine.opened(connection.id, address: connection.remoteAddress, now: loop.now)
    }

    func received(_ bytes: Bytes, on connection: Connection) -> Int {
        var taken = 0
        engine.beginRead()
        while taken < bytes.count, connection.isOpen {
            let rest = Bytes(rebasing: bytes[taken...])
            let count = engine.received(rest, on: connection.id, now: loop.now)
            taken += count
            let isBatch = engine.actions.count >= engine.batch
            carryOut(rest)
            if taken < bytes.count, engine.takesLong {
                yield(connection)
                break
            }
            if !isBatch || peers.isFull || connection.isReadingPaused { break }
        }
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

    func slowConsumerPolicy(of connection: Connection, for frame: Bytes) -> SlowConsumerPolicy {
        let policy = engine.slowConsumerPolicy(of: connection.id)
        // The sender of a broadcast hears how many devices were too slow for it, and a chat's members do not wait for one of them: neither
        // is held.
        let isTopicMessage = frame.count > 9 && FrameType.decoding(frame[9]) == .message
        return policy == .hold && !isTopicMessage ? loop.limits.stuckConsumer : policy
    }

    /// This loop's clients whose out-buffers have filled up.
    private var slow: [ConnectionID: SlowClient] = [:]
    /// Clients that were held and are to be read from again at the end of the turn.
    private var resumable: [ConnectionID] = []
    /// Clients whose rest is taken at the end of the turn, as rules have taken long for what came before.
    private var yielding: [ConnectionID] = []

    func closed(_ connection: Connection, reason: CloseReason) {
        slow.removeValue(forKey: connection.id)
        peers.connectionClosed(loop.index)
        peers.log.closed(connection, reason)
        engine.closed(connection.id, why: reason.text, now: loop.now)
    }

    func dropped(_ frame: Bytes, for connection: Connection) {
        if engine.wantsUndelivered { engine.undelivered(frame, why: .queueFull, now: loop.now) }
    }

    func connectFailed(role: Connection.Role, address: HostPort, why: String) {}

    func turnEnded() {
        carryOut()
        while let id = resumable.popLast() {
            if let connection = loop.connection(id) { loop.setReadingPaused(false, .slowConsumer, connection) }
        }
        goOn()
        engine.turnEnded()
        carryOut()
        measureAnswers()
        for index in outgoing.indices where !outgoing[index].isEmpty { post(index) }
    }

    /// Answers that are measured, and seconds that they took: each as long as its turn, which is one look at the clock for all.
    /// What answers wait for on other loops or the master is not in it.
    private var answers = 0
    private var answerSeconds = 0.0

    private func measureAnswers() {
        let count = engine.figures.succeeded + engine.figures.failed
        guard count != answers else { return }
        answerSeconds += Double(count - answers) * loop.turnDuration()
        answers = count
    }

    /// Mail that has grown to this many bytes is sent in the middle of a turn.
    private static let largestMail = 1 << 20
    /// Actions that take longer to carry out than waking another loop does.
    private static let manyActions = 128

    private func post(_ index: Int) {
        var mail = LoopMail(capacityOf: outgoing[index])
        swap(&mail, &outgoing[index])
        peers.send(mail, to: index)
    }

    func tick() {
        engine.tick(now: loop.now)
        peers.publish(LoopReport(routing: engine.figures, loop: loop.figures, rules: rules?.figures() ?? [], lostRecipients: lostRecipients, answerSeconds: answerSeconds), loop.index)
        peers.log.publish(slow.values, loop.index)
        if !held.isEmpty, !peers.isAboveHalf { release() }
    }

    /// Another loop has something for this one.
    func received(_ mail: LoopMail) {
        for letter in mail.letters {
            engine.received(letter, now: loop.now)
            if engine.actions.count >= LoopEngine.batchSize || engine.made.size >= Self.largestMail { carryOut() }
        }
        carryOut()
        mail.bytes.withUnsafeBytes { bytes in
            var last: Int?
            for item in mail.items {
                let isAnother = last != Int(item.offset)
                last = Int(item.offset)
                let frame = Bytes(rebasing: bytes[Int(item.offset)..<Int(item.offset) + Int(item.count)])
                guard let connection = loop.connection(item.recipient) else {
                    lostRecipients += 1
                    engine.undelivered(frame, why: .gone, now: loop.now)
                    continue
                }
                _ = offer(frame, to: connection, isAnother: isAnother)
            }
        }
        carryOut()
        for letter in mail.lastLetters { engine.received(letter, now: loop.now) }
        carryOut()
        peers.took(mail)
    }

    /// Messages from other loops whose client had gone meanwhile.
    private var lostRecipients = 0

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

    func received(_ event: ChatEvent) { engine.received(event, now: loop.now) }

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

    /// Switches to another version of the rules, between two messages. If that fails the old version goes on. What was before is kept
    /// until `settleRules`, which the worker calls when all loops have answered.
    /// - Returns: why it failed.
    func setRules(_ next: WorkerRules) -> ShuntError? {
        do throws(ShuntError) {
            if let rules, !next.set.rules.isEmpty {
                rules.setLimits(next.limits)
                if let error = rules.replace(with: next.set, now: loop.now) {
                    rules.setLimits(version.limits)
                    throw error
                }
            } else {
                let new = try next.load(loop: loop.index, peers: engine, now: loop.now)
                rules?.stop(now: loop.now)
                rules = new
            }
            (previous, version) = (version, next)
            engine.setHooks(rules)
            return nil
        } catch {
            return error
        }
    }

    /// All loops have tried to switch.
    /// - Parameter all: whether all of them have; otherwise the version before comes back.
    func settleRules(all: Bool) {
        guard let before = previous else { return }
        previous = nil
        guard !all else {
            rules?.settle()
            return
        }
        version = before
        if before.set.rules.isEmpty {
            rules?.stop(now: loop.now)
            rules = nil
        } else {
            rules?.setLimits(before.limits)
            rules?.revert(now: loop.now)
        }
        engine.setHooks(rules)
    }

    func stop() {
        loop.shutDown()
        rules?.stop(now: loop.now)
    }

    // MARK: Actions

    /// What becomes of messages while a broadcast is delivered.
    private var tally: BroadcastTally?

    /// Carries out the engine's actions. Connections that close meanwhile may add more.
    private func carryOut(_ input: Bytes = Bytes(start: nil, count: 0)) {
        takeLetters()
        // A wide broadcast is told to the others before it is delivered here, so that all loops deliver at once.
        if engine.actions.count >= Self.manyActions { postLetters() }
        let made = engine.made
        var lastOffered: Stretch?
        var next = 0
        while next < engine.actions.count {
            let action = engine.actions[next]
            next += 1
            switch action {
            case .deliver(let recipient, let stretch):
                var outcome = SendOutcome.queued
                let isThere = loop.with(recipient) { connection in
                    withBytes(of: stretch, input, made) { outcome = loop.send($0, to: connection) }
                }
                if tally != nil { if isThere { count(outcome) } else { tally?.matched += 1 } }
            case .offer(let recipient, let stretch):
                guard let connection = loop.connection(recipient) else {
                    tally?.matched += 1
                    continue
                }
                var outcome: SendOutcome?
                withBytes(of: stretch, input, made) { outcome = offer($0, to: connection, isAnother: stretch != lastOffered) }
                lastOffered = stretch
                if tally != nil { count(outcome) }
            case .beginTally: tally = BroadcastTally()
            case .endTally(let broadcast):
                engine.tallied(broadcast, tally ?? BroadcastTally())
                tally = nil
            case .forward(let recipient, let stretch):
                withBytes(of: stretch, input, made) { outgoing[Int(recipient.loop)].append($0, stretch, to: recipient) }
            case .acknowledge(let client, let id):
                _ = loop.with(client) { connection in
                    loop.answer(FrameEncoder.acknowledgementSize, to: connection) {
                        FrameEncoder.writeAcknowledgement(id: id, to: $0)
                    }
                }
            case .answer(let client, let stretch):
                guard let connection = loop.connection(client) else { continue }
                withBytes(of: stretch, input, made) { bytes in
                    loop.answer(bytes.count, to: connection) { $0.copyMemory(from: bytes.baseAddress.unsafelyUnwrapped, byteCount: bytes.count) }
                }
            case .close(let client, let code):
                guard let connection = loop.connection(client) else { continue }
                loop.closeAfterWriting(connection, .byUs(why: code.rawValue))
            case .hold(let producer):
                if let connection = loop.connection(producer) { loop.setReadingPaused(true, .slowConsumer, connection) }
            case .resume(let producer): resumable.append(producer)
            }
        }
        // What was carried out may have had more to tell.
        takeLetters()
        if !engine.messages.isEmpty { peers.tellMaster(engine.messages, from: loop.index) }
        for index in outgoing.indices {
            outgoing[index].endBatch()
            if outgoing[index].cost > Self.largestMail { post(index) }
        }
        engine.clear()
    }

    /// Addresses what the engine has to tell other loops.
    @inline(__always)
    private func takeLetters() {
        if !engine.letters.isEmpty { address(engine.takeLetters()) }
    }

    private func address(_ letters: [AddressedLetter]) {
        for addressed in letters {
            if let to = addressed.loop {
                outgoing[Int(to)].append(addressed.letter)
            } else {
                for index in outgoing.indices where index != Int(loop.index) { outgoing[index].append(addressed.letter) }
            }
        }
    }

    private func postLetters() {
        for index in outgoing.indices where outgoing[index].hasLetters { post(index) }
    }

    /// Sends a message, or what the rules make of it for this client.
    /// - Returns: nil where they keep it from the client.
    private func offer(_ frame: Bytes, to connection: Connection, isAnother: Bool) -> SendOutcome? {
        switch engine.offer(frame, to: connection.id, isAnother: isAnother, now: loop.now) {
        case .unchanged: loop.send(frame, to: connection)
        case .replaced: engine.replacement.withBytes { loop.send($0, to: connection) }
        case .dropped: nil
        }
    }

    private func count(_ outcome: SendOutcome?) {
        tally?.matched += 1
        switch outcome {
        case nil: tally?.dropped += 1
        case .queued: tally?.sent += 1
        case .dropped, .disconnected: tally?.slow += 1
        }
    }

    @inline(__always)
    private func withBytes(of stretch: Stretch, _ input: Bytes, _ made: MadeBytes, _ body: (Bytes) -> Void) {
        switch stretch.source {
        case .input: body(Bytes(rebasing: input[stretch.range]))
        case .made: made.withBytes { body(Bytes(rebasing: $0[stretch.range])) }
        }
    }

    /// A producer that fills the way to a busy loop waits; everyone else goes on.
    private func hold(_ connection: Connection) {
        guard connection.isOpen else { return }
        held.append(connection.id)
        loop.setReadingPaused(true, .mailbox, connection)
    }

    /// Rules have taken long for what this client has sent: the others have their turn before the rest of it.
    private func yield(_ connection: Connection) {
        guard connection.isOpen else { return }
        yielding.append(connection.id)
        loop.setReadingPaused(true, .turn, connection)
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
