import ShuntCore

/// Carries out what a loop's engine has decided, on whatever edge the loop has.
public final class LoopDriver {
    public let engine: LoopEngine
    /// What is to be told to the other loops at the end of the turn, by loop. Uncounted, since a message is appended with each turn of the
    /// hot path: `deinit` and `post` give them back.
    private var outgoing: ContiguousArray<Unmanaged<LoopMail>>
    /// What becomes of messages while a broadcast is delivered.
    @usableFromInline var tally: BroadcastTally?
    /// Clients whose calls of the rules are to begin anew.
    private var askedAnew: ArraySlice<ConnectionID> = []
    /// Messages from other loops whose client had gone meanwhile.
    public private(set) var lostRecipients = 0

    /// Mail that has grown to this many bytes is sent in the middle of a turn.
    @usableFromInline static let largestMail = 1 << 20
    /// Actions that take longer to carry out than waking another loop does.
    @usableFromInline static let manyActions = 128

    public init(_ engine: LoopEngine) {
        self.engine = engine
        outgoing = ContiguousArray((0..<engine.output.loops).map { _ in .passRetained(LoopMail()) })
    }

    deinit { for mail in outgoing { mail.release() } }

    /// A client's bytes have come, from a request's first byte on.
    /// - Returns: how many were taken.
    @inlinable
    public func received<Edge: LoopEdge>(_ bytes: Bytes, on client: ConnectionID, _ edge: Edge) -> Int {
        var taken = 0
        engine.beginRead()
        repeat {
            let rest = Bytes(rebasing: bytes[taken...])
            taken += engine.received(rest, on: client, now: edge.now)
            let isBatch = engine.isBatchFull
            carryOut(rest, edge)
            guard taken < bytes.count else { break }
            if engine.takesLong {
                edge.postpone(client)
                break
            }
            guard isBatch else { break }
        } while edge.reads(client)
        return taken
    }

    /// Another loop has something for this one.
    public func received<Edge: LoopEdge>(_ mail: LoopMail, _ edge: Edge) {
        for letter in mail.letters {
            engine.received(letter, now: edge.now)
            if engine.isBatchFull { carryOut(edge) }
        }
        carryOut(edge)
        var last: UInt32?
        let loop = engine.loop
        for item in mail.items {
            let isAnother = last != item.offset
            last = item.offset
            let (message, recipient) = (mail.bytes(of: item), item.recipient(on: loop))
            if item.handOver.isNone {
                guard offer(message, item.form, to: recipient, isAnother: isAnother, edge) == .gone else { continue }
            } else {
                let fate = hand(message, item.form, to: recipient, item.handOver, isAnother: isAnother, edge)
                if engine.isBatchFull { carryOut(edge) }
                guard fate == .gone else { continue }
            }
            lostRecipients += 1
            engine.undelivered(message, item.form, why: .gone, isDead: item.handOver.isDead, now: edge.now)
        }
        carryOut(edge)
        for letter in mail.lastLetters { engine.received(letter, now: edge.now) }
        carryOut(edge)
    }

    /// It is decided whether a client is let in.
    public func decided<Edge: LoopEdge>(_ admission: Admission, about client: ConnectionID, _ edge: Edge) {
        if engine.decided(admission, about: client, now: edge.now) { edge.readAgain(client) }
    }

    /// The rules have decided about a client that waits.
    public func decided<Edge: LoopEdge>(_ outcome: WaitedOutcome, by rulesAbout: ConnectionID, _ edge: Edge) {
        guard !edge.closeIfGone(rulesAbout) else { return carryOut(edge) }
        let isReadAgain = engine.decided(outcome, by: rulesAbout, now: edge.now)
        carryOut(edge)
        if isReadAgain { edge.setWaiting(false, rulesAbout) }
    }

    /// A call that waited has gone on: what its rules have sent of their own goes out.
    public func sendEmitted<Edge: LoopEdge>(_ edge: Edge) {
        engine.sendEmitted(now: edge.now)
        carryOut(edge)
    }

    /// Other rules apply: calls that wait begin anew, by `askAnew`.
    public func rulesChanged() { askedAnew = engine.waitingClients[...] }

    /// Asks the rules anew about some of the clients whose calls have waited when the rules changed: as many as do not keep others from their
    /// turn.
    /// - Returns: whether there are more.
    public func askAnew<Edge: LoopEdge>(_ edge: Edge) -> Bool {
        let began = ContinuousClock.now
        while let client = askedAnew.popFirst() {
            decided(.anew, by: client, edge)
            guard ContinuousClock.now - began < Self.longestAsking else { break }
        }
        return !askedAnew.isEmpty
    }

    private static let longestAsking = Duration.milliseconds(5)

    /// All events of a turn have been handled.
    @inlinable
    public func turnEnded<Edge: LoopEdge>(_ edge: Edge) {
        if engine.turnEnded() { edge.wakeAgain() }
        carryOut(edge)
        postAll(edge)
    }

    /// Carries out the engine's actions. Connections that close meanwhile may add more.
    /// - Parameter input: the bytes of the event that caused them.
    @inlinable
    public func carryOut<Edge: LoopEdge>(_ input: Bytes, _ edge: Edge) {
        let output = engine.output
        takeLetters()
        // A wide broadcast is told to the others before it is delivered here, so that all loops deliver at once.
        if output.actions.count >= Self.manyActions { postLetters(edge) }
        let made = output.made
        var lastOffered = Stretch.none
        var next = 0
        while next < output.actions.count {
            let action = output.actions[next]
            next += 1
            switch action {
            case .deliver(let client, let stretch):
                let outcome = edge.send(bytes(of: stretch, input, made), to: client)
                if tally != nil { count(outcome.map(Fate.init) ?? .gone) }
            case .forward(let client, let stretch): forward(bytes(of: stretch, input, made), stretch, to: client)
            case .receipt(let client, .exchange(let id)):
                let receipt = Receipt.exchange(id: id)
                edge.answer(receipt.size, to: client) { receipt.write(to: $0) }
            default: carryOut(action, input, isAnother: &lastOffered, edge)
            }
        }
        // What was carried out may have had more to tell.
        takeLetters()
        if !output.news.isEmpty { edge.tellMaster(output.news) }
        endBatch(edge)
        engine.clear()
    }

    /// Carries out what is not on the shortest way of a message.
    /// - Parameter last: the message that was offered last, which the next one may be again.
    @inlinable @inline(never)
    func carryOut<Edge: LoopEdge>(_ action: LoopAction, _ input: Bytes, isAnother last: inout Stretch, _ edge: Edge) {
        let made = engine.output.made
        switch action {
        case .deliver, .forward: break
        case .receipt(let client, let receipt): edge.answer(receipt.size, to: client) { receipt.write(to: $0) }
        case .answer(let client, let stretch):
            let bytes = bytes(of: stretch, input, made)
            edge.answer(bytes.count, to: client) { $0.copyMemory(from: bytes.baseAddress.unsafelyUnwrapped, byteCount: bytes.count) }
        case .offer(let client, let stretch):
            let fate = offer(bytes(of: stretch, input, made), stretch.form, to: client, isAnother: stretch != last, edge)
            last = stretch
            if tally != nil { count(fate) }
        case .forwardHandOver(let client, let stretch, let handOver):
            forward(bytes(of: stretch, input, made), stretch, to: client, handOver)
        case .hand(let subscriber, let stretch, let handOver):
            let fate = hand(bytes(of: stretch, input, made), stretch.form, to: subscriber, handOver, isAnother: stretch != last, edge)
            last = stretch
            if tally != nil { count(fate) }
        case .deliverStamped(let client, let stretch, let stamp): deliver(bytes(of: stretch, input, made), stretch.form, stamp, to: client, edge)
        case .beginTally(let frame):
            tally = BroadcastTally()
            engine.delivers(broadcast: frame)
        case .endTally(let broadcast):
            engine.delivers(broadcast: .none)
            engine.tallied(broadcast, tally ?? BroadcastTally())
            tally = nil
        case .close(let client, let code): edge.close(client, code)
        case .move(let client, let loop, let offset): edge.move(client, to: Int(loop), unread: Bytes(rebasing: input[Int(offset)...]))
        case .authenticate(let client):
            if let credentials = engine.takeCredentials(of: client) { edge.authenticate(client, credentials) }
        case .wait(let client): edge.setWaiting(true, client)
        case .hold(let client): edge.setHeld(true, client)
        case .resume(let client): edge.setHeld(false, client)
        }
    }

    @inlinable
    public func carryOut<Edge: LoopEdge>(_ edge: Edge) { carryOut(.none, edge) }

    @inlinable @inline(__always)
    func bytes(of stretch: Stretch, _ input: Bytes, _ made: MadeBytes) -> Bytes {
        stretch.source == .input ? Bytes(rebasing: input[stretch.range]) : made.bytes(of: stretch)
    }

    // MARK: Mail

    /// Addresses what the engine has to tell other loops.
    @inlinable @inline(__always)
    func takeLetters() { if !engine.output.letters.isEmpty { address(engine.output.takeLetters()) } }

    @usableFromInline
    func address(_ letters: [AddressedLetter]) {
        for addressed in letters {
            if let to = addressed.loop {
                mail(to: Int(to)).append(addressed.letter)
            } else {
                for loop in outgoing.indices where loop != Int(engine.loop) { mail(to: loop).append(addressed.letter) }
            }
        }
    }

    @usableFromInline
    func postLetters<Edge: LoopEdge>(_ edge: Edge) {
        for loop in outgoing.indices where mail(to: loop).hasLetters { post(loop, edge) }
    }

    @usableFromInline
    func postAll<Edge: LoopEdge>(_ edge: Edge) {
        for loop in outgoing.indices where !mail(to: loop).isEmpty { post(loop, edge) }
    }

    /// The next event's stretches mean other bytes. Large mail does not wait for the turn's end.
    @usableFromInline
    func endBatch<Edge: LoopEdge>(_ edge: Edge) {
        for loop in outgoing.indices {
            mail(to: loop).endBatch()
            if mail(to: loop).cost > Self.largestMail { post(loop, edge) }
        }
    }

    private func post<Edge: LoopEdge>(_ loop: Int, _ edge: Edge) {
        let mail = outgoing[loop].takeRetainedValue()
        outgoing[loop] = .passRetained(edge.emptyMail())
        edge.post(mail, to: loop)
    }

    private func mail(to loop: Int) -> LoopMail { outgoing[loop].takeUnretainedValue() }

    @usableFromInline
    func forward(_ message: Bytes, _ stretch: Stretch, to client: ConnectionID) {
        outgoing[Int(client.loop)]._withUnsafeGuaranteedRef { $0.append(message, stretch, to: client) }
    }

    @usableFromInline
    func forward(_ message: Bytes, _ stretch: Stretch, to client: ConnectionID, _ handOver: HandOver) {
        outgoing[Int(client.loop)]._withUnsafeGuaranteedRef { $0.append(message, stretch, to: client, handOver) }
    }

    // MARK: Sessions

    /// Sends a message as the client's session wants it, unless the session keeps it.
    @usableFromInline @discardableResult
    func hand<Edge: LoopEdge>(
        _ packet: Bytes, _ form: WireForm, to subscriber: ConnectionID, _ handOver: HandOver, isAnother: Bool, _ edge: Edge
    ) -> Fate {
        switch engine.hand(packet, form, to: subscriber, handOver, isAnother: isAnother, now: edge.now) {
        case .send(let client, let stamp): send(packet, form, stamp, to: client, edge)
        case .sendReplacement(let client, let stamp): send(engine.replacementBytes, engine.replacementForm, stamp, to: client, edge)
        case .kept: .sent
        case .dropped: .dropped
        case .gone: .gone
        }
    }

    /// Sends a message that has waited, with the number of its topic where that has one.
    @usableFromInline
    func deliver<Edge: LoopEdge>(_ packet: Bytes, _ form: WireForm, _ stamp: PublishStamp, to client: ConnectionID, _ edge: Edge) {
        let written = engine.number(packet, for: client) ? engine.replacementBytes : packet
        send(written, form, stamp, to: client, of: packet, edge)
    }

    /// Stamps a message where it is, which all of its recipients share, and sends it before the next one is stamped.
    /// - Parameter whole: the message with its topic, where a number stands in that's place.
    @usableFromInline @discardableResult
    func send<Edge: LoopEdge>(
        _ packet: Bytes, _ form: WireForm, _ stamp: PublishStamp, to client: ConnectionID, of whole: Bytes? = nil, _ edge: Edge
    ) -> Fate {
        guard let start = UnsafeMutableRawPointer(mutating: packet.baseAddress) else { return .dropped }
        let first = start.load(as: UInt8.self)
        stamp.write(over: start)
        let outcome = edge.send(packet, to: client)
        start.storeBytes(of: first, as: UInt8.self)
        guard outcome != .queued else { return .sent }
        engine.putBack(client, stamp, whole ?? packet, form)
        return outcome.map(Fate.init) ?? .gone
    }

    // MARK: Rules about deliveries

    /// What became of a message for one client.
    @usableFromInline
    enum Fate {
        case sent, tooSlow, gone
        /// A rule has kept it from the client.
        case dropped

        @usableFromInline
        init(_ outcome: SendOutcome) { self = outcome == .queued ? .sent : .tooSlow }
    }

    /// Sends a message, or what the rules make of it for this client.
    @usableFromInline
    func offer<Edge: LoopEdge>(_ message: Bytes, _ form: WireForm, to client: ConnectionID, isAnother: Bool, _ edge: Edge) -> Fate {
        switch engine.offer(message, form, to: client, isAnother: isAnother, now: edge.now) {
        case .unchanged: edge.send(message, to: client).map(Fate.init) ?? .gone
        case .replaced: edge.send(engine.replacementBytes, to: client).map(Fate.init) ?? .gone
        case .dropped: .dropped
        }
    }

    @usableFromInline
    func count(_ fate: Fate) {
        tally?.matched += 1
        switch fate {
        case .sent: tally?.sent += 1
        case .tooSlow: tally?.slow += 1
        case .dropped: tally?.dropped += 1
        case .gone: break
        }
    }
}
