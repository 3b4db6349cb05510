import Dispatch
import ExchangeCodec
import Glibc
import Logging
import ShuntCore
import ShuntEngine
import ShuntReactor
import ShuntRules
import Synchronization

/// What a loop counted, for the worker's figures.
struct LoopReport: Sendable {
    var routing = RoutingFigures()
    var loop = LoopFigures()
    var rules: [RuleFigures] = []
    var lostRecipients = 0
    /// Seconds that answers took, all together.
    var answerSeconds = 0.0
    /// How long requests took.
    var requestTimes = TimeHistogram()
    /// The session that held most when `mqtt.memory` was full last.
    var largestHoarder = ""
    /// What a client was denied last, and by what.
    var deniedExample = ""
    /// How often a client was not read from, as it had sent as much as it may.
    var paceHolds = 0
}

/// What a loop starts with.
struct LoopSetup: Sendable {
    var loops: Int
    /// By their numbers in the roles of connections.
    var listeners: [ListenerSetup]
    var limits: RoutingLimits
    var strategies: GroupStrategies
    var slowPolicies: SlowConsumerPolicies
    var chat: ChatSettings
    var rules: WorkerRules
}

/// All that a loop holds and a master should know.
struct LoopHoldings: Sendable {
    var devices: [Device]
    var chats: [ChatSummary]
}

/// What the loops of a worker share: the ways to one another, how full those are, and what each has counted.
final class LoopPeers: Sendable {
    private let threads = Mutex<[LoopThread<WorkerLoop>]>([])
    private let control = Mutex<LoopThread<ControlLoop>?>(nil)
    /// Who performs what operators command.
    let commands = WorkerCommands()
    private let reports: Mutex<[LoopReport]>
    /// Bytes under way to loops.
    private let underWay = Atomic<Int>(0)
    private let mailboxLimit: Atomic<Int>
    /// Open connections of each loop, to give the next client to the least loaded.
    private let connections: Mutex<[Int]>
    private let connectionLimit: Atomic<Int>
    /// By their numbers.
    let listeners: [ListenerSetup]
    private let descriptors: DescriptorBudget
    /// Open connections of clients that find no room.
    private let turnedAway = Atomic<Int>(0)
    let neighbours = Neighbours()
    let doorkeeper: Doorkeeper
    let lookups = LookupService()
    let log: ConnectionLog
    let readMail = ReadMail()
    let events: WorkerEvents
    private let starts = DispatchSemaphore(value: 0)
    private let startFailure = Mutex<ShuntError?>(nil)

    /// - Parameter connectionLimit: of the whole worker, shared out to its loops.
    init(
        loops: Int, listeners: [ListenerSetup], mailboxLimit: Int, connectionLimit: Int, descriptors: DescriptorBudget, doorkeeper: Doorkeeper,
        log: ConnectionLog, events: WorkerEvents
    ) {
        reports = Mutex(Array(repeating: LoopReport(), count: loops))
        connections = Mutex(Array(repeating: 0, count: loops))
        self.listeners = listeners
        self.mailboxLimit = Atomic(mailboxLimit)
        self.connectionLimit = Atomic(connectionLimit)
        self.descriptors = descriptors
        self.doorkeeper = doorkeeper
        (self.log, self.events) = (log, events)
    }

    func start(_ threads: [LoopThread<WorkerLoop>]) { self.threads.withLock { $0 = threads } }

    /// A loop is ready, or could not load the rules.
    func started(_ error: ShuntError?) {
        if let error { startFailure.withLock { $0 = error } }
        starts.signal()
    }

    /// Waits for so many loops to be ready.
    func waitForStart(of count: Int) throws(ShuntError) {
        for _ in 0..<count { starts.wait() }
        if let error = startFailure.withLock({ $0 }) { throw error }
    }

    func setConnectionLimit(_ count: Int) { connectionLimit.store(count, ordering: .relaxed) }

    func setMailboxLimit(_ bytes: Int) { mailboxLimit.store(bytes, ordering: .relaxed) }

    /// Runs `job` on every loop.
    func onEach(_ job: @escaping @Sendable (WorkerLoop) -> Void) {
        for thread in threads.withLock({ $0 }) { thread.post(job) }
    }

    /// Runs `job` on every loop. The last one calls `done` then.
    func onEach(_ job: @escaping @Sendable (WorkerLoop) -> Void, done: @escaping @Sendable () -> Void) {
        let threads = threads.withLock { $0 }
        let left = Countdown(from: threads.count)
        for thread in threads {
            thread.post { loop in
                job(loop)
                if left.isOver() { done() }
            }
        }
    }

    private final class Countdown: Sendable {
        private let count: Atomic<Int>

        init(from count: Int) { self.count = Atomic(count) }

        func isOver() -> Bool { count.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 }
    }

    /// Runs `job` on every loop and waits for what each gives, by its index. Called by a thread that is none of them.
    func ask<Answer: Sendable>(_ job: @escaping @Sendable (WorkerLoop) -> Answer) -> [UInt8: Answer] {
        let answers = Answers<Answer>()
        let threads = threads.withLock { $0 }
        for thread in threads {
            thread.post { loop in
                let answer = job(loop)
                answers.values.withLock { $0[loop.loop.index] = answer }
                answers.arrivals.signal()
            }
        }
        for _ in threads { answers.arrivals.wait() }
        return answers.values.withLock { $0 }
    }

    private final class Answers<Answer: Sendable>: Sendable {
        let values = Mutex<[UInt8: Answer]>([:])
        let arrivals = DispatchSemaphore(value: 0)
    }

    // MARK: The master

    func start(_ control: LoopThread<ControlLoop>) { self.control.withLock { $0 = control } }

    func onControl(_ job: @escaping @Sendable (ControlLoop) -> Void) { control.withLock { $0 }?.post(job) }

    func tellMaster(_ messages: [MasterNews], from loop: UInt8) {
        control.withLock { $0 }?.post { $0.tell(messages, from: loop) }
    }

    /// Runs `job` on one loop.
    func on(_ loop: UInt8, _ job: @escaping @Sendable (WorkerLoop) -> Void) {
        threads.withLock { $0.indices.contains(Int(loop)) ? $0[Int(loop)] : nil }?.post(job)
    }

    /// Asks every loop for all that it holds; the control loop is told by each.
    func askHoldings(round: Int) {
        let control = control.withLock { $0 }
        onEach { loop in
            let holdings = loop.holdings()
            control?.post { $0.received(holdings, round: round) }
        }
    }

    /// Asks every loop for its retained messages; the control loop is told by each.
    func listRetained(_ query: RetainedQuery, id: Int64) {
        let control = control.withLock { $0 }
        onEach { loop in
            let page = loop.retainedPage(query)
            control?.post { $0.listed(page, id: id) }
        }
    }

    /// Has every loop clear retained messages, each some at a time; the control loop is told by each.
    func clearRetained(_ filter: String, id: Int64) {
        onEach { loop in self.goOn(clearing: loop.beginClearing(filter), on: loop, id: id) }
    }

    private func goOn(clearing: RetainedClearing, on loop: WorkerLoop, id: Int64) {
        let next = loop.goOn(clearing)
        if next.isOver {
            control.withLock { $0 }?.post { $0.cleared(next.cleared, id: id) }
        } else {
            on(loop.loop.index) { self.goOn(clearing: next, on: $0, id: id) }
        }
    }

    var count: Int { threads.withLock { $0.count } }

    /// Decides whether a client is let in, and tells its loop.
    func decide(about client: ConnectionID, _ credentials: Credentials, _ certificate: ClientCertificate?, from loop: UInt8) {
        doorkeeper.decide(credentials, certificate) { [self] admission in on(loop) { $0.decided(admission, about: client) } }
    }

    // MARK: Mail

    func send(_ mail: LoopMail, to index: Int) {
        underWay.add(mail.cost, ordering: .relaxed)
        let thread = threads.withLock { $0.indices.contains(index) ? $0[index] : nil }
        thread?.post { $0.received(mail) }
    }

    func took(_ mail: LoopMail) { underWay.subtract(mail.cost, ordering: .relaxed) }

    /// More is under way between loops than `limits.mailbox`.
    var isFull: Bool { underWay.load(ordering: .relaxed) > mailboxLimit.load(ordering: .relaxed) }
    var isAboveHalf: Bool { underWay.load(ordering: .relaxed) > mailboxLimit.load(ordering: .relaxed) / 2 }

    // MARK: Connections

    /// A listener has a new client, or could not get one.
    func accepted(_ accepted: Accepted, listener: UInt16) {
        switch accepted {
        case .client(let descriptor):
            guard listeners[Int(listener)].admits(PeerAddress(remoteOf: descriptor)) else {
                refuse(PeerAddress(remoteOf: descriptor), .proxies, listener: listener)
                Glibc.close(descriptor)
                return
            }
            guard let gate = listeners[Int(listener)].gate else { return adopt(descriptor, listener: listener) }
            let address = PeerAddress(remoteOf: descriptor)
            guard let refusal = gate.enters(address) else { return adopt(descriptor, listener: listener, Entered(gate: gate, address: address)) }
            refuse(address, refusal, listener: listener)
            Glibc.close(descriptor)
        case .clientBeyondDescriptors(let descriptor):
            log.refused(.descriptors)
            turnAway(descriptor, listener: listener)
        case .noDescriptor: log.ranOut()
        }
    }

    private func refuse(_ address: PeerAddress, _ why: Refusal, listener: UInt16) {
        log.refused(why, address: address)
        doorkeeper.refused.note(address, why.rawValue, listener: Int(listener))
    }

    /// Hands a client to the loop with the fewest, if the worker has room.
    private func adopt(_ descriptor: Int32, listener: UInt16, _ entered: Entered? = nil) {
        guard open < connectionLimit.load(ordering: .relaxed) else {
            log.refused(.connections)
            entered?.leave()
            return turnAway(descriptor, listener: listener)
        }
        let index = addToLeastLoaded()
        threads.withLock { $0[index] }.post { loop in
            if let connection = loop.loop.adopt(descriptor: descriptor, role: .accepted(listener: listener)) {
                loop.count(entered, connection)
            } else {
                entered?.leave()
                self.connectionClosed(UInt8(index))
                self.log.refused(.connections)
            }
        }
    }

    /// There is no room for a client. One of MQTT is told where there is, while not too many are; the others are closed.
    private func turnAway(_ descriptor: Int32, listener: UInt16) {
        guard listeners[Int(listener)].turningAway != nil, turnedAway.load(ordering: .relaxed) < descriptors.turnedAway else {
            Glibc.close(descriptor)
            return
        }
        control.withLock { $0 }?.post { $0.askRoom() }
        turnedAway.add(1, ordering: .relaxed)
        let index = addToLeastLoaded()
        threads.withLock { $0[index] }.post { loop in
            let role = Connection.Role.accepted(listener: listener + UInt16(self.listeners.count))
            guard loop.loop.adopt(descriptor: descriptor, role: role, isBeyondLimit: true) == nil else { return }
            self.connectionClosed(UInt8(index))
            self.turnedAwayClosed()
        }
    }

    /// A client that found no room has gone.
    func turnedAwayClosed() { turnedAway.subtract(1, ordering: .relaxed) }

    /// Counts a client.
    /// - Returns: the loop that is to have it.
    private func addToLeastLoaded() -> Int {
        connections.withLock { connections in
            let index = connections.indices.min { connections[$0] < connections[$1] } ?? 0
            connections[index] += 1
            return index
        }
    }

    /// Clients that have a place here.
    private var open: Int { connections.withLock { $0.reduce(0, +) } - turnedAway.load(ordering: .relaxed) }

    /// For how many more clients there is room.
    var room: Int { max(0, capacity - open) }

    /// Whether clients may soon find no room.
    var isHalfFull: Bool { room <= capacity / 2 }

    var capacity: Int { min(connectionLimit.load(ordering: .relaxed), descriptors.clients) }

    /// A client is at home on another loop, which takes over its connection.
    func move(_ moving: MovingConnection, _ entered: Entered?, from loop: UInt8, to other: Int) {
        connections.withLock { connections in
            connections[Int(loop)] -= 1
            connections[other] += 1
        }
        threads.withLock { $0[other] }.post { loop in
            if let connection = loop.loop.adopt(moving) {
                loop.count(entered, connection)
            } else {
                entered?.leave()
                self.connectionClosed(UInt8(other))
            }
        }
    }

    func connectionClosed(_ loop: UInt8) { connections.withLock { $0[Int(loop)] -= 1 } }

    // MARK: Figures

    func publish(_ report: LoopReport, _ loop: UInt8) { reports.withLock { $0[Int(loop)] = report } }

    /// What all loops counted, as of at most a tenth of a second ago.
    func figures() -> [LoopReport] { reports.withLock { $0 } }
}
