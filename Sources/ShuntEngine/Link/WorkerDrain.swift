import ShuntCore

/// How a worker sends clients away, a step of each loop after the other: all of them, as it drains, or so many, as others have fewer.
///
/// A value: commands, ticks and what is left on loops in, steps out. The driver calls `tick` about ten times a second.
public struct WorkerDrain: Sendable {
    public enum Goal: Equatable, Sendable {
        /// Nobody is left.
        case empty(DrainRequest)
        /// So many clients are sent away, of those that the stage is for.
        case shed(Int, DepartureStage)
    }

    /// What the worker is to do.
    public enum Action: Equatable, Sendable {
        /// Has a loop send clients away; `took` is called with what is left there.
        case step(loop: UInt8, DepartureStep)
        /// Nobody is left.
        case emptied(exits: Bool)
        /// As many as asked have gone, or no more can.
        case shed(sent: Int)
    }

    public let goal: Goal
    /// Clients a second.
    public let rate: Int
    /// When it began, in seconds since 1970.
    public let since: Double
    /// Tells its steps from those of drains before.
    private let number: Int
    /// Seconds that it has been going on, whatever was done to the clock.
    private var lasted = 0.0
    /// The loop that is first to send somebody away.
    private var next = 0
    private var loops: [Loop]
    private var stage: DepartureStage
    /// How many clients may begin to go now.
    private var credit = 0.0
    private var tickedAt: Double
    private var begun = 0
    private var hasRoom = true
    /// It was told that nobody is left.
    private var isTold = false
    /// Messages that rules delayed and that were given up, since it took too long.
    private var givenUp = 0

    private struct Loop: Sendable {
        /// What is left; nil before the first step.
        var tally: DepartureTally?
        /// Clients that the step which is under way may send away; nil where none is.
        var granted: Int?
        /// Nobody is left that the stage is for.
        var hasEnded = false
        /// What had gone before this began.
        var sentBefore = 0
    }

    /// - Parameters:
    ///   - rate: clients a second, where the goal does not say it.
    ///   - loops: how many the worker has.
    ///   - before: the drain that this takes the place of: clients to which nothing is sent may have gone already.
    ///   - number: another one than those of drains before.
    public init(_ goal: Goal, rate: Int? = nil, loops: Int, after before: WorkerDrain? = nil, number: Int = 0, now: Double) {
        (self.goal, self.number) = (goal, number)
        switch goal {
        case .empty(let request): (self.rate, stage) = (request.rate ?? DrainRequest.usualRate, .producers)
        case .shed(_, let whom): (self.rate, stage) = (rate ?? DrainRequest.usualRate, whom)
        }
        (since, tickedAt) = (now, now)
        self.loops = Array(repeating: Loop(), count: loops)
        if case .empty = goal, let before, before.isDraining { goOn(from: before) }
    }

    /// Goes on where the drain before was: an operator who asks for it again and again does not hold it up.
    private mutating func goOn(from before: WorkerDrain) {
        if before.stage != .producers { stage = .all }
        (credit, tickedAt, givenUp) = (before.credit, before.tickedAt, before.givenUp)
        guard before.loops.count == loops.count, stage == before.stage else { return }
        for place in loops.indices { loops[place].hasEnded = before.loops[place].hasEnded }
    }

    /// Whether the worker takes no new clients.
    public var isDraining: Bool { if case .empty = goal { true } else { false } }

    // MARK: Events

    /// What is on a loop as it begins.
    public mutating func begins(with tally: DepartureTally, on loop: UInt8) {
        guard loops.indices.contains(Int(loop)) else { return }
        (loops[Int(loop)].tally, loops[Int(loop)].sentBefore) = (tally, tally.sentBefore)
    }

    /// Time has passed.
    /// - Parameters:
    ///   - hasRoom: whether another worker is known to take clients: nobody is sent away before one is.
    ///   - chatsTo: a worker that chats may move to.
    public mutating func tick(now: Double, hasRoom: Bool, chatsTo: String?) -> [Action] {
        // The clock may have been set.
        let passed = min(max(0, now - tickedAt), 1)
        (tickedAt, self.hasRoom) = (now, hasRoom)
        lasted += passed
        advance()
        credit = min(credit + passed * Double(rate), Double(max(1, rate)))
        // A master of message-channel, which has producers balanced, tells nobody where there is room.
        let mayGo = hasRoom || stage == .forced || !isDraining && stage == .producers
        let turn = loops.indices.map { (next + $0) % loops.count }
        next = (next + 1) % max(1, loops.count)
        let idle = turn.filter { loops[$0].granted == nil }
        var working = idle.filter { !loops[$0].hasEnded }.count
        return idle.map { index in
            var limit = mayGo ? max(0, min(Int(credit), remaining)) : 0
            if !loops[index].hasEnded, working > 0 {
                limit = (limit + working - 1) / working
                working -= 1
            } else if working > 0 {
                // It has nobody left: somebody may have come.
                limit = min(limit, 1)
            }
            credit -= Double(limit)
            begun += limit
            loops[index].granted = limit
            return .step(
                loop: UInt8(index),
                DepartureStep(stage, limit: limit, chatsTo: mayGo && isDraining ? chatsTo : nil, keepsChats: keepsChats, number: number))
        }
    }

    /// A loop has made its step.
    public mutating func took(_ tally: DepartureTally, from loop: UInt8) -> [Action] {
        let index = Int(loop)
        guard tally.number == number, loops.indices.contains(index), let granted = loops[index].granted else { return [] }
        credit += Double(granted - tally.begun)
        begun -= granted - tally.begun
        givenUp += tally.givenUp
        if loops[index].tally == nil { loops[index].sentBefore = tally.sentBefore }
        (loops[index].tally, loops[index].granted, loops[index].hasEnded) = (tally, nil, tally.isOver)
        guard !isTold, loops.allSatisfy({ $0.tally != nil }) else { return [] }
        switch goal {
        case .empty(let request):
            guard record.isEmpty else { return [] }
            isTold = true
            return [.emptied(exits: request.exit ?? false)]
        case .shed(let count, _):
            guard record.leaving == 0, begun >= count || loops.allSatisfy(\.hasEnded) else { return [] }
            isTold = true
            return [.shed(sent: record.sent)]
        }
    }

    /// Clients that others send to go once nothing is to be sent to them any more: no producer is left, and no message that a rule delays. Or it
    /// has taken too long.
    private mutating func advance() {
        guard case .empty(let request) = goal else { return }
        var next = stage
        switch stage {
        case .producers where delayed == 0 && loops.allSatisfy(\.hasEnded): next = .all
        // One that sends and takes has sent what a rule delays.
        case .all where delayed > 0: next = .producers
        default: break
        }
        if let patience = request.forceAfter, lasted >= patience { next = .forced }
        guard next != stage else { return }
        stage = next
        for index in loops.indices { loops[index].hasEnded = false }
    }

    /// Messages that rules delay.
    private var delayed: Int { loops.reduce(0) { $0 + ($1.tally?.delayed ?? 0) } }

    /// Whether a loop has chats, as far as is known.
    private var keepsChats: Bool { loops.contains { ($0.tally?.chats ?? 1) > 0 } }

    /// How many more may begin to go.
    private var remaining: Int { if case .shed(let count, _) = goal { max(0, count - begun) } else { .max } }

    // MARK: Questions

    /// Every loop has told what is left.
    public var isKnown: Bool { loops.allSatisfy { $0.tally != nil } }

    /// How far it is.
    public var record: DrainRecord {
        var record = DrainRecord(draining: isDraining, since: isDraining ? since : nil)
        for loop in loops {
            guard let tally = loop.tally else { continue }
            record.connections += tally.connections
            record.sessions += tally.sessions
            record.chats += tally.chats
            record.delayed += tally.delayed
            record.leaving += tally.leaving
            record.sent += tally.sent - loop.sentBefore
        }
        if case .shed(let count, _) = goal { record.excess = isTold ? 0 : max(0, count - record.sent) }
        if givenUp > 0 { record.givenUp = givenUp }
        if isDraining, stage != .forced, !isTold {
            if !hasRoom {
                record.waits = "no other worker takes clients"
            } else if stage == .producers, delayed > 0, loops.allSatisfy(\.hasEnded) {
                record.waits = "messages that rules delay are still to be sent"
            }
        }
        return record
    }
}
