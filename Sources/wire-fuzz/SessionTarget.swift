import MQTTCodec
import ShuntCore
import ShuntEngine

/// The promises of MQTT's sessions for any packets: a worker of two loops, a client that sends the input, and one that only listens.
enum SessionTarget {
    /// - Returns: whether the client was let in.
    static func check(_ input: Bytes) throws(BrokenInvariant) -> Bool {
        let worker = FuzzedWorker()
        let watcher = worker.open()
        var greeting = Connect(version: .v5, clientID: "watcher")
        greeting.properties.topicAliasMaximum = 4
        worker.send(greeting.encoded(), from: watcher)
        worker.send(Subscribe(1, [.init("#", .exactlyOnce)]).encoded(.v5), from: watcher)
        // In pieces, so that packets are cut; twice, so that a session may go on.
        var wasAdmitted = false
        for round in 0..<2 {
            let client = worker.open()
            var at = 0
            while at < input.count {
                let end = min(input.count, at + 1 + (at * 7 + round * 3) % 61)
                worker.send(Array(input[at..<end]), from: client)
                at = end
            }
            wasAdmitted = wasAdmitted || worker.isAdmitted(client)
            worker.close(client)
            worker.now += 3
            worker.tick()
        }
        try expect(worker.isOpen(watcher), "nobody else notices")
        worker.send(Ping.request, from: watcher)
        try expect(worker.answers(watcher).suffix(2) == Ping.response[...], "the other client is served")
        worker.close(watcher)
        // All sessions are over.
        worker.now += 4_294_967_300
        for _ in 0..<3 { worker.tick() }
        let figures = worker.figures
        try expect(figures.mqttClients == 0 && figures.sessions == 0 && figures.absentSessions == 0, "no session is left")
        try expect(figures.inflight == 0 && figures.waiting == 0 && figures.heldBytes == 0, "no message is left")
        try expect(figures.subscriptions == 0 && figures.devices == 0, "no subscription is left")
        return wasAdmitted
    }
}

/// A worker without sockets.
private final class FuzzedWorker {
    private var loops: [FuzzedLoop] = []
    private var places: [Int: ConnectionID] = [:]
    private var clients: [ConnectionID: Int] = [:]
    private var unread: [Int: [UInt8]] = [:]
    private var sent: [Int: [UInt8]] = [:]
    private var nextSlot: UInt32 = 0
    fileprivate var mail: [(LoopMail, Int)] = []
    fileprivate var moves: [(ConnectionID, Int, [UInt8])] = []
    var now = 1_700_000_000.0

    init() {
        // One second less than for ever (5.0 §3.1.2.11.2): each session ends.
        let limits = RoutingLimits(mqtt: MQTTLimits(maximumSessionExpiry: .max - 1, queueMessages: 20, inflight: 5, retainedMessages: 50))
        for loop in 0..<2 {
            var number: UInt64 = 0
            let engine = LoopEngine(
                loop: UInt8(loop), of: 2, limits: limits,
                random: {
                    number += 1
                    return number
                })
            loops.append(FuzzedLoop(engine, self))
        }
    }

    func open() -> Int {
        let number = places.count
        open(number, on: number % 2)
        return number
    }

    private func open(_ number: Int, on loop: Int) {
        let id = ConnectionID(loop: UInt8(loop), slot: nextSlot, generation: 0)
        nextSlot += 1
        (places[number], clients[id]) = (id, number)
        loops[loop].engine.opened(id, address: PeerAddress(ipv4: 0x7F00_0001, port: 1), speaking: .mqtt, now: now)
    }

    func isOpen(_ number: Int) -> Bool { places[number].map { clients[$0] == number } ?? false }
    func isAdmitted(_ number: Int) -> Bool { !(sent[number] ?? []).isEmpty }
    func answers(_ number: Int) -> [UInt8] { sent[number] ?? [] }

    func send(_ bytes: [UInt8], from number: Int) {
        guard let id = places[number], clients[id] == number else { return }
        let loop = loops[Int(id.loop)]
        let all = (unread[number] ?? []) + bytes
        let taken = all.withUnsafeBytes { loop.driver.received($0, on: id, loop) }
        if clients[id] == number { unread[number] = Array(all[taken...]) }
        endTurns()
    }

    func close(_ number: Int) {
        guard let id = places[number], clients[id] == number else { return }
        closed(id)
        endTurns()
    }

    func closed(_ id: ConnectionID) {
        guard clients.removeValue(forKey: id) != nil else { return }
        loops[Int(id.loop)].engine.closed(id, why: "", now: now)
    }

    func tick() {
        for loop in loops { loop.engine.tick(now: now) }
        endTurns()
    }

    private func endTurns() {
        repeat {
            for loop in loops { loop.endTurn() }
            while let (id, loop, bytes) = moves.popLast() {
                guard let number = clients.removeValue(forKey: id) else { continue }
                open(number, on: loop)
                unread[number] = nil
                send(bytes, from: number)
            }
            let posted = mail
            mail = []
            for (one, loop) in posted { loops[loop].driver.received(one, loops[loop]) }
        } while !mail.isEmpty || !moves.isEmpty || loops.contains { $0.isAwake }
    }

    func deliver(_ bytes: Bytes, to id: ConnectionID) -> SendOutcome? {
        guard let number = clients[id] else { return nil }
        sent[number, default: []] = Array((sent[number] ?? []).suffix(64)) + bytes.prefix(64)
        return .queued
    }

    var figures: RoutingFigures {
        var sum = RoutingFigures()
        for loop in loops {
            let one = loop.engine.output.figures
            sum.mqttClients += one.mqttClients
            sum.sessions += one.sessions
            sum.absentSessions += one.absentSessions
            sum.inflight += one.inflight
            sum.waiting += one.waiting
            sum.heldBytes += one.heldBytes
            sum.subscriptions += one.subscriptions
            sum.devices += one.devices
        }
        return sum
    }
}

private final class FuzzedLoop: LoopEdge {
    let engine: LoopEngine
    let driver: LoopDriver
    private unowned let worker: FuzzedWorker
    var isAwake = false

    init(_ engine: LoopEngine, _ worker: FuzzedWorker) {
        self.engine = engine
        driver = LoopDriver(engine)
        self.worker = worker
    }

    func endTurn() {
        isAwake = false
        driver.carryOut(self)
        driver.turnEnded(self)
    }

    var now: Double { worker.now }
    func reads(_ client: ConnectionID) -> Bool { true }
    func postpone(_ client: ConnectionID) {}
    func send(_ bytes: Bytes, to client: ConnectionID) -> SendOutcome? { worker.deliver(bytes, to: client) }

    func answer(_ count: Int, to client: ConnectionID, _ write: (UnsafeMutableRawPointer) -> Void) {
        guard count > 0 else { return }
        var bytes = [UInt8](repeating: 0, count: count)
        bytes.withUnsafeMutableBytes { if let start = $0.baseAddress { write(start) } }
        _ = bytes.withUnsafeBytes { worker.deliver($0, to: client) }
    }

    func close(_ client: ConnectionID, _ code: ErrorCode?) { worker.closed(client) }
    func setHeld(_ isHeld: Bool, _ client: ConnectionID) {}
    func move(_ client: ConnectionID, to loop: Int, unread: Bytes) { worker.moves.append((client, loop, Array(unread))) }
    func authenticate(_ client: ConnectionID, _ credentials: Credentials) {}

    func readAgain(_ client: ConnectionID) {}

    func wakeAgain() { isAwake = true }
    func emptyMail() -> LoopMail { LoopMail() }
    func post(_ mail: LoopMail, to loop: Int) { worker.mail.append((mail, loop)) }
    func tellMaster(_ news: [MasterNews]) {}
}
