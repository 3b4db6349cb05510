import ExchangeCodec
import ShuntCore
import ShuntEngine

/// A worker without sockets: its loops' engines and drivers, the mail between them, and its link to a master.
final class SimulatedWorker {
    let name: String
    private(set) var loops: [SimulatedLoop] = []
    var engines: [LoopEngine] { loops.map(\.engine) }
    /// Whether mail between loops arrives when its sender's turn ends; otherwise when a test delivers it.
    var deliversAtOnce = true
    /// What is under way between loops, oldest first.
    private(set) var mail: [MailWay: [LoopMail]] = [:]
    var link: MasterLink
    var reports: MasterReports
    var clients: ClientReports
    /// Loops that have something to tell of clients.
    var clientsChanged: [UInt8] = []
    /// For how many more clients it says that there is room.
    var room: Int?
    /// Questions for the master, for the cluster to carry.
    var questions: [MasterLink.ChatQuestion] = []
    /// Clients that take nothing.
    var slow: Set<ConnectionID> = []
    /// Clients that are not read from.
    var held: Set<ConnectionID> = []
    /// Frames that each client has got.
    private(set) var inboxes: [ConnectionID: [Frame]] = [:]
    /// Packets that each client of MQTT has got.
    private var packets: [ConnectionID: [[UInt8]]] = [:]
    private(set) var closed: [ConnectionID: ErrorCode] = [:]
    private var unread: [ConnectionID: [UInt8]] = [:]
    /// Where clients are that have moved to another loop, by the ids that they had first.
    private var moved: [ConnectionID: ConnectionID] = [:]
    private var moving: [(ConnectionID, loop: Int, [UInt8])] = []
    /// Loops that have more to do.
    private var awake: Set<Int> = []
    private var nextSlot: UInt32 = 0
    var now: Double = 1_700_000_000
    /// Seconds that its clock is ahead.
    var clockOffset = 0.0

    init(
        _ name: String = "w:1", loops: Int = 1, masters: [String] = [], limits: RoutingLimits = .init(),
        strategies: GroupStrategies = .init(), hooks: (any RuleHooks)? = nil, neighbour: @escaping (String?) -> String? = { $0 },
        secret: LinkSecret? = nil
    ) {
        self.name = name
        let chat = ChatSettings(hasMasters: !masters.isEmpty)
        link = MasterLink(masters: masters, interval: 3, secret: secret, now: now)
        let parts = name.split(separator: ":")
        let source = WorkerSource(host: String(parts[0]), port: Int(parts[1]) ?? 1)
        reports = MasterReports(worker: source)
        clients = ClientReports(worker: source, listeners: ["listener"])
        self.loops = (0..<loops).map {
            SimulatedLoop(
                LoopEngine(
                    loop: UInt8($0), of: loops, limits: limits, strategies: strategies, chat: chat, hooks: hooks,
                    inflate: { bytes, _, limit in bytes.count > limit ? nil : Array(bytes.reversed()) },
                    neighbour: { worker, _ in neighbour(worker) }),
                of: self)
        }
    }

    /// What the worker answers to commands; nil: it does not answer.
    var performs: (@Sendable (CommandRequestBody) -> Result<[UInt8], ShuntError>)? = { .success($0.arguments) }

    /// What the loops say to a master's question for retained messages.
    func answer(_ body: RetainedRequestBody) -> RetainedAnswerBody {
        switch body {
        case .list(let query):
            var page = RetainedPage(limit: query.limit, bytes: query.bytes)
            for engine in engines {
                let part = engine.retainedPage(query, now: now)
                page.add(part.messages, total: part.total, hasMore: part.end != nil)
            }
            return .list(page.messages, total: page.total, hasMore: page.end != nil)
        case .clear(let filter):
            var cleared = 0
            for engine in engines {
                var clearing = engine.beginClearing(filter, now: now)
                while !clearing.isOver { engine.goOn(&clearing) }
                cleared += clearing.cleared
            }
            return .cleared(cleared)
        }
    }

    // MARK: Clients

    /// - Parameter host: the client's IPv4 address.
    func connect(loop: Int = 0, host: UInt32 = 0x7F00_0001) -> SimulatedClient {
        SimulatedClient(id: open(loop, .exchange, host: host), worker: self)
    }

    func open(_ loop: Int, _ speaking: ClientProtocol, isTurnedAway: Bool = false, host: UInt32 = 0x7F00_0001) -> ConnectionID {
        let id = ConnectionID(loop: UInt8(loop), slot: nextSlot, generation: 0)
        nextSlot += 1
        engines[loop].opened(id, address: PeerAddress(ipv4: host, port: 40_000), speaking: speaking, isTurnedAway: isTurnedAway, now: now)
        return id
    }

    func takePackets(_ id: ConnectionID) -> [[UInt8]] { packets.removeValue(forKey: current(id)) ?? [] }

    /// The first packets alone.
    func takePackets(_ id: ConnectionID, _ count: Int) -> [[UInt8]] {
        let all = takePackets(id)
        putBack(Array(all.dropFirst(count)), id)
        return Array(all.prefix(count))
    }

    /// Packets are to be taken again, before those that come.
    func putBack(_ packets: [[UInt8]], _ id: ConnectionID) {
        if !packets.isEmpty { self.packets[current(id)] = packets + (self.packets[current(id)] ?? []) }
    }

    /// The id that a client has now.
    func current(_ id: ConnectionID) -> ConnectionID { moved[id] ?? id }

    func send(_ bytes: [UInt8], from id: ConnectionID) {
        let id = current(id)
        guard closed[id] == nil else { return }
        let loop = loops[Int(id.loop)]
        var unread = (self.unread[id] ?? []) + bytes
        self.unread[id] = nil
        let taken = unread.withUnsafeBytes { loop.driver.received($0, on: id, loop) }
        unread.removeFirst(taken)
        if !moving.contains(where: { $0.0 == id }) { self.unread[id] = unread }
        turnEnded(loop)
    }

    /// Clients that wait to be let in, and what they have shown.
    var asked: [(client: ConnectionID, credentials: Credentials)] = []

    /// The first of them is let in, or not.
    func decide(_ admission: Admission) {
        let client = asked.removeFirst().client
        let loop = loops[Int(client.loop)]
        loop.driver.decided(admission, about: client, loop)
        turnEnded(loop)
    }

    func disconnect(_ id: ConnectionID) {
        let id = current(id)
        let loop = loops[Int(id.loop)]
        loop.engine.closed(id, why: "test", now: now)
        turnEnded(loop)
    }

    func take(_ id: ConnectionID) -> [Frame] { inboxes.removeValue(forKey: id) ?? [] }

    /// Lets every loop notice that time has passed.
    func tick() {
        for loop in loops {
            loop.engine.tick(now: now)
            turnEnded(loop)
        }
    }

    // MARK: Turns

    /// Ends a loop's turn; the mail that it has sent arrives, if nobody holds it back.
    func turnEnded(_ loop: SimulatedLoop) {
        loop.driver.carryOut(loop)
        repeat {
            awake.remove(Int(loop.engine.loop))
            loop.driver.turnEnded(loop)
        } while awake.contains(Int(loop.engine.loop))
        answerConfirmations(loop)
        carryOutMoves()
        if deliversAtOnce { deliverAll() }
    }

    /// The next mail of the oldest way that has some, until no way has.
    func deliverAll() { while let way = mail.keys.min() { deliver(way) } }

    /// Hands over the oldest mail of a way. Mail of other ways may overtake it; mail of the same way never does.
    func deliver(_ way: MailWay) {
        guard var waiting = mail[way] else { return }
        let next = waiting.removeFirst()
        mail[way] = waiting.isEmpty ? nil : waiting
        let loop = loops[way.to]
        loop.driver.received(next, loop)
        turnEnded(loop)
    }

    /// A master that answers at once confirms.
    private func answerConfirmations(_ loop: SimulatedLoop) {
        guard !loop.confirmed.isEmpty else { return }
        let confirmed = loop.confirmed
        loop.confirmed = []
        loop.engine.confirmed(confirmed, now: now)
        turnEnded(loop)
    }

    /// The client is another loop's when the turn of its own has ended.
    fileprivate func move(_ id: ConnectionID, to loop: Int, _ bytes: [UInt8]) { moving.append((id, loop, bytes)) }

    private func carryOutMoves() {
        while let (id, loop, bytes) = moving.popLast() {
            let new = open(loop, .mqtt)
            moved[id] = new
            send(bytes, from: new)
        }
    }

    fileprivate func wakeAgain(_ loop: Int) { awake.insert(loop) }

    fileprivate func post(_ letter: LoopMail, _ way: MailWay) { mail[way, default: []].append(letter) }

    fileprivate func closed(_ id: ConnectionID, _ code: ErrorCode?) {
        closed[id] = code ?? .connectionLost
        engines[Int(id.loop)].closed(id, why: code?.rawValue ?? "", now: now)
    }

    /// Gives a client whole frames, or packets.
    fileprivate func hand(_ bytes: Bytes, to id: ConnectionID) {
        guard case .frame(let view) = FrameDecoder.decode(bytes), let start = bytes.baseAddress else {
            packets[id, default: []].append(Array(bytes))
            return
        }
        inboxes[id, default: []].append(Frame(view, in: start))
    }

    // MARK: The link

    func answered(_ question: MasterLink.ChatQuestion, _ assignment: ChatAssignment) {
        let loop = loops[Int(question.loop)]
        loop.engine.answered(chat: question.chat, request: question.request, assignment, now: now)
        turnEnded(loop)
    }

    func received(_ event: ChatEvent, of chat: String) {
        let loop = loops[ChatHouse.home(of: chat, loops: loops.count)]
        loop.engine.received(event, now: now)
        turnEnded(loop)
    }

    func displaced(_ devices: [DeviceBatchBody.Left]) {
        for loop in loops {
            for one in devices { loop.engine.displaced(uid: one.uid, device: one.device, registeredAt: one.registeredAt, now: now) }
            turnEnded(loop)
        }
    }

    /// A master has been joined: it is told all that the loops hold.
    func joined(isShunt: Bool) {
        reports.begin(isShunt: isShunt, loops: engines.count)
        for engine in engines {
            var devices: [Device] = []
            engine.forEachDevice { devices.append($0) }
            reports.add(devices: devices, chats: engine.chats, round: reports.round)
        }
    }

    var host: ChatHostBody {
        let parts = name.split(separator: ":")
        return ChatHostBody(host: String(parts[0]), port: Int(parts[1]) ?? 1)
    }

    func heartbeat() -> HeartbeatBody {
        let clients = engines.reduce(0) { $0 + $1.output.figures.subscriptions }
        let parts = name.split(separator: ":")
        return HeartbeatBody(
            serverName: String(parts[0]), serverPort: Int(parts[1]) ?? 1, figures: WorkerFigures(connections: clients),
            createdTime: Int64(now * 1000),
            shunt: ShuntExtension(version: "test", boot: "1", listeners: ["exchange": name, "mqtt": "0.0.0.0:1883"], room: room))
    }
}

/// From one loop to another.
struct MailWay: Hashable, Comparable {
    let from: Int
    let to: Int

    static func < (left: Self, right: Self) -> Bool { (left.from, left.to) < (right.from, right.to) }
}

/// One loop of a simulated worker: what is around its engine.
final class SimulatedLoop: LoopEdge {
    let engine: LoopEngine
    let driver: LoopDriver
    /// What a master that answers at once has confirmed.
    var confirmed: [UInt64] = []
    private unowned let worker: SimulatedWorker

    init(_ engine: LoopEngine, of worker: SimulatedWorker) {
        self.engine = engine
        driver = LoopDriver(engine)
        self.worker = worker
    }

    var now: Double { worker.now }

    func reads(_ client: ConnectionID) -> Bool { worker.closed[client] == nil }

    func postpone(_ client: ConnectionID) {}

    func send(_ bytes: Bytes, to client: ConnectionID) -> SendOutcome? {
        guard worker.closed[client] == nil else { return nil }
        guard !worker.slow.contains(client) else { return .dropped }
        worker.hand(bytes, to: client)
        return .queued
    }

    func answer(_ count: Int, to client: ConnectionID, _ write: (UnsafeMutableRawPointer) -> Void) {
        var answer = [UInt8](repeating: 0, count: count)
        answer.withUnsafeMutableBytes { write($0.baseAddress!) }
        answer.withUnsafeBytes { worker.hand($0, to: client) }
    }

    func close(_ client: ConnectionID, _ code: ErrorCode?) { worker.closed(client, code) }

    func move(_ client: ConnectionID, to loop: Int, unread: Bytes) { worker.move(client, to: loop, Array(unread)) }

    func authenticate(_ client: ConnectionID, _ credentials: Credentials) { worker.asked.append((client, credentials)) }

    func readAgain(_ client: ConnectionID) { worker.send([], from: client) }

    func wakeAgain() { worker.wakeAgain(Int(engine.loop)) }

    func setHeld(_ isHeld: Bool, _ client: ConnectionID) {
        if isHeld { worker.held.insert(client) } else { worker.held.remove(client) }
    }

    func emptyMail() -> LoopMail { LoopMail() }

    func post(_ mail: LoopMail, to loop: Int) { worker.post(mail, MailWay(from: Int(engine.loop), to: loop)) }

    func tellMaster(_ news: [MasterNews]) {
        for one in news {
            switch one {
            case .askChat(let request, let chat): worker.questions.append(.init(loop: engine.loop, request: request, chat: chat))
            case .confirm(let request): confirmed.append(request)
            case .clientsChanged: worker.clientsChanged.append(engine.loop)
            default: worker.reports.add(one)
            }
        }
    }
}

/// A client of a simulated worker.
struct SimulatedClient {
    let id: ConnectionID
    let worker: SimulatedWorker

    func send(_ frame: Frame) { worker.send(frame.encoded(), from: id) }

    /// What has come since it was asked last.
    func received() -> [Frame] { worker.take(id) }

    /// Sends a request and gives its answer; what came before it is lost.
    func ask(_ frame: Frame) -> Frame? {
        send(frame)
        return received().last { $0.type == .acknowledgement && $0.id == frame.id }
    }

    func subscribe(_ topic: String, group: String, key: String? = nil) -> Int16? {
        ask(Frame(.subscribe, id: 1, format: .json, value: SubscribeBody(group: group, topic: topic, key: key).encoded()))?.status
    }

    func publish(_ topic: String, _ text: String, id: Int64 = 2, key: String? = nil) {
        send(Frame(.message, id: id, text: text, name: topic, key: key))
    }

    func register(_ uid: String, device: String = "phone", tags: [String] = [], alias: [String] = []) -> Int16? {
        let body = RegisterBody(uid: uid, device: device, tags: tags, alias: alias)
        return ask(Frame(.register, id: 6, format: .json, value: body.encoded()))?.status
    }

    func chat(_ id: String, _ key: ChatKey, _ text: String? = nil, frame: Int64 = 8) {
        send(Frame(.chat, id: frame, text: text ?? id, name: id, key: key.rawValue))
    }

    /// Answers and chat messages that have come: `200`, `307 b:1`, `SESSION hello`.
    func chatter() -> [String] {
        received().compactMap { frame in
            switch frame.type {
            case .acknowledgement: frame.isError ? "\(frame.status) \(frame.text)" : "\(frame.status)"
            case .chat: "\(frame.key ?? "-") \(frame.text)"
            default: nil
            }
        }
    }

    /// The texts of the messages that have come.
    func texts() -> [String] { received().filter { $0.type == .message }.map(\.text) }
}
