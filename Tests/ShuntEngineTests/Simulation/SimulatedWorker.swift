import ExchangeCodec
import ShuntCore
import ShuntEngine

/// A worker without sockets: its loops' engines, with mail carried at once, and its link to a master.
final class SimulatedWorker {
    let name: String
    let engines: [LoopEngine]
    var link: MasterLink
    /// Frames that each client has got.
    private(set) var inboxes: [ConnectionID: [Frame]] = [:]
    private(set) var closed: [ConnectionID: ErrorCode] = [:]
    private var unread: [ConnectionID: [UInt8]] = [:]
    private var nextSlot: UInt32 = 0
    var now: Double = 1_700_000_000

    init(_ name: String = "w:1", loops: Int = 1, masters: [String] = [], limits: RoutingLimits = .init(),
        strategies: GroupStrategies = .init(), hooks: (any RuleHooks)? = nil) {
        self.name = name
        engines = (0..<loops).map { LoopEngine(loop: UInt8($0), limits: limits, strategies: strategies, hooks: hooks) }
        link = MasterLink(masters: masters, interval: 3, now: now)
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

    private func carryOut(_ engine: LoopEngine, input: [UInt8]) {
        for action in engine.actions {
            switch action {
            case .deliver(let to, let stretch), .forward(let to, let stretch), .answer(let to, let stretch):
                hand(bytes(stretch, engine, input), to: to)
            case .acknowledge(let to, let id): hand(Frame(acknowledging: id).encoded(), to: to)
            case .close(let id, let code):
                closed[id] = code
                engine.closed(id, why: code.rawValue, now: now)
            }
        }
        for letter in engine.letters { for other in engines where other !== engine { other.received(letter) } }
        engine.clear()
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

    /// The texts of the messages that have come.
    func texts() -> [String] { received().filter { $0.type == .message }.map(\.text) }
}
