import ExchangeCodec
import ShuntCore

/// A worker's connection to its masters: tries the addresses of its list for ever, and sends heartbeats to the one that answers.
///
/// A value: events in, actions out. The driver calls `tick` about ten times a second.
public struct MasterLink: Sendable {
    public enum Action: Equatable, Sendable {
        case connect(to: String)
        case send([UInt8])
        /// Ask for the worker's figures and call `heartbeat`.
        case report
        case close(why: String)
        /// The link is up: tell this master all that the worker holds.
        /// - isShunt: whether it takes reports; message-channel's takes single devices, and is asked for chats.
        case joined(master: String, isShunt: Bool)
        /// The master has taken the events that heartbeats have told, up to this number.
        case tookEvents(upTo: Int64)
        /// The master has forgotten what the worker holds: tell it all again.
        case reportAgain
        /// See whether this master answers, on a connection of its own, and call `looked`. An earlier one of the list counts.
        case look(at: String)
        /// Nothing more is to come: the worker may end.
        case ended
        case lost(master: String, why: String)
        /// The master does not take a heartbeat or a report.
        case refused(master: String, why: String)
        /// The master has not proved the cluster's token, and is left.
        case untrusted(master: String, why: String)
        /// The master has answered a loop's question.
        case answered(ChatQuestion, ChatAssignment)
        /// The master tells something of a chat by itself.
        case chat(id: String, ChatEvent)
        /// The master has taken what was told before these were asked for, or none is there to take it.
        case confirmed([Confirmation])
        /// Devices have registered at other workers: their earlier sessions here end.
        case displaced([DeviceBatchBody.Left])
        /// The master asks something of this worker's retained messages: call `answer`.
        case asked(id: Int64, RetainedRequestBody)
        /// The master asks which clients this worker has refused: call `answer`.
        case askedRefused(id: Int64, RefusedQuery)
        /// An operator commands something, by the master: call `answer`.
        case commanded(id: Int64, CommandRequestBody)
        /// A master of message-channel says how many connections this worker should have.
        case balance(connections: Int)
        /// The master tells who is banned.
        case bans(BansBody)
        /// The master wants to know all clients, as the list of this number.
        case askedClients(list: Int64)
        /// The master has taken the last report of clients; where it has refused it, it wants no more.
        case tookClients(isRefused: Bool)
        /// No serving master has answered for two heartbeats, or one answers again: others may open the chats that are open here, so nobody
        /// is let into them.
        case cutOff(Bool)
        /// Where clients reach another worker.
        case learned(WorkerAddresses)
        /// The other workers that have room.
        case room([WorkerAddresses])
    }

    /// A loop's wish to hear when the master has taken what it was told.
    public struct Confirmation: Equatable, Sendable {
        public var loop: UInt8
        public var request: UInt64

        public init(loop: UInt8, request: UInt64) {
            self.loop = loop
            self.request = request
        }
    }

    /// A loop's question which worker has a chat.
    public struct ChatQuestion: Equatable, Sendable {
        public var loop: UInt8
        public var request: UInt64
        public var chat: String

        public init(loop: UInt8, request: UInt64, chat: String) {
            self.loop = loop
            self.request = request
            self.chat = chat
        }
    }

    enum State: Equatable, Sendable {
        case waiting(until: Double)
        case connecting
        case connected(Connected)
        /// The worker ends, and has told the master; waits for the answer to this frame, but not for ever.
        case leaving(id: Int64, until: Double)
        case stopped
    }

    struct Connected: Equatable, Sendable {
        var proof = Proof.done
        var nextReport: Double
        /// Heartbeats sent since one was answered, and when the first of them was.
        var unanswered = 0
        var heardAt: Double
        /// The last event that a heartbeat tells which is not answered, by the id of its frame.
        var eventsTold: [Int64: Int64] = [:]
        var hasJoined = false
        var isShunt = false
        /// Questions under way, by the id of their frame.
        var questions: [Int64: Asked] = [:]
        /// The last frame that told something and is not answered. A master answers in order.
        var lastTold: Int64?
        /// What is confirmed by the answers to these frames, in order.
        var confirmations: [Awaited] = []
        /// When it is looked next whether an earlier master of the list is back.
        var nextLook: Double
        /// Which of the earlier ones is looked at.
        var looked = 0
        /// How often in a row it has answered.
        var answered = 0
        /// The worker's address as the master sees it.
        var localHost = ""
        /// The frame of the last question after workers that have room.
        var roomAsked: Int64?
        /// Whether the master is one of several, and says where the serving one is.
        var hasPeers = false
        /// When it first said that it does not serve, on this connection.
        var standsBySince: Double?
        /// The frame of the last report of clients, while it is not answered.
        var clientsTold: Int64?
    }

    /// Confirmations that the answer to a frame gives.
    struct Awaited: Equatable, Sendable {
        var frame: Int64
        var confirmations: [Confirmation]
    }

    struct Asked: Equatable, Sendable {
        var question: ChatQuestion
        var at: Double
        /// This worker's address, as a master names it.
        var own: String
    }

    /// A question that waits for a master.
    struct Early: Equatable, Sendable {
        var question: ChatQuestion
        var host: ChatHostBody
    }

    /// Seconds that a worker which ends waits for its master to take note.
    static let leavingPatience = 1.0
    /// Seconds after which nobody waits for an answer any more.
    static let questionPatience = 10.0
    /// Seconds without a master after which questions are not kept for the next one.
    static let alonePatience = 2.0
    /// Questions that may be under way.
    static let questionCapacity = 10_000

    var state: State
    let masters: [String]
    let interval: Double
    /// What a master must prove; nil where nobody needs to.
    let secret: LinkSecret?
    /// Until when masters that have not proved it are not looked at, by their places.
    var distrusted: [Int: Double] = [:]
    /// The place in `masters` that is tried, or used.
    private(set) var place = 0
    /// What is repeated to masters of each other.
    var ballot = Ballot()
    /// When a serving master of several last answered.
    var servedAt: Double
    var isCutOff = false
    /// When a master could not be reached last, by its place.
    var unreachedAt: [Int: Double] = [:]
    var failures = 0
    var ids = FrameIDs()
    /// When the last master was lost, or the start.
    private var aloneSince: Double
    /// The earlier master of the list that is back.
    var returnsTo: Int?
    /// Questions that came before a master was joined.
    private var early: [Early] = []

    /// The longest wait between two attempts, in seconds.
    static let longestWait = 5.0

    /// - Parameters:
    ///   - masters: `host:port`, tried in turn. Not empty.
    ///   - interval: seconds between heartbeats.
    ///   - secret: what both ends prove; nil for nothing.
    public init(masters: [String], interval: Double, secret: LinkSecret? = nil, now: Double) {
        self.secret = secret
        self.masters = masters
        self.interval = interval
        (aloneSince, servedAt) = (now, now)
        state = masters.isEmpty ? .stopped : .waiting(until: now)
    }

    /// The master that is used or tried.
    public var master: String { masters.isEmpty ? "" : masters[place % masters.count] }

    /// Whether a master has answered a heartbeat on the present connection.
    public var isUp: Bool {
        if case .connected(let connected) = state { return connected.hasJoined }
        return false
    }

    // MARK: Events

    public mutating func tick(now: Double) -> [Action] {
        let news = cutOffNews(now: now)
        if !early.isEmpty, !isUp, abs(now - aloneSince) >= Self.alonePatience {
            let refused = early.map { Action.answered($0.question, .unavailable) }
            early = []
            return news + refused + step(now: now)
        }
        return news + step(now: now)
    }

    private mutating func step(now: Double) -> [Action] {
        switch state {
        // Longer than it ever waits: the clock was set back.
        case .waiting(let until) where now >= until || until - now > Self.longestWait:
            state = .connecting
            return [.connect(to: master)]
        case .connected(var connected):
            if let pending = connected.proof.pending {
                let isLate = abs(now - pending.since) > Self.proofPatience
                return isLate ? leave("it does not answer", now: now) : []
            }
            connected.heardAt = min(connected.heardAt, now)
            // Three heartbeats without an answer, and the time for them: the master is gone, whatever TCP thinks. One of several does not serve
            // after two.
            let missed = connected.hasPeers ? 2 : 3
            if connected.unanswered >= missed, now - connected.heardAt > Double(missed) * interval {
                return [.close(why: "no answer to \(connected.unanswered) heartbeats")]
            }
            if let why = tiredOfWaiting(connected, now: now) { return [.close(why: why)] }
            if place % masters.count > 0, connected.hasJoined, !connected.hasPeers, now >= connected.nextLook || connected.nextLook - now > look {
                connected.nextLook = now + look
                let earlier = connected.looked % (place % masters.count)
                if isDistrusted(earlier, now: now) { connected.looked += 1 }
                state = .connected(connected)
                return isDistrusted(earlier, now: now) ? [] : [.look(at: masters[earlier])]
            }
            guard now >= connected.nextReport || connected.nextReport - now > interval else { return [] }
            connected.nextReport = now + (connected.standsBySince == nil ? interval : min(interval, Self.waitingInterval))
            if !connected.questions.isEmpty {
                connected.questions = connected.questions.filter { now - $0.value.at < Self.questionPatience }
            }
            state = .connected(connected)
            return [.report]
        case .leaving(_, let until) where now >= until || until - now > Self.leavingPatience: return end()
        case .waiting, .connecting, .leaving, .stopped: return []
        }
    }

    /// - Parameters:
    ///   - localHost: this end's IP address: a master's name for a worker that advertises none.
    ///   - isTrusted: whether this master need not prove anything.
    public mutating func connected(now: Double, localHost: String = "", isTrusted: Bool = false) -> [Action] {
        guard state == .connecting else { return [] }
        let connected = Connected(nextReport: now + interval, heardAt: now, nextLook: now + look, localHost: localHost)
        if let secret, !isTrusted { return greet(secret, connected, now: now) }
        state = .connected(connected)
        return [.report]
    }

    /// The figures that `report` asked for.
    public mutating func heartbeat(_ body: HeartbeatBody, now: Double) -> [Action] {
        guard case .connected(var connected) = state, connected.proof == .done else { return [] }
        connected.unanswered += 1
        var body = body
        body.shunt?.ballot = ballot
        // One of message-channel keeps none.
        if connected.hasJoined, !connected.isShunt { body.shunt?.events = [] }
        let id = ids.next(now: now)
        connected.eventsTold[id] = body.shunt?.events.last?.number
        state = .connected(connected)
        return [.send(Frame.heartbeat(id: id, body).encoded())]
    }

    /// A frame from the master.
    public mutating func received(_ frame: Frame, now: Double) -> [Action] {
        if case .leaving(frame.id, _) = state, frame.type == .acknowledgement { return end() }
        guard case .connected(var connected) = state else { return [] }
        guard connected.proof == .done else { return proofReceived(frame, connected, now: now) }
        if frame.type == .chat { return chatNews(frame) }
        if frame.type == .registered { return Self.displacements(frame) }
        if frame.type == .balance { return Self.balance(frame) }
        if frame.type == .binding, connected.isShunt { return Self.question(frame) }
        guard frame.type == .acknowledgement else { return [] }
        connected.heardAt = now
        connected.unanswered = 0
        if let asked = connected.questions.removeValue(forKey: frame.id) {
            state = .connected(connected)
            if let other = Self.addresses(frame) { return [.learned(other), .answered(asked.question, .elsewhere(other.worker))] }
            return [.answered(asked.question, Self.assignment(frame, own: asked.own, isShunt: connected.isShunt))]
        }
        if connected.roomAsked == frame.id {
            connected.roomAsked = nil
            state = .connected(connected)
            return Self.room(frame)
        }
        if connected.clientsTold == frame.id { return tookClients(frame, connected) }
        var confirmed = connected.confirm(frame.id)
        let eventsTold = connected.eventsTold.removeValue(forKey: frame.id)
        state = .connected(connected)
        guard !frame.isError else { return [.refused(master: master, why: frame.text)] + confirmed }
        let reply = HeartbeatReply(frame.text)
        if let moves = follow(reply, &connected, now: now) { return confirmed + moves }
        if let eventsTold, case .serving = reply { confirmed.append(.tookEvents(upTo: eventsTold)) }
        guard !connected.hasJoined else {
            if case .serving(mustReport: true, _) = reply { return confirmed + [.reportAgain] }
            return confirmed
        }
        connected.hasJoined = true
        connected.isShunt = reply != nil
        failures = 0
        state = .connected(connected)
        let waiting = early
        early = []
        return [.joined(master: master, isShunt: connected.isShunt)] + confirmed + waiting.flatMap { ask($0.question, host: $0.host, now: now) }
    }

    /// §11.3: 200 with the asker's own address, or 307 with another's. A native master may answer twice; the first counts. One of
    /// message-channel's says 200 with another's address too.
    private static func assignment(_ frame: Frame, own: String, isShunt: Bool) -> ChatAssignment {
        switch frame.status {
        case FrameStatus.ok:
            isShunt || frame.text == own || !frame.text.contains(":") ? .granted : .elsewhere(frame.text)
        case FrameStatus.temporaryRedirect: .elsewhere(frame.text)
        default: .unavailable
        }
    }

    /// Asks which other workers have room, where a master of Shunt's own is there to answer.
    public mutating func askRoom(now: Double) -> [Action] {
        guard case .connected(var connected) = state, connected.hasJoined, connected.isShunt else { return [] }
        let id = ids.next(now: now)
        connected.roomAsked = id
        state = .connected(connected)
        return [.send(Frame.room(id: id).encoded())]
    }

    /// Asks which worker has a chat (§11.3).
    public mutating func ask(_ question: ChatQuestion, host: ChatHostBody, now: Double) -> [Action] {
        guard case .connected(var connected) = state, connected.hasJoined else {
            guard canWait(now: now) else { return [.answered(question, .unavailable)] }
            early.append(Early(question: question, host: host))
            return []
        }
        guard connected.questions.count < Self.questionCapacity else { return [.answered(question, .unavailable)] }
        let id = ids.next(now: now)
        let own = HostPort(host.host ?? connected.localHost, host.port).description
        connected.questions[id] = Asked(question: question, at: now, own: own)
        state = .connected(connected)
        var host = host
        host.wantsAddresses = connected.isShunt
        let frame = Frame(
            .chat, id: id, format: .json, value: host.encoded(), name: question.chat, key: ChatKey.create.rawValue)
        return [.send(frame.encoded())]
    }

    /// Whether a question may wait for a master that is expected any moment: after the start, and where one was just lost.
    private func canWait(now: Double) -> Bool {
        switch state {
        case .stopped, .leaving: false
        case .waiting, .connecting, .connected: abs(now - aloneSince) < Self.alonePatience && early.count < Self.questionCapacity
        }
    }

    /// Whether something waits to be confirmed.
    public var isConfirming: Bool {
        if case .connected(let connected) = state { return !connected.confirmations.isEmpty }
        return false
    }

    /// Asks to hear when the master has taken all that it was told so far.
    public mutating func confirm(_ confirmations: [Confirmation]) -> [Action] {
        guard !confirmations.isEmpty else { return [] }
        guard case .connected(var connected) = state, connected.hasJoined, let frame = connected.lastTold
        else { return [.confirmed(confirmations)] }
        connected.confirmations.append(Awaited(frame: frame, confirmations: confirmations))
        state = .connected(connected)
        return []
    }

    /// Tells something that needs no answer: a device, or a report.
    public mutating func tell(_ type: FrameType, _ body: [UInt8], name: String? = nil, key: String? = nil, now: Double) -> [Action] {
        guard case .connected(var connected) = state, connected.hasJoined else { return [] }
        let id = ids.next(now: now)
        connected.lastTold = id
        state = .connected(connected)
        return [.send(Frame(type, id: id, format: .json, value: body, name: name, key: key).encoded())]
    }

    /// The attempt failed, or the connection closed.
    /// - Parameter random: 0..<1; workers that lose one master together should not come back together.
    public mutating func closed(why: String, now: Double, random: Double) -> [Action] {
        if case .leaving = state { return end() }
        guard state != .stopped else { return [] }
        if isUp { aloneSince = now }
        var lost: [Action] = isUp ? [.lost(master: master, why: why)] : []
        if case .connecting = state { unreachedAt[place % masters.count] = now }
        // A master that was there may be back at once; one that can't be reached is passed over for the next.
        // Of several that know one another, the next knows more.
        if !isUp || hasPeers { place = (place + 1) % masters.count }
        if let earlier = returnsTo {
            place = earlier
            returnsTo = nil
        }
        let rounds = failures / masters.count
        failures += 1
        let wait = min(Self.longestWait, 0.2 * Double(1 << min(rounds, 10)))
        if case .connected(let connected) = state {
            lost += connected.questions.values.map { .answered($0.question, .unavailable) }
            lost += connected.confirmations.map { .confirmed($0.confirmations) }
        }
        state = .waiting(until: now + wait * (0.5 + random / 2))
        return lost
    }

    /// The worker ends: it signs off, and waits a moment for the answer.
    public mutating func stop(_ body: HeartbeatBody, now: Double) -> [Action] {
        // Also where no answer has come yet: the master may know the worker by its first heartbeat.
        guard case .connected(let connected) = state, connected.proof == .done else { return end() }
        var body = body
        body.createdTime = HeartbeatBody.signingOff
        let id = ids.next(now: now)
        let confirmed: [Action] = connected.confirmations.map { .confirmed($0.confirmations) }
        state = .leaving(id: id, until: now + Self.leavingPatience)
        return confirmed + [.send(Frame.heartbeat(id: id, body).encoded())]
    }

    private mutating func end() -> [Action] {
        state = .stopped
        return [.ended]
    }
}

extension MasterLink.Connected {
    /// A frame was answered: what it and those before it have told is confirmed.
    fileprivate mutating func confirm(_ frame: Int64) -> [MasterLink.Action] {
        if lastTold == frame { lastTold = nil }
        guard let place = confirmations.firstIndex(where: { $0.frame == frame }) else { return [] }
        let confirmed = confirmations[...place].flatMap(\.confirmations)
        confirmations.removeFirst(place + 1)
        return [.confirmed(confirmed)]
    }
}
