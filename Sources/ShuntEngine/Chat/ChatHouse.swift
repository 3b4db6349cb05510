import ExchangeCodec
import ShuntCore

/// The chats that one loop is home to (exchange protocol §11.5), and those that it asks the master for.
///
/// A value: events in, actions out, in the order in which they are to be carried out. The members' connections may be on
/// other loops; a chat's home is chosen by its id, so that all frames of one id come here.
public struct ChatHouse: Sendable {
    private var chats: [ExactText: Chat] = [:]
    private var asked: [ExactText: ChatInquiry] = [:]
    /// The chats that a connection is in, or waits for, in the order in which it came to them.
    private var memberships: [ConnectionID: [ExactText]] = [:]
    private var deadlines = ChatDeadlines()
    private var settings: ChatSettings
    private var turn: ChatTurn
    private var lastRequest: UInt64 = 0
    /// While the worker drains, where chats go that are not open here; nil: they open here.
    public var elsewhere: String?
    /// Nobody is let into chats that are open here: other workers may open them too, as the masters do not hear this one.
    var isCutOff = false

    /// The most chats that one `tick` looks at, so that many that are due together do not stall the loop.
    public static let checksPerTick = 1000

    public init(_ settings: ChatSettings = .init()) {
        self.settings = settings
        turn = ChatTurn(budget: settings.limits.memory)
    }

    // MARK: Events

    public mutating func handle(_ event: ChatEvent, now: Double) -> [ChatAction] {
        switch event {
        case .request(let request): handle(request, now: now)
        case .announce(let chat, let payload): chats[ExactText(chat)]?.announce(payload, settings.limits, now: now, &turn)
        case .said(let chat, let by, let payload): chats[ExactText(chat)]?.say(payload, by: by, settings.limits, now: now, &turn)
        case .named(let connection, let uid): named(connection, uid)
        case .left(let connection): left(connection, now: now)
        case .answer(let chat, let request, let assignment): answered(ExactText(chat), request, assignment, now: now)
        case .moved(let chat, let address): end(ExactText(chat), .moved(to: address))
        case .close(let chat): end(ExactText(chat), .closedByOperator)
        case .moveAway(let address, let limit, let isForced): moveAway(to: address, limit, isForced)
        case .tick: tick(now: now)
        }
        defer { turn.actions = [] }
        return turn.actions
    }

    /// Other settings apply from the next event on; a chat that has too many members keeps them.
    public mutating func setSettings(_ new: ChatSettings, now: Double) {
        turn.budget += new.limits.memory - settings.limits.memory
        settings = new
        for chat in Array(chats.keys) { schedule(chat) }
    }

    /// Corrects all deadlines after somebody set the clock, or the process stood still: that time counts neither as idle nor as absent.
    /// - Parameter pause: seconds that the clock jumped ahead; 0 if it went back.
    public mutating func forget(pause: Double, now: Double) {
        for id in Array(chats.keys) {
            chats[id]?.forget(pause: pause, now: now)
            schedule(id)
        }
        asked = asked.mapValues { inquiry in
            var inquiry = inquiry
            inquiry.since = min(inquiry.since + pause, now)
            return inquiry
        }
    }

    // MARK: Questions

    /// The request number of a question about a chat that is open here already. It tells a master that has started again about the chat.
    public static let retold: UInt64 = 0

    /// Whether a master assigns chats.
    public var hasMasters: Bool { settings.hasMasters }

    /// The loop that a chat is at home on: the same for ids that are equal, on one run of a worker.
    public static func home(of chat: String, loops: Int) -> Int {
        Int(UInt(bitPattern: ExactText(chat).hashValue) % UInt(max(1, loops)))
    }

    /// Open chats.
    public var count: Int { chats.count }

    /// All open chats, by id: what a new master is told.
    public func summaries() -> [ChatSummary] { chats.values.map(\.summary).sorted { $0.chat < $1.chat } }

    /// Bytes of messages that wait for somebody.
    public var heldBytes: Int { settings.limits.memory - turn.budget }

    /// A chat as rules see it; nil if it is not open here.
    public func view(of chat: String) -> ChatView? { chats[ExactText(chat)]?.view }

    /// Whether a connection is in a chat here, or waits to be.
    public func isMember(_ connection: ConnectionID, of chat: String) -> Bool {
        memberships[connection]?.contains(ExactText(chat)) ?? false
    }

    /// Who a member of a chat is, also after it has come back on another connection.
    func place(of connection: ConnectionID, in chat: String) -> ChatPlace {
        ChatPlace(connection: connection, number: chats[ExactText(chat)]?.number(of: connection) ?? 0)
    }

    /// Nothing is kept of anybody.
    var isEmpty: Bool { chats.isEmpty && asked.isEmpty && memberships.isEmpty && deadlines.isEmpty }

    // MARK: Requests

    private mutating func handle(_ request: ChatRequest, now: Double) {
        if asked[request.name] != nil { return wait(request) }
        guard let isMember = chats[request.name]?.isHere(request.member.connection) else {
            return request.key == .create ? open(request, now: now) : refuseUnknown(request)
        }
        switch request.key {
        case .create where isCutOff:
            turn.refuse(
                request,
                ShuntError(.masterUnavailable, "this worker has no master, and the chat may be at another worker", help: "send it again later"))
        case .create: join(request, now: now)
        case .session, .leave, .destroy:
            guard isMember else {
                let error = ShuntError(.chatNotMember, "this connection is not in the chat", help: "join it with CREATE first")
                return turn.refuse(request, error)
            }
            if request.key == .session { return chats[request.name]?.message(request, settings.limits, now: now, &turn) ?? () }
            // A client that hears of the chat's end may open it at another worker at once: the master must know first.
            let isOver = request.key == .destroy || chats[request.name]?.places.count == 1
            let waits = settings.hasMasters && isOver
            if !waits { turn.actions.append(.acknowledge(request.member.connection, request.receipt)) }
            if request.key == .leave { leave(request) } else { end(request.name, .destroyed(by: request.member), request.payload) }
            if waits { turn.actions.append(.acknowledgeConfirmed(request.member.connection, request.receipt)) }
        }
    }

    private mutating func refuseUnknown(_ request: ChatRequest) {
        let error = ShuntError(.chatUnknown, "this worker has no such chat", help: "create or join it with CREATE first")
        turn.refuse(request, error)
    }

    private mutating func open(_ request: ChatRequest, now: Double) {
        if let elsewhere { return turn.actions.append(.redirect(request.member.connection, request.receipt, to: elsewhere)) }
        guard chats.count + asked.count < settings.limits.chats else {
            return turn.refuse(
                request, ShuntError(.memoryLimit, "this worker has \(chats.count) chats", help: "no more are allowed (chat.chats)"))
        }
        guard settings.hasMasters else {
            chats[request.name] = Chat(request.chat, now: now)
            join(request, now: now)
            if chats[request.name]?.places.isEmpty == true { chats[request.name] = nil }
            return
        }
        lastRequest += 1
        asked[request.name] = ChatInquiry(request: lastRequest, since: now)
        wait(request)
        // Its connection may be in too many chats to wait for one more.
        if asked[request.name]?.waiting.isEmpty == true {
            asked[request.name] = nil
        } else {
            turn.actions.append(.askMaster(request: lastRequest, chat: request.chat))
        }
    }

    private mutating func join(_ request: ChatRequest, now: Double) {
        let member = request.member
        do throws(ShuntError) {
            guard let joining = try chats[request.name]?.joining(member, settings) else { return refuseUnknown(request) }
            if joining == .again {
                chats[request.name]?.refresh(member)
                return turn.actions.append(.acknowledge(member.connection, request.receipt))
            }
            try enter(member.connection, request.name)
            if case .rejoined(let old?) = joining { forget(old, request.name) }
        } catch {
            return turn.refuse(request, error)
        }
        chats[request.name]?.join(member, request.receipt, settings, now: now, &turn)
        schedule(request.name)
    }

    /// A member goes for good: its place is free.
    private mutating func leave(_ request: ChatRequest) {
        forget(request.member.connection, request.name)
        chats[request.name]?.quit(request.member.connection, settings, &turn)
        if chats[request.name]?.places.isEmpty == true { end(request.name, .deserted) }
    }

    /// A client has said, or changed, who it is: the chats that it is in know it by that.
    private mutating func named(_ connection: ConnectionID, _ uid: String) {
        for chat in memberships[connection] ?? [] { chats[chat]?.rename(connection, uid) }
    }

    // MARK: Asking the master

    /// A frame for a chat that the master is being asked for.
    private mutating func wait(_ request: ChatRequest) {
        var request = request
        // What a CREATE carries is not passed on.
        if request.key == .create { request.payload.bytes = [] }
        let cost = ChatHolding.cost(request.payload)
        guard (asked[request.name]?.waiting.count ?? 0) < settings.limits.waiting, cost <= turn.budget else {
            return turn.refuse(
                request, ShuntError(.memoryLimit, "too much waits for the master's answer", help: "send it again later"))
        }
        do throws(ShuntError) {
            try enter(request.member.connection, request.name)
        } catch {
            return turn.refuse(request, error)
        }
        turn.budget -= cost
        asked[request.name]?.waiting.append(request)
        if request.receipt.isExactlyOnce { turn.actions.append(.wait(request.member.connection, request.receipt)) }
    }

    private mutating func answered(_ chat: ExactText, _ request: UInt64, _ assignment: ChatAssignment, now: Double) {
        if request == Self.retold {
            if case .elsewhere(let address) = assignment, chats[chat] != nil { end(chat, .moved(to: address)) }
            return
        }
        guard let inquiry = asked[chat] else {
            // Too late, and nobody is here any more: others may have it.
            if assignment == .granted, chats[chat] == nil { tellClosed(chat, createdAt: now) }
            return
        }
        // An earlier question's answer is as good if it gives the chat to this worker; if not, things may have changed since.
        guard inquiry.request == request || assignment == .granted else { return }
        switch assignment {
        case .granted:
            let waiting = settle(chat)
            chats[chat] = Chat(chat.text, now: now)
            for request in waiting { handle(request, now: now) }
            guard chats[chat]?.places.isEmpty == true else { return }
            chats[chat] = nil
            tellClosed(chat, createdAt: now)
        case .elsewhere(let address):
            for request in settle(chat) {
                turn.actions.append(.redirect(request.member.connection, request.receipt, to: address))
            }
        case .unavailable:
            refuseAll(chat)
        }
    }

    private mutating func refuseAll(_ chat: ExactText) {
        for request in settle(chat) {
            turn.refuse(request, ShuntError(.masterUnavailable, "no master has answered", help: "send it again later"))
        }
    }

    /// The question is settled.
    /// - Returns: what has waited for it, in order.
    private mutating func settle(_ chat: ExactText) -> [ChatRequest] {
        guard let inquiry = asked.removeValue(forKey: chat) else { return [] }
        for request in inquiry.waiting {
            turn.budget += ChatHolding.cost(request.payload)
            forget(request.member.connection, chat)
        }
        return inquiry.waiting
    }

    // MARK: Leaving

    private mutating func left(_ connection: ConnectionID, now: Double) {
        for chat in memberships.removeValue(forKey: connection) ?? [] {
            if let waiting = asked[chat]?.waiting {
                for request in waiting where request.member.connection == connection {
                    turn.budget += ChatHolding.cost(request.payload)
                }
                asked[chat]?.waiting.removeAll { $0.member.connection == connection }
            } else {
                chats[chat]?.leave(connection, settings, now: now, &turn)
                schedule(chat)
            }
        }
    }

    private mutating func tick(now: Double) {
        for chat in asked.filter({ now - $0.value.since >= settings.masterTimeout }).keys.sorted() { refuseAll(chat) }
        for chat in deadlines.due(now: now, limit: Self.checksPerTick) {
            // Another chat may have got the id meanwhile, which is not due yet.
            guard let scheduled = chats[chat]?.scheduledFor, Double(scheduled) <= now else { continue }
            chats[chat]?.scheduledFor = Int.max
            chats[chat]?.expire(settings, now: now, &turn)
            if chats[chat]?.places.isEmpty == true {
                end(chat, .deserted)
            } else if chats[chat]?.isIdle(settings, now: now) == true {
                end(chat, .idle)
            } else {
                schedule(chat)
            }
        }
    }

    private mutating func end(_ id: ExactText, _ why: ChatEnd, _ payload: ChatPayload? = nil) {
        guard let chat = chats.removeValue(forKey: id) else { return }
        deadlines.cancel(id, at: chat.scheduledFor)
        for place in chat.places where place.isPresent { forget(place.member.connection, id) }
        chat.end(why, payload, settings, &turn)
        // A chat that has moved is the other worker's at the master already.
        if case .moved = why { return }
        tellClosed(id, createdAt: chat.createdAt)
    }

    /// Tells the members of chats where to go. A chat that holds messages for an absent member stays as long as it would otherwise.
    private mutating func moveAway(to address: String?, _ limit: Int, _ isForced: Bool) {
        for (id, chat) in chats.filter({ isForced || !$0.value.isHolding }).prefix(limit) {
            guard let address else {
                end(id, .closedByOperator)
                continue
            }
            end(id, .moved(to: address))
            tellClosed(id, createdAt: chat.createdAt)
        }
    }

    private mutating func tellClosed(_ chat: ExactText, createdAt: Double) {
        turn.actions.append(.tellMaster(.closed(chat: chat.text, createdAt: createdAt)))
    }

    // MARK: Bookkeeping

    private mutating func enter(_ connection: ConnectionID, _ chat: ExactText) throws(ShuntError) {
        let present = memberships[connection] ?? []
        guard !present.contains(chat) else { return }
        guard present.count < settings.limits.perConnection else {
            throw ShuntError(.memoryLimit, "this connection is in too many chats", help: "leave some first, with LEAVE")
        }
        memberships[connection, default: []].append(chat)
    }

    private mutating func forget(_ connection: ConnectionID, _ chat: ExactText) {
        memberships[connection]?.removeAll { $0 == chat }
        if memberships[connection]?.isEmpty == true { memberships[connection] = nil }
    }

    /// Enters a chat for its deadline, unless it will be looked at earlier anyway.
    private mutating func schedule(_ id: ExactText) {
        guard let chat = chats[id], let deadline = chat.deadline(settings) else { return }
        let second = ChatDeadlines.second(atOrAfter: deadline)
        guard second < chat.scheduledFor else { return }
        deadlines.cancel(id, at: chat.scheduledFor)
        deadlines.schedule(id, at: second)
        chats[id]?.scheduledFor = second
    }
}

/// A chat that the master is being asked for, and the frames that wait for the answer, in order.
struct ChatInquiry: Sendable {
    var request: UInt64
    /// Seconds since 1970.
    var since: Double
    var waiting: [ChatRequest] = []
}
