import ExchangeCodec
import ShuntCore

@testable import ShuntEngine

/// Masters and workers in one process, on a virtual clock, without a socket.
final class SimulatedCluster {
    private(set) var now: Double = 1_700_000_000
    private(set) var masters: [String: MasterEngine] = [:]
    private let masterNames: [String]
    /// Whether the masters know one another.
    private let hasPeers: Bool
    /// Names of two ends, joined, between which nothing passes.
    private var cuts: Set<Set<String>> = []
    private var statesToldAt = 0.0
    let workers: [SimulatedWorker]
    /// Worker to master connections: the master's end of each worker's link.
    private var links: [String: (master: String, connection: ConnectionID)] = [:]
    private var nextConnection: UInt32 = 0
    private(set) var changes: [RegistryChange] = []
    private(set) var joined: [String] = []
    private(set) var ended: [String] = []
    private(set) var refused: [String] = []
    /// What masters have told workers of one another.
    private(set) var learned: [WorkerAddresses] = []
    /// What masters have told workers of bans.
    private(set) var bans: [(worker: String, body: BansBody)] = []
    private(set) var room: [WorkerAddresses] = []
    private var silent: Set<String> = []
    /// Frames that wait in the sockets of workers that are frozen.
    private var unread: [String: [Frame]] = [:]

    /// The tokens of masters and workers that have some, by their names; the first is the one that is proved.
    private let tokens: [String: [String]]
    /// What workers have said of masters that they left.
    private(set) var untrusted: [String] = []
    /// All that has gone over links, master and frame.
    private(set) var sent: [(master: String, frame: Frame)] = []

    init(masters names: [String], workers: [String], loops: Int = 1, tokens: [String: [String]] = [:], peers: Bool = false) {
        self.tokens = tokens
        (masterNames, hasPeers) = (names, peers)
        self.workers = workers.map { SimulatedWorker($0, loops: loops, masters: names, secret: tokens[$0].map(LinkSecret.simulated)) }
        for name in names { start(master: name) }
    }

    /// Lets time pass, a tenth of a second a step.
    func run(seconds: Double) {
        let end = now + seconds
        while now < end {
            now += 0.1
            for worker in workers where !silent.contains(worker.name) {
                worker.now = now + worker.clockOffset
                worker.tick()
                carryOut(worker.link.tick(now: worker.now), of: worker)
                settle(worker)
            }
            for name in masters.keys.sorted() {
                masters[name]?.tick(now: now)
                if let master = masters[name] { collect(master) }
            }
            tellStates()
        }
    }

    /// Masters tell one another how they are, as often as they do over their links.
    private func tellStates() {
        guard hasPeers, now - statesToldAt >= PeerLink.interval else { return }
        statesToldAt = now
        for (one, engine) in masters.sorted(by: { $0.key < $1.key }) {
            for (other, hearer) in masters.sorted(by: { $0.key < $1.key }) where one != other && !isCut(one, other) {
                guard let known = hearer.state(now: now), let state = engine.state(known: known.known, now: now) else { continue }
                hearer.heard(state, now: now)
                collect(hearer)
            }
        }
    }

    /// Nothing passes between two ends, masters or workers, and neither is told.
    func cut(_ one: String, _ other: String) { cuts.insert([one, other]) }

    func heal() { cuts = [] }

    private func isCut(_ one: String, _ other: String) -> Bool { cuts.contains([one, other]) }

    /// The masters that serve.
    var serving: [String] { masters.filter { $0.value.isServing }.keys.sorted() }

    /// The master of each worker whose link is up.
    var homes: [String: String] {
        workers.reduce(into: [:]) { homes, worker in if worker.link.isUp { homes[worker.name] = worker.link.master } }
    }

    func kill(master name: String) {
        masters[name] = nil
        for (worker, link) in links where link.master == name {
            links[worker] = nil
            if let worker = self.worker(worker) { carryOut(worker.link.closed(why: "reset", now: worker.now, random: 0.5), of: worker) }
        }
    }

    func start(master name: String) {
        masters[name] = MasterEngine(
            liveFor: 20, frameLimit: 1 << 20, secret: tokens[name].map(LinkSecret.simulated), unproved: [AddressRange("10.9.0.0/16")!],
            standby: hasPeers
                ? Standby(own: name, others: masterNames.filter { $0 != name }, restored: 0, liveFor: 20, now: now) : nil)
    }

    /// The worker stops doing anything, as if its machine had gone.
    func freeze(worker name: String) { silent.insert(name) }

    func thaw(worker name: String) {
        silent.remove(name)
        guard let worker = worker(name) else { return }
        worker.now = now + worker.clockOffset
        for frame in unread.removeValue(forKey: name) ?? [] { carryOut(worker.link.received(frame, now: worker.now), of: worker) }
    }

    /// The worker ends as told.
    func stop(worker name: String) {
        guard let worker = worker(name) else { return }
        carryOut(worker.link.stop(worker.heartbeat(), now: worker.now), of: worker)
    }

    /// What a client gets from a master that it asks for workers; nil if the master is not there.
    func allocation(from master: String, all: Bool = true) -> Frame? {
        ask(master, all ? Frame(.allocation, id: 5, text: "TRUE") : Frame(.allocation, id: 5))
    }

    /// An operator does something at a master.
    func at(_ master: String, _ act: (MasterEngine) throws -> Void) rethrows {
        guard let engine = masters[master] else { return }
        try act(engine)
        // What it has to tell goes out with an answer.
        _ = allocation(from: master)
    }

    /// What a client of a master gets.
    func ask(_ master: String, _ request: Frame) -> Frame? {
        guard let engine = masters[master] else { return nil }
        let connection = ConnectionID(loop: 9, slot: 0, generation: 0)
        engine.opened(connection, source: "127.0.0.1")
        let answers = deliver(request.encoded(), to: engine, from: connection)
        engine.closed(connection, now: now)
        return answers.first
    }

    /// A worker asks its master for others that have room.
    func askRoom(_ worker: SimulatedWorker) { carryOut(worker.link.askRoom(now: worker.now), of: worker) }

    private func worker(_ name: String) -> SimulatedWorker? { workers.first { $0.name == name } }

    private func carryOut(_ actions: [MasterLink.Action], of worker: SimulatedWorker) {
        for action in actions {
            switch action {
            case .connect(let address): connect(worker, to: address)
            case .send(let bytes):
                guard let link = links[worker.name], let master = masters[link.master], !isCut(worker.name, link.master) else { continue }
                bytes.withUnsafeBytes { bytes in
                    guard case .frame(let view) = FrameDecoder.decode(bytes), let start = bytes.baseAddress else { return }
                    sent.append((link.master, Frame(view, in: start)))
                }
                for frame in deliver(bytes, to: master, from: link.connection) {
                    carryOut(worker.link.received(frame, now: worker.now), of: worker)
                }
            case .report: carryOut(worker.link.heartbeat(worker.heartbeat(), now: worker.now), of: worker)
            case .close(let why):
                links[worker.name] = nil
                carryOut(worker.link.closed(why: why, now: worker.now, random: 0.5), of: worker)
            case .joined(let master, let isShunt):
                joined.append("\(worker.name) \(master)")
                worker.joined(isShunt: isShunt)
            case .reportAgain: worker.joined(isShunt: true)
            case .ended:
                ended.append(worker.name)
                links[worker.name] = nil
            case .untrusted(let master, let why): untrusted.append("\(worker.name) \(master) \(why)")
            case .refused(_, let why): refused.append("\(worker.name) \(why)")
            case .lost:
                worker.reports.end()
                worker.clients.end()
                for engine in worker.engines { engine.endClientNews() }
            case .askedClients(let list):
                for engine in worker.engines { engine.beginClientNews() }
                tellClients(worker.clients.begin(list: list, loops: worker.engines.count), of: worker)
            case .tookClients: tellClients(worker.clients.taken(), of: worker)
            case .answered(let question, let assignment): worker.answered(question, assignment)
            case .chat(let id, let event): worker.received(event, of: id)
            case .confirmed, .tookEvents: break
            case .commanded(let id, let body):
                guard let result = worker.performs?(body) else { continue }
                carryOut(worker.link.answer(id, CommandAnswerBody(result).encoded(), limit: 1 << 20), of: worker)
            case .bans(let body): bans.append((worker.name, body))
            case .balance: break
            case .cutOff(let isCutOff): for engine in worker.engines { engine.setCutOff(isCutOff) }
            case .learned(let worker): learned.append(worker)
            case .room(let workers): room = workers
            case .look(let address): carryOut(worker.link.looked(isThere: masters[address] != nil && !isCut(worker.name, address)), of: worker)
            case .displaced(let devices): worker.displaced(devices)
            case .asked(let id, let body): carryOut(worker.link.answer(id, worker.answer(body).encoded(), limit: 1 << 20), of: worker)
            case .askedRefused(let id, _): carryOut(worker.link.answer(id, RefusedAnswerBody([], total: 0).encoded(), limit: 1 << 20), of: worker)
            }
        }
    }

    /// Carries what the workers' loops ask and tell to their masters, and the answers back.
    func settle() { for worker in workers { settle(worker) } }

    private func tellClients(_ action: ClientReports.Action?, of worker: SimulatedWorker) {
        switch action {
        case .ask(let loop)?:
            let portion = worker.engines[Int(loop)].takeClients()
            tellClients(worker.clients.took(portion, from: loop, list: worker.clients.current), of: worker)
        case .send(let body)?: carryOut(worker.link.tellClients(body, now: worker.now), of: worker)
        case nil: break
        }
    }

    private func settle(_ worker: SimulatedWorker) {
        while !worker.clientsChanged.isEmpty { tellClients(worker.clients.changed(worker.clientsChanged.removeFirst()), of: worker) }
        while !worker.questions.isEmpty {
            let question = worker.questions.removeFirst()
            carryOut(worker.link.ask(question, host: worker.host, now: worker.now), of: worker)
        }
        worker.reports.gather()
        while let report = worker.reports.next() {
            carryOut(worker.link.tell(report.type, report.body, name: report.name, key: report.key, now: worker.now), of: worker)
        }
    }

    private func connect(_ worker: SimulatedWorker, to address: String) {
        guard let master = masters[address], !isCut(worker.name, address) else {
            return carryOut(worker.link.closed(why: "refused", now: worker.now, random: 0.5), of: worker)
        }
        nextConnection += 1
        let connection = ConnectionID(loop: 0, slot: nextConnection, generation: 0)
        links[worker.name] = (address, connection)
        master.opened(connection, source: "127.0.0.1")
        carryOut(worker.link.connected(now: worker.now), of: worker)
    }

    private func deliver(_ bytes: [UInt8], to master: MasterEngine, from connection: ConnectionID) -> [Frame] {
        _ = bytes.withUnsafeBytes { master.received($0, on: connection, now: now) }
        var frames: [Frame] = []
        var others: [(SimulatedWorker, Frame)] = []
        for case .send(let to, let bytes) in master.actions {
            bytes.withUnsafeBytes { bytes in
                guard case .frame(let view) = FrameDecoder.decode(bytes), let start = bytes.baseAddress else { return }
                if to == connection {
                    frames.append(Frame(view, in: start))
                } else if let name = links.first(where: { $0.value.connection == to })?.key, let worker = worker(name) {
                    others.append((worker, Frame(view, in: start)))
                }
            }
        }
        let closed = Self.closed(by: master)
        keep(master)
        for id in closed { close(id, of: master) }
        for (worker, frame) in others where !isCut(worker.name, links[worker.name]?.master ?? "") {
            guard !silent.contains(worker.name) else {
                unread[worker.name, default: []].append(frame)
                continue
            }
            carryOut(worker.link.received(frame, now: worker.now), of: worker)
        }
        return frames
    }

    /// What a master has decided by itself.
    private func collect(_ master: MasterEngine) {
        let (actions, closed) = (master.actions, Self.closed(by: master))
        keep(master)
        for id in closed { close(id, of: master) }
        for case .send(let id, let bytes) in actions { pass(bytes, on: id) }
    }

    private func keep(_ master: MasterEngine) {
        changes += master.changes
        master.clear()
    }

    /// The connections that a master closes as it steps back.
    private static func closed(by master: MasterEngine) -> [ConnectionID] {
        master.actions.compactMap { if case .close(let id, .masterStandby) = $0 { id } else { nil } }
    }

    /// A frame that answers nothing which has just come.
    private func pass(_ bytes: [UInt8], on id: ConnectionID) {
        guard let (name, link) = links.first(where: { $0.value.connection == id }), !silent.contains(name), !isCut(name, link.master),
            let worker = worker(name)
        else { return }
        bytes.withUnsafeBytes { bytes in
            guard case .frame(let view) = FrameDecoder.decode(bytes), let start = bytes.baseAddress else { return }
            carryOut(worker.link.received(Frame(view, in: start), now: worker.now), of: worker)
        }
    }

    /// A master closes a connection; a worker that it is cut off from does not notice.
    private func close(_ id: ConnectionID, of master: MasterEngine) {
        master.closed(id, now: now)
        guard let (name, link) = links.first(where: { $0.value.connection == id }), let worker = worker(name) else { return }
        links[name] = nil
        guard !isCut(name, link.master), !silent.contains(name) else { return }
        carryOut(worker.link.closed(why: "the master closed the connection", now: worker.now, random: 0.5), of: worker)
    }

    /// Where the registry would have each user online: `ann@a:1`.
    var online: [String] {
        var places: [DeviceNames.Name: String] = [:]
        for case .device(let change) in changes {
            switch change {
            case .device(let record): places[.init(record.uid, record.device)] = record.isOnline ? record.worker : nil
            case .left(let uid, let device, _), .removed(let uid, let device): places[.init(uid, device)] = nil
            case .workerLost(let worker, _): places = places.filter { $0.value != worker }
            }
        }
        return places.map { "\($0.key.uid)@\($0.value)" }.sorted()
    }

    /// Where the registry would have each chat: `c@a:1`.
    var chats: [String] {
        var places: [String: String] = [:]
        for case .chat(let change) in changes {
            switch change {
            case .chat(let record): places[record.chat] = record.worker
            case .closed(let chat, _): places[chat] = nil
            case .workerLost(let worker, _): places = places.filter { $0.value != worker }
            }
        }
        return places.map { "\($0.key)@\($0.value)" }.sorted()
    }

    /// Where the registry would have each client: `c@a:1`, with `(away)` behind those that are.
    var clients: [String] {
        var rows: [String: (record: ClientRecord, list: Int64)] = [:]
        for case .client(let change) in changes {
            switch change {
            case .client(let record, let list): rows[record.worker + " " + record.session] = (record, list)
            case .gone(let worker, let session): rows[worker + " " + session] = nil
            case .listed(let worker, let list): rows = rows.filter { $0.value.record.worker != worker || $0.value.list == list }
            case .workerLost(let worker): rows = rows.filter { $0.value.record.worker != worker }
            }
        }
        return rows.values.map { "\($0.record.client)@\($0.record.worker)" + ($0.record.state == .away ? " (away)" : "") }.sorted()
    }

    /// The events that the registry would hold.
    var events: [String] {
        changes.compactMap { if case .event(let event) = $0 { "\(event.kind.rawValue) \(event.subject)" } else { nil } }
    }
}
