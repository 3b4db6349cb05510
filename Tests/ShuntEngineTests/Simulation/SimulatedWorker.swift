import ExchangeCodec
import ShuntCore
import ShuntEngine

/// A worker without sockets: its loops' engines, with mail carried at once, and its link to a master.
final class SimulatedWorker {
    let name: String
    let engines: [LoopEngine]
    var link: MasterLink
    var reports: MasterReports
    /// Questions for the master, for the cluster to carry.
    var questions: [MasterLink.ChatQuestion] = []
    /// Clients that take nothing.
    var slow: Set<ConnectionID> = []
    /// Clients that are not read from.
    var held: Set<ConnectionID> = []
    /// Frames that each client has got.
    private(set) var inboxes: [ConnectionID: [Frame]] = [:]
    private(set) var closed: [ConnectionID: ErrorCode] = [:]
    private var unread: [ConnectionID: [UInt8]] = [:]
    private var nextSlot: UInt32 = 0
    var now: Double = 1_700_000_000
    /// Seconds that its clock is ahead.
    var clockOffset = 0.0

    init(_ name: String = "w:1", loops: Int = 1, masters: [String] = [], limits: RoutingLimits = .init(),
        strategies: GroupStrategies = .init(), hooks: (any RuleHooks)? = nil) {
        self.name = name
        let chat = ChatSettings(hasMasters: !masters.isEmpty)
        engines = (0..<loops).map {
            LoopEngine(loop: UInt8($0), of: loops, limits: limits, strategies: strategies, chat: chat, hooks: hooks)
        }
        link = MasterLink(masters: masters, interval: 3, now: now)
        let parts = name.split(separator: ":")
        reports = MasterReports(worker: WorkerSource(host: String(parts[0]), port: Int(parts[1]) ?? 1))
    }

    // MARK: Clients

    func connect(loop: Int = 0) -> SimulatedClient {
        let id = ConnectionID(loop: UInt8(loop), slot: nextSlot, generation: 0)
        nextSlot += 1
        engines[loop].opened(id, address: PeerAddress(ipv4: 0x7F00_0001, port: 40_000), now: now)
        return SimulatedClient(id: id, worker: self)
    }

    func send(_ bytes: [UInt8], from id: ConnectionID) {
        guard closed[id] == nil else { return }
        let engine = engines[Int(id.loop)]
        var held = (unread[id] ?? []) + bytes
        var taken = 0
        while taken < held.count, closed[id] == nil {
            let rest = Array(held[taken...])
            let count = rest.withUnsafeBytes { engine.received($0, on: id, now: now) }
            let hadActions = !engine.actions.isEmpty
            carryOut(engine, input: rest)
            taken += count
            if count == 0 || (!hadActions && count < rest.count) { break }
        }
        held.removeFirst(min(taken, held.count))
        unread[id] = held
    }

    func disconnect(_ id: ConnectionID) {
        engines[Int(id.loop)].closed(id, why: "test", now: now)
        carryOut(engines[Int(id.loop)], input: [])
    }

    func take(_ id: ConnectionID) -> [Frame] { inboxes.removeValue(forKey: id) ?? [] }

    /// Lets every loop notice that time has passed.
    func tick() {
        for engine in engines {
            engine.tick(now: now)
            carryOut(engine, input: [])
        }
    }

    func carryOut(_ engine: LoopEngine, input: [UInt8]) {
        var tally = BroadcastTally()
        var next = 0
        while next < engine.actions.count {
            let action = engine.actions[next]
            next += 1
            switch action {
            case .deliver(let to, let stretch):
                tally.matched += 1
                if slow.contains(to) { tally.slow += 1 } else { tally.sent += 1 }
                if !slow.contains(to) { hand(bytes(stretch, engine, input), to: to) }
            case .offer(let to, let stretch):
                tally.matched += 1
                let frame = bytes(stretch, engine, input)
                if slow.contains(to) { tally.slow += 1 } else if offer(frame, to: to, engine) { tally.sent += 1 } else { tally.dropped += 1 }
            case .beginTally: tally = BroadcastTally()
            case .endTally(let id): engine.tallied(id, tally)
            case .forward(let to, let stretch):
                // Its rules may look at it there.
                _ = offer(bytes(stretch, engine, input), to: to, engines[Int(to.loop)])
            case .answer(let to, let stretch): hand(bytes(stretch, engine, input), to: to)
            case .acknowledge(let to, let id): hand(Frame(acknowledging: id).encoded(), to: to)
            case .close(let id, let code):
                closed[id] = code
                engine.closed(id, why: code.rawValue, now: now)
            case .hold(let id): held.insert(id)
            case .resume(let id): held.remove(id)
            }
        }
        engine.turnEnded()
        let letters = engine.takeLetters()
        var confirmed: [UInt64] = []
        for message in engine.messages {
            if case .askChat(let request, let chat) = message {
                questions.append(.init(loop: engine.loop, request: request, chat: chat))
            } else if case .confirm(let request) = message {
                // As a master does that answers at once.
                confirmed.append(request)
            } else {
                reports.add(message)
            }
        }
        engine.clear()
        if !confirmed.isEmpty {
            engine.confirmed(confirmed, now: now)
            carryOut(engine, input: [])
        }
        for addressed in letters {
            for other in engines where other !== engine && (addressed.loop == nil || addressed.loop == other.loop) {
                other.received(addressed.letter, now: now)
                carryOut(other, input: [])
            }
        }
    }

    /// - Returns: whether the rules let the client have it.
    private func offer(_ frame: [UInt8], to id: ConnectionID, _ engine: LoopEngine) -> Bool {
        switch frame.withUnsafeBytes({ engine.offer($0, to: id, isAnother: true, now: now) }) {
        case .unchanged: hand(frame, to: id)
        case .replaced: hand(engine.replacement.withBytes { Array($0) }, to: id)
        case .dropped: return false
        }
        return true
    }

    private func bytes(_ stretch: Stretch, _ engine: LoopEngine, _ input: [UInt8]) -> [UInt8] {
        let range = Int(stretch.offset)..<Int(stretch.offset + stretch.count)
        return stretch.source == .input ? Array(input[range]) : engine.made.withBytes { Array($0[range]) }
    }

    private func hand(_ bytes: [UInt8], to id: ConnectionID) {
        bytes.withUnsafeBytes { bytes in
            guard case .frame(let view) = FrameDecoder.decode(bytes), let start = bytes.baseAddress else { return }
            inboxes[id, default: []].append(Frame(view, in: start))
        }
    }

    // MARK: The link

    func answered(_ question: MasterLink.ChatQuestion, _ assignment: ChatAssignment) {
        let engine = engines[Int(question.loop)]
        engine.answered(chat: question.chat, request: question.request, assignment, now: now)
        carryOut(engine, input: [])
    }

    func received(_ event: ChatEvent, of chat: String) {
        let engine = engines[ChatHouse.home(of: chat, loops: engines.count)]
        engine.received(event, now: now)
        carryOut(engine, input: [])
    }

    func displaced(_ devices: [DeviceBatchBody.Left]) {
        for engine in engines {
            for one in devices { engine.displaced(uid: one.uid, device: one.device, registeredAt: one.registeredAt, now: now) }
            carryOut(engine, input: [])
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
        let clients = engines.reduce(0) { $0 + $1.figures.subscriptions }
        let parts = name.split(separator: ":")
        return HeartbeatBody(
            serverName: String(parts[0]), serverPort: Int(parts[1]) ?? 1, figures: WorkerFigures(connections: clients),
            createdTime: Int64(now * 1000), shunt: ShuntExtension(version: "test", boot: "1"))
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
