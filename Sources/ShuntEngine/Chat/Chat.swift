import ShuntCore

/// One chat at its home: its members, who of them is away, and what is held for those.
///
/// Every message goes to every other member, never back to its sender. A member that loses its connection keeps its place
/// for `ChatSettings.rejoin` seconds.
struct Chat: Sendable {
    /// A member's place in the chat.
    struct Place: Sendable {
        var member: ChatMember
        /// `ChatPlace` has it.
        let number: UInt64
        /// When its connection went; nil while it is here.
        var absentSince: Double?
        /// What it has missed.
        var held = ChatHolding()

        var isPresent: Bool { absentSince == nil }
    }

    let id: String
    /// Seconds since 1970, in whole milliseconds.
    let createdAt: Double
    /// When somebody last sent or joined.
    var touchedAt: Double
    private(set) var places: [Place] = []
    /// What was sent while the sender was the only member there ever was: for the member that joins next (§11.5.4).
    private var early = ChatHolding()
    /// The second under which this is in `ChatDeadlines`.
    var scheduledFor = Int.max

    init(_ id: String, now: Double) {
        self.id = id
        createdAt = (now * 1000).rounded() / 1000
        touchedAt = now
    }

    var summary: ChatSummary { ChatSummary(chat: id, createdAt: createdAt, members: places.count) }

    /// As rules see it.
    var view: ChatView {
        ChatView(id: id, members: places.map { .init(uid: $0.member.uid, isOnline: $0.isPresent) }, createdAt: createdAt)
    }

    /// Messages are held for somebody.
    var isHolding: Bool { !early.isEmpty || places.contains { !$0.held.isEmpty } }

    func isHere(_ connection: ConnectionID) -> Bool { presentPlace(of: connection) != nil }

    /// The number of a member's place; 0 where it has none.
    func number(of connection: ConnectionID) -> UInt64 { presentPlace(of: connection).map { places[$0].number } ?? 0 }

    // MARK: Joining

    enum Joining: Equatable {
        /// It was a member already.
        case again
        case joined
        /// It has its place back, and `from` is no member any more if it was still one.
        case rejoined(from: ConnectionID?)
    }

    /// Whether a client can join, and how. One with a uid is known by it again, even before its old connection is seen to be
    /// lost; one without takes the place of an absent member without.
    func joining(_ member: ChatMember, _ settings: ChatSettings) throws(ShuntError) -> Joining {
        if isHere(member.connection) { return .again }
        if let place = returningPlace(of: member) {
            return .rejoined(from: places[place].isPresent ? places[place].member.connection : nil)
        }
        guard places.count < settings.members else {
            throw ShuntError(
                .chatFull, "the chat has \(places.count) members", help: "at most \(settings.members) (chat.members)")
        }
        return .joined
    }

    /// A member joins again on the same connection: it may have said meanwhile who it is.
    mutating func refresh(_ member: ChatMember) {
        guard let place = presentPlace(of: member.connection) else { return }
        let isTaken = places.indices.contains { $0 != place && places[$0].member.isSame(as: member) }
        if !member.uid.isEmpty, !isTaken { places[place].member = member }
    }

    /// A member has registered under a uid, by which it is known from now on unless another member is.
    mutating func rename(_ connection: ConnectionID, _ uid: String) {
        guard let place = presentPlace(of: connection) else { return }
        var member = places[place].member
        member.uid = uid
        refresh(member)
    }

    /// Carries out what `joining` has allowed.
    mutating func join(_ member: ChatMember, _ receipt: Receipt, _ settings: ChatSettings, now: Double, _ turn: inout ChatTurn) {
        touchedAt = now
        turn.actions.append(.acknowledge(member.connection, receipt))
        let missed: ArraySlice<ChatPayload>
        if let place = returningPlace(of: member) {
            let old = places[place].member
            if places[place].isPresent, old.takesNotices, settings.notices {
                turn.deliver(old, id, .notice, ChatNotice.replaced.payload())
            }
            let wasAbsent = !places[place].isPresent
            missed = places[place].held.takeAll(budget: &turn.budget)
            places[place].member = member
            places[place].absentSince = nil
            turn.report(.rejoined(chat: id, member))
            // The others have not been told that it had gone.
            if wasAbsent { notify(.rejoined, about: member, settings, &turn) }
        } else {
            turn.report(places.isEmpty ? .opened(chat: id, by: member) : .joined(chat: id, member))
            missed = places.isEmpty ? [] : early.takeAll(budget: &turn.budget)
            turn.lastPlace += 1
            places.append(Place(member: member, number: turn.lastPlace))
            notify(.joined, about: member, settings, &turn)
            turn.actions.append(.tellMaster(.held(summary)))
        }
        introduceOthers(to: member, settings, &turn)
        for payload in missed { turn.deliver(member, id, .session, payload) }
    }

    /// Who was there before, for one who takes notices: messages do not say whose they are.
    private func introduceOthers(to member: ChatMember, _ settings: ChatSettings, _ turn: inout ChatTurn) {
        guard settings.notices, member.takesNotices else { return }
        for place in places where place.member.connection != member.connection {
            turn.deliver(member, id, .notice, ChatNotice.present(isOnline: place.isPresent).payload(about: place.member))
        }
    }

    // MARK: Messages

    /// A message of a member: to those who are here, and held for those who are not.
    mutating func message(_ request: ChatRequest, _ limits: ChatSettings.Limits, now: Double, _ turn: inout ChatTurn) {
        let connection = request.member.connection
        if say(request.payload, by: ChatPlace(connection: connection, number: number(of: connection)), limits, now: now, &turn) {
            return turn.actions.append(.acknowledge(connection, request.receipt))
        }
        let size = request.payload.bytes.count
        let help = size > limits.heldBytes / 2 ? "at most \(limits.heldBytes) bytes are held for a member" : "send it again later"
        turn.refuse(request, ShuntError(.memoryLimit, "nobody is there, and the message of \(size) bytes can not be held", help: help))
    }

    /// What a member says, without an answer.
    /// - Returns: whether it has reached anybody, or waits for somebody.
    @discardableResult
    mutating func say(
        _ payload: ChatPayload, by sender: ChatPlace, _ limits: ChatSettings.Limits, now: Double, _ turn: inout ChatTurn
    ) -> Bool {
        touchedAt = now
        var reached = 0
        for index in places.indices where places[index].member.connection != sender.connection && places[index].number != sender.number {
            let member = places[index].member
            if places[index].isPresent {
                turn.deliver(member, id, .session, payload)
                reached += 1
            } else if turn.hold(payload, &places[index].held, for: member, id, limits) {
                reached += 1
            }
        }
        if places.count == 1, turn.hold(payload, &early, for: nil, id, limits) { reached += 1 }
        return reached > 0
    }

    /// A message that no member has sent: to everybody, and held for those who are away.
    mutating func announce(_ payload: ChatPayload, _ limits: ChatSettings.Limits, now: Double, _ turn: inout ChatTurn) {
        touchedAt = now
        for index in places.indices {
            let member = places[index].member
            if places[index].isPresent {
                turn.deliver(member, id, .session, payload)
            } else {
                _ = turn.hold(payload, &places[index].held, for: member, id, limits)
            }
        }
    }

    /// Moves the chat's times ahead by a pause that does not count.
    mutating func forget(pause: Double, now: Double) {
        touchedAt = min(touchedAt + pause, now)
        for index in places.indices { places[index].absentSince = places[index].absentSince.map { min($0 + pause, now) } }
    }

    // MARK: Leaving

    /// A member's connection has gone.
    mutating func leave(_ connection: ConnectionID, _ settings: ChatSettings, now: Double, _ turn: inout ChatTurn) {
        guard let place = presentPlace(of: connection) else { return }
        places[place].absentSince = now
        let member = places[place].member
        turn.report(.left(chat: id, member))
        notify(.left(forGood: false), about: member, settings, &turn)
    }

    /// A member goes for good.
    mutating func quit(_ connection: ConnectionID, _ settings: ChatSettings, _ turn: inout ChatTurn) {
        guard let place = presentPlace(of: connection) else { return }
        let gone = places.remove(at: place)
        turn.report(.left(chat: id, gone.member))
        notify(.left(forGood: true), about: gone.member, settings, &turn)
        turn.actions.append(.tellMaster(.held(summary)))
    }

    /// Frees the places of those who have not come back in time.
    mutating func expire(_ settings: ChatSettings, now: Double, _ turn: inout ChatTurn) {
        let gone = places.filter { $0.absentSince.map { now - $0 >= settings.rejoin } ?? false }
        guard !gone.isEmpty else { return }
        places.removeAll { $0.absentSince.map { now - $0 >= settings.rejoin } ?? false }
        for place in gone {
            turn.report(.expired(chat: id, place.member))
            turn.drop(place.held, for: place.member, id)
            notify(.expired, about: place.member, settings, &turn)
        }
        turn.actions.append(.tellMaster(.held(summary)))
    }

    /// When this has to be looked at again; nil if never.
    func deadline(_ settings: ChatSettings) -> Double? {
        let expiry = places.compactMap(\.absentSince).min().map { $0 + settings.rejoin }
        let idle = settings.idle > 0 ? touchedAt + settings.idle : nil
        return [expiry, idle].compactMap { $0 }.min()
    }

    func isIdle(_ settings: ChatSettings, now: Double) -> Bool { settings.idle > 0 && now - touchedAt >= settings.idle }

    // MARK: The end

    /// Tells the members that the chat is over, all but the one that has ended it.
    /// - Parameter payload: what the member that ended the chat sent with that. The others get it, or the chat's id if it is empty.
    func end(_ why: ChatEnd, _ payload: ChatPayload? = nil, _ settings: ChatSettings, _ turn: inout ChatTurn) {
        var initiator: ConnectionID?
        if case .destroyed(let member) = why { initiator = member.connection }
        let word = payload.flatMap { $0.bytes.isEmpty ? nil : $0 } ?? ChatPayload(text: id)
        for place in places where place.isPresent && place.member.connection != initiator {
            if case .moved(let address) = why, place.member.takesNotices, settings.notices {
                turn.deliver(place.member, id, .notice, ChatNotice.moved(to: address).payload())
            } else {
                turn.deliver(place.member, id, .destroy, word)
            }
        }
        for place in places { turn.drop(place.held, for: place.member, id) }
        turn.drop(early, for: nil, id)
        turn.report(.closed(view, why))
    }

    // MARK: Places

    private func presentPlace(of connection: ConnectionID) -> Int? {
        places.firstIndex { $0.isPresent && $0.member.connection == connection }
    }

    /// One without a uid takes the place that has been empty for the longest time, as the first to go is mostly the first to come back.
    private func returningPlace(of member: ChatMember) -> Int? {
        guard member.uid.isEmpty else { return places.firstIndex { $0.member.isSame(as: member) } }
        return places.indices.filter { places[$0].member.uid.isEmpty && !places[$0].isPresent }
            .min { (places[$0].absentSince ?? 0) < (places[$1].absentSince ?? 0) }
    }

    private func notify(_ notice: ChatNotice, about member: ChatMember, _ settings: ChatSettings, _ turn: inout ChatTurn) {
        guard settings.notices else { return }
        for place in places where place.isPresent && place.member.takesNotices && place.member.connection != member.connection {
            turn.deliver(place.member, id, .notice, notice.payload(about: member))
        }
    }
}

/// What is decided during one event, the memory that is left for messages that wait, and the number of the place that was given last.
struct ChatTurn: Sendable {
    var actions: [ChatAction] = []
    /// Bytes.
    var budget: Int
    var lastPlace: UInt64 = 0

    mutating func deliver(_ member: ChatMember, _ chat: String, _ key: ChatDeliveryKey, _ payload: ChatPayload) {
        actions.append(.deliver(member.connection, chat: chat, key, payload))
    }

    mutating func refuse(_ request: ChatRequest, _ error: ShuntError) {
        actions.append(.refuse(request.member.connection, request.receipt, error))
    }

    /// Holds a message for a member, or nil for the member that joins next.
    /// - Returns: whether it is held; older ones may have made way.
    mutating func hold(
        _ payload: ChatPayload, _ held: inout ChatHolding, for member: ChatMember?, _ chat: String, _ limits: ChatSettings.Limits
    ) -> Bool {
        let (isHeld, dropped) = held.hold(payload, limits, budget: &budget)
        let lost = isHeld ? dropped : dropped + [payload]
        if !lost.isEmpty { report(.undelivered(chat: chat, to: member, messages: lost)) }
        return isHeld
    }

    /// Gives up held messages.
    mutating func drop(_ held: ChatHolding, for member: ChatMember?, _ chat: String) {
        budget += held.bytes
        if !held.isEmpty { report(.undelivered(chat: chat, to: member, messages: Array(held.all))) }
    }

    mutating func report(_ report: ChatReport) { actions.append(.report(report)) }
}
