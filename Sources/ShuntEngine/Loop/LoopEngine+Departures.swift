import ShuntCore

/// Clients that a loop sends to other workers: as the worker drains, or has more of them than its share.
///
/// Nothing that was acknowledged is lost by it. A client's subscriptions end on every loop before the client is closed, so no loop counts on
/// a taker that is about to go. What is on its way to the client by then is written first. What waits for acknowledgements of the client, or
/// for its return, is waited for.
struct Departures {
    /// The worker drains: it takes no new clients.
    var refusesNew = false
    /// Chats are still here, on whatever loop, since messages are held for somebody.
    var keepsChats = false
    /// Clients and sessions that are about to go, as subscriptions name them; true once their subscriptions have ended on every loop.
    var leaving: [ConnectionID: Bool] = [:]
    var sent = 0
    /// Where the search for the next ones goes on, among clients and among sessions.
    var place = 0
    var sessionPlace = 0
    /// Whom the present pass is for.
    var stage = DepartureStage.all
    /// Places that were looked at since the last one was found that is to go, among both.
    var passed = 0
    var sessionsPassed = 0
}

/// Who is sent away.
public enum DepartureStage: Equatable, Sendable {
    /// Clients that nothing is sent to: what they send has still takers.
    case producers
    /// Clients that have no session which outlives their connection, and no chat.
    case movable
    /// All clients, and sessions whose client is away and that nothing waits for.
    case all
    /// All, whatever is lost.
    case forced

    var takesSessions: Bool { self == .all || self == .forced }
}

/// What a loop is to do next about clients that are sent away.
public struct DepartureStep: Equatable, Sendable {
    public var stage: DepartureStage
    /// How many clients and sessions may begin to go.
    public var limit: Int
    /// The worker that chats move to; nil: they stay.
    public var chatsTo: String?
    /// Chats are still on loops of the worker: their members stay.
    public var keepsChats: Bool
    /// Of the drain; a tally has it too.
    public var number: Int

    public init(_ stage: DepartureStage, limit: Int, chatsTo: String? = nil, keepsChats: Bool = false, number: Int = 0) {
        (self.stage, self.limit, self.chatsTo, self.keepsChats, self.number) = (stage, limit, chatsTo, keepsChats, number)
    }
}

/// What is left on a loop.
public struct DepartureTally: Equatable, Sendable {
    public var connections = 0
    public var sessions = 0
    public var chats = 0
    public var delayed = 0
    /// Messages that rules delayed and that were given up in this step.
    public var givenUp = 0
    public var leaving = 0
    /// Clients and sessions that have gone, since the loop began; and how many of them before this step.
    public var sent = 0
    public var sentBefore = 0
    /// Clients and sessions that have begun to go in this step.
    public var begun = 0
    /// Nobody is left that this stage is for.
    public var isOver = false
    /// The step's.
    public var number = 0

    public init() {}
}

extension LoopEngine {
    /// The worker begins to drain, or takes clients again. Clients that are about to go still go.
    public func setDraining(_ isDraining: Bool) {
        departures.refusesNew = isDraining
        if !isDraining { house.elsewhere = nil }
    }

    /// Sends some clients away.
    public func sendAway(_ step: DepartureStep, now: Double) -> DepartureTally {
        router.now = now
        var tally = DepartureTally()
        tally.sentBefore = departures.sent
        departures.keepsChats = step.keepsChats
        if departures.refusesNew {
            house.elsewhere = step.chatsTo
            let isForced = step.stage == .forced
            if step.chatsTo != nil || isForced { handle(.moveAway(to: step.chatsTo, limit: step.limit, isForced: isForced)) }
        }
        if step.stage == .forced { tally.givenUp = giveUpDelayed() }
        for id in departures.leaving.keys { goOnLeaving(id, isForced: step.stage == .forced) }
        tally.begun = beginDepartures(step)
        let isPassed = departures.passed >= clients.count && (!step.stage.takesSessions || departures.sessionsPassed >= sessions.slots)
        // A session may be waited for very long; it is no producer.
        tally.isOver = isPassed && (step.stage == .producers || departures.leaving.isEmpty)
        tally.number = step.number
        return count(&tally)
    }

    private func count(_ tally: inout DepartureTally) -> DepartureTally {
        (tally.sessions, tally.chats, tally.delayed) = (sessions.count, house.count, rulesState.delayed.count)
        (tally.leaving, tally.sent) = (departures.leaving.count, departures.sent)
        return tally
    }

    /// Lets clients and sessions go that have taken what waited for them, also after the drain has ended.
    func tickDepartures() {
        guard !departures.leaving.isEmpty else { return }
        for id in departures.leaving.keys { goOnLeaving(id, isForced: false) }
    }

    /// Whether a subscriber is about to go: it subscribes no more.
    func isLeaving(_ subscriber: ConnectionID) -> Bool { !departures.leaving.isEmpty && departures.leaving[subscriber] != nil }

    /// Whether a client that comes now has to go to another worker, since this one drains. One of MQTT is let in if its session keeps messages
    /// for it here.
    func goesElsewhere(clientID: String? = nil) -> Bool {
        guard departures.refusesNew else { return false }
        guard let clientID, case .session(let session)? = sessions.holder(of: clientID, loop, clients) else { return true }
        return !session.hasWaiting
    }

    // MARK: Beginning

    /// Places that are looked at in one step, so that a loop with very many clients is not kept from its messages.
    private static let placesPerStep = 20_000

    /// Seconds that a client has for its first request.
    private static let patienceForFirst = 5.0

    /// Finds clients and sessions that are to go, and begins with them.
    /// - Returns: how many.
    private func beginDepartures(_ step: DepartureStep) -> Int {
        if step.stage != departures.stage { (departures.stage, departures.passed, departures.sessionsPassed) = (step.stage, 0, 0) }
        var begun = 0
        for _ in 0..<min(clients.count, Self.placesPerStep) {
            guard begun < step.limit else { break }
            departures.place = departures.place + 1 < clients.count ? departures.place + 1 : 0
            departures.passed += 1
            let slot = departures.place
            let connection = ConnectionID(loop: loop, slot: UInt32(slot), generation: clients[slot].generation)
            guard clients[slot].state == .open, !isLeaving(subscriber(of: connection)), isDue(connection, step.stage) else { continue }
            begun += 1
            departures.passed = 0
            begin(connection)
        }
        guard step.stage.takesSessions else { return begun }
        for _ in 0..<min(sessions.slots, Self.placesPerStep) {
            guard begun < step.limit else { break }
            departures.sessionPlace = departures.sessionPlace + 1 < sessions.slots ? departures.sessionPlace + 1 : 0
            departures.sessionsPassed += 1
            guard let session = sessions.session(at: departures.sessionPlace), !session.isConnected, !isLeaving(session.id) else { continue }
            departures.sessionsPassed = 0
            // Its client may come for what waits.
            guard !session.hasWaiting || step.stage == .forced else { continue }
            begun += 1
            endSubscriptions(of: session.id)
            settle(session.id)
        }
        return begun
    }

    private func isDue(_ connection: ConnectionID, _ stage: DepartureStage) -> Bool {
        let client = clients[connection.slot]
        switch stage {
        // A client that has just come says first who it is, and the worker then tells it where to go. Members of chats go when no chat is left.
        case .all: return client.isAdmitted ? !client.isInChat || !departures.keepsChats : abs(now - client.connectedAt) >= Self.patienceForFirst
        case .forced: return true
        case .movable: return client.isAdmitted && !client.isInChat && client.identity?.session?.isLasting != true
        case .producers:
            guard client.isAdmitted else { return false }
            return client.subscriptions == 0 && !client.isInChat && !client.isDevice && client.identity?.session?.isLasting != true
        }
    }

    /// A client is to go: nothing new is sent to it from now on.
    private func begin(_ connection: ConnectionID) {
        let slot = connection.slot
        let subscriber = subscriber(of: connection)
        guard clients[slot].subscriptions > 0 || clients[slot].isInChat || subscriber.isSession else {
            departures.leaving[subscriber] = true
            return goOnLeaving(subscriber, isForced: false)
        }
        endSubscriptions(of: subscriber)
        if clients[slot].isInChat { leaveChats(connection) }
        settle(subscriber)
    }

    /// Waits until every loop knows that the subscriptions have ended: what they have sent before comes earlier than their answer.
    private func settle(_ subscriber: ConnectionID) {
        departures.leaving[subscriber] = false
        guard confirmations.isNeeded else { return settled(subscriber) }
        confirmations.wait(.departure, of: subscriber)
    }

    /// No loop has anything under way to the subscriber any more.
    func settled(_ subscriber: ConnectionID) {
        guard departures.leaving[subscriber] != nil else { return }
        departures.leaving[subscriber] = true
        goOnLeaving(subscriber, isForced: false)
    }

    private func endSubscriptions(of subscriber: ConnectionID) {
        let count: UInt32
        if let connection = connection(of: subscriber) {
            (count, clients[connection.slot].subscriptions) = (clients[connection.slot].subscriptions, 0)
        } else if let session = sessions[subscriber] {
            (count, session.subscriptions) = (session.subscriptions, 0)
        } else {
            return
        }
        guard count > 0 else { return }
        output.figures.subscriptions -= Int(count)
        router.index.removeAll(of: subscriber)
        router.forgetQuestions(of: subscriber)
        output.tell(.left(subscriber))
        releaseProducers(heldBy: subscriber)
        noteClient(subscriber)
    }

    // MARK: Going

    /// Lets a subscriber go, unless something still waits for it.
    private func goOnLeaving(_ id: ConnectionID, isForced: Bool) {
        guard departures.leaving[id] == true else { return }
        let connection = connection(of: id)
        let session = session(of: id)
        // It has gone by itself.
        guard connection != nil || sessions[id] != nil else {
            departures.leaving[id] = nil
            return
        }
        if let session, !isForced, session.hasWaiting { return }
        departures.leaving[id] = nil
        departures.sent += 1
        if let connection, isCurrent(connection), clients[connection.slot].state == .open {
            close(connection, .workerElsewhere)
            if clients[connection.slot].protocolName == .mqtt { leave(connection, why: ErrorCode.workerElsewhere.rawValue) }
        }
        // The client begins a new one where it goes.
        if let session = sessions[id], !session.isConnected { end(session, why: .sessionEnded) }
    }
}

extension MQTTSession {
    /// Messages wait for the client, or it has not acknowledged them.
    var hasWaiting: Bool { !waiting.isEmpty || !window.isEmpty }
}
