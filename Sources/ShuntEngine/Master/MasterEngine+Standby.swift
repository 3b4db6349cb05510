public import ExchangeCodec
public import ShuntCore

/// A master that has just begun to serve, until its workers have told it what they hold.
struct Filling: Sendable {
    /// Workers that have not told all of their chats.
    var missing: Set<String>
    /// When those that have not told are not waited for any longer.
    var until: Double
    /// Questions for chats that nobody has told of yet.
    var held: [ChatQuestion] = []

    static let capacity = 10_000

    struct ChatQuestion: Sendable {
        var frame: Int64
        var connection: ConnectionID
        var chat: String
        var key: ChatKey
        var worker: String
        var wantsAddresses: Bool
    }
}

/// One of several masters: it serves while workers let it, and otherwise sends them to the one that does. A master without peers serves always.
extension MasterEngine {
    public var isServing: Bool { standby?.isServing ?? true }

    /// - Throws: `master.standby`.
    public func checkServing(now: Double) throws(ShuntError) { try standby?.checkServing(now: now) }

    /// How this master is, for another that asks.
    public func state(known: MasterStateBody.Known? = nil, now: Double) -> MasterStateBody? {
        standby?.state(workers: Array(directory.allocation.prefix(MasterStateBody.maximumWorkers)), known: known, now: now)
    }

    /// How this master is, for operators; nil where it has no peers.
    public func role(now: Double) -> MasterRoleRecord? { standby?.record(now: now) }

    /// Another master has said how it is.
    public func heard(_ state: MasterStateBody, now: Double) { change(standby?.heard(state, now: now) ?? [], now: now) }

    /// What the master at that address tells of bans. It counts while that one serves.
    public func heard(_ body: BansBody, from master: String, now: Double) {
        guard let standby, !standby.isServing, standby.serving(now: now) == master else { return }
        encodedBans = nil
        switch body {
        case .all(let new):
            let subjects = Set(new.map(\.subject))
            for ban in Array(bans.all) where !subjects.contains(ban.subject) { lift(ban.subject) }
            for ban in new { keep(ban) }
        case .add(let new): for ban in new { keep(ban) }
        case .remove(let subjects): for subject in subjects { lift(subject) }
        }
    }

    private func keep(_ ban: Ban) {
        guard (try? bans.add(ban)) != nil else { return }
        changes.append(.ban(ban))
    }

    private func lift(_ subject: BanSubject) {
        if bans.remove(subject) { changes.append(.unban(subject)) }
    }

    /// An operator has this master make way for another.
    /// - Throws: as `Standby.makeWay`; `request.unsupported` for a master without peers.
    public func makeWay(now: Double) throws(ShuntError) {
        try checkPeers()
        change(try standby?.makeWay(now: now) ?? [], now: now)
    }

    /// An operator has this master serve.
    /// - Throws: as `Standby.force`; `request.unsupported` for a master without peers.
    public func forceServing(now: Double) throws(ShuntError) {
        try checkPeers()
        change(try standby?.force(now: now) ?? [], now: now)
    }

    private func checkPeers() throws(ShuntError) {
        guard standby == nil else { return }
        throw ShuntError(.requestUnsupported, "this master has no peers: it serves always", help: "give it master.peers")
    }

    /// Another master asks how this one is.
    func answer(master frame: FrameView, _ start: UnsafeRawPointer, _ connection: ConnectionID, now: Double) throws(ShuntError) {
        let body = try MasterStateBody(decoding: try value(of: frame, start))
        guard standby?.others[body.address] != nil, let state = state(known: body.known, now: now) else {
            throw ShuntError(
                .requestUnsupported, "\(body.address) is none of this master's peers", help: "name each other's addresses in master.peers")
        }
        peers[connection]?.master = body.address
        actions.append(.send(connection, state.answer(to: frame.id).encoded()))
        // The other takes bans once it has heard who serves.
        if state.isServing, peers[connection]?.toldTerm != state.term {
            peers[connection]?.toldTerm = state.term
            tellBans(to: connection, now: now)
        }
        heard(body, now: now)
    }

    /// Whether a worker's heartbeat is for a master that serves; otherwise it is answered.
    func attends(_ body: HeartbeatBody, _ worker: String, _ frame: FrameView, _ connection: ConnectionID, now: Double) throws(ShuntError) -> Bool {
        guard standby != nil else { return true }
        guard let shunt = body.shunt else {
            // Message-channel's workers have one master and end without it; this one sends no clients to them while it is standby.
            if !isServing { acknowledge(frame, connection) }
            return isServing
        }
        try WorkerLimits.check(body)
        if body.createdTime == HeartbeatBody.signingOff {
            standby?.left(worker)
        } else {
            let takesClients = !shunt.isDraining && shunt.room != 0
            change(
                standby?.heard(worker, shunt.ballot, interval: Double(shunt.interval) / 1000, takesClients: takesClients, now: now) ?? [], now: now)
        }
        guard !isServing else { return true }
        // This very heartbeat may have told that another master serves.
        guard !closing.contains(connection) else { return false }
        peers[connection]?.worker = worker
        answer(frame, connection, reply(to: worker, mustReport: false, now: now))
        return false
    }

    /// The text of the answer to a worker's heartbeat.
    func reply(to worker: String, mustReport: Bool, now: Double) -> String {
        (standby?.reply(to: worker, mustReport: mustReport, now: now) ?? .serving(mustReport: mustReport, nil)).text
    }

    func tickStandby(now: Double) {
        guard standby != nil else { return }
        change(standby?.tick(now: now) ?? [], now: now)
        guard let filling, let standby else { return }
        // Longer than it ever waits: the clock was set back.
        let isOver = now >= filling.until || filling.until - now > standby.patience
        if filling.missing.isEmpty || isOver { filled(now: now) }
    }

    private func change(_ found: [Standby.Action], now: Double) {
        for action in found {
            switch action {
            case .serve(let why): serve(why, now: now)
            case .stepBack(let why): stepBack(why, now: now)
            }
        }
    }

    private func serve(_ why: String, now: Double) {
        guard let standby else { return }
        filling = Filling(missing: standby.live(now: now), until: now + standby.patience)
        settledAt = now + standby.patience
        record(EventRecord(at: now, kind: .masterServing, subject: standby.own, detail: "term \(standby.term): \(why)"))
    }

    /// Workers are to look for the master that serves now; what this one knows of them is not kept up any longer.
    private func stepBack(_ why: String, now: Double) {
        for (connection, peer) in peers where peer.worker != nil { close(connection, .masterStandby) }
        filling = nil
        retire(now: now)
        record(EventRecord(at: now, kind: .masterStandby, subject: standby?.own ?? "-", detail: why))
    }

    // MARK: Chats of a master that has just begun

    /// Whether a chat may be at a worker that has not told of it; the question waits then.
    func holds(_ question: Filling.ChatQuestion) throws(ShuntError) -> Bool {
        guard let filling, !knows(chat: question.chat) else { return false }
        guard filling.held.count < Filling.capacity else {
            throw ShuntError(.memoryLimit, "too many chats are asked for while workers tell what they hold", help: "try again in a moment")
        }
        self.filling?.held.append(question)
        return true
    }

    /// A worker has told all of its chats.
    func toldChats(_ worker: String) { filling?.missing.remove(worker) }

    private func filled(now: Double) {
        let held = filling?.held ?? []
        filling = nil
        for question in held where peers[question.connection] != nil { answer(question, now: now) }
    }
}
