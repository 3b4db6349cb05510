import ExchangeCodec
import Glibc
import Logging
import ShuntCore
import ShuntEngine
import ShuntJSON
import ShuntReactor
import ShuntRegistry
import ShuntTLS

/// The registry's records at the master's start.
struct KnownBefore: Sendable {
    var workers: [WorkerRecord]
    var devices: [DeviceRecord]
    var chats: [ChatRecord]
    var bans: [Ban]
    /// What workers have told of themselves of late.
    var events: [EventRecord]
    /// Points of steps that are not over.
    var history: [HistoryPoint]

    init(_ reader: any RegistryReader, now: Double) async throws(ShuntError) {
        workers = try await reader.workers()
        devices = try await reader.devices()
        chats = try await reader.chats()
        bans = try await reader.bans()
        events = []
        for kind in WorkerEvent.kinds {
            let page = try await reader.events(EventQuery(kind: kind, limit: EventQuery.maximumLimit))
            events += page.events.map { EventRecord(at: $0.at, kind: kind, subject: $0.subject, detail: $0.detail) }
        }
        history = try await reader.openHistory(now: now)
    }
}

/// The master's exchange port: carries out what its engine decides.
final class MasterLoop: EventLoopHandler {
    let loop: EventLoop
    let engine: MasterEngine
    private let writer: RegistryWriter
    let figures: MasterFigures
    let logger: Logger
    /// The links to the other masters, by the number of their connections' role.
    var links: [MasterConnection]
    let masters: MasterPeers?
    private var fullness = DeviceFullness()
    /// nil: peers speak plain bytes alone.
    private let tls: ReloadableTLS?
    /// Connections that have not said yet whether they speak TLS, or are shaking hands; and these in the order in which they came.
    private var unopened: [ConnectionID: PlainOrTLS] = [:]
    private var unopenedOrder: [ConnectionID] = []
    private var unopenedPosition = 0

    init(
        loop: EventLoop, socket: ListeningSocket, descriptors: DescriptorBudget, engine: MasterEngine, tls: ReloadableTLS?,
        masters: MasterPeers?, known: KnownBefore, writer: RegistryWriter, figures: MasterFigures, logger: Logger
    ) {
        self.loop = loop
        self.engine = engine
        self.writer = writer
        self.figures = figures
        self.tls = tls
        self.logger = logger
        self.masters = masters
        links = (masters?.others ?? []).map { MasterConnection(link: PeerLink(to: $0, secret: masters?.secret, now: loop.now)) }
        clients = ClientTroubles(descriptors)
        engine.restore(
            known.workers, devices: known.devices, chats: known.chats, bans: known.bans, events: known.events,
            now: loop.now)
        engine.restoreHistory(known.history, now: loop.now)
        figures.set(engine.role(now: loop.now))
        loop.accept(on: socket, within: descriptors) { [unowned self] in accepted($0) }
    }

    private func accepted(_ accepted: Accepted) {
        switch accepted {
        case .client(let descriptor):
            guard loop.figures.connections < loop.limits.connections else { return makeRoom(for: descriptor, .connections) }
            loop.adopt(descriptor: descriptor, role: .accepted(listener: 0))
        case .clientBeyondDescriptors(let descriptor): makeRoom(for: descriptor, .descriptors)
        case .noDescriptor: clients.ranOut = true
        }
    }

    /// A worker must be able to connect, however many clients stay connected.
    private func makeRoom(for descriptor: Int32, _ limit: ClientTroubles.Limit) {
        guard let other = longestUnopened() ?? engine.makeRoom(), let connection = loop.connection(other) else {
            clients.refused[limit, default: 0] += 1
            Glibc.close(descriptor)
            return
        }
        clients.displaced[limit, default: 0] += 1
        loop.close(connection, .failed(why: "it made room for another"))
        loop.adopt(descriptor: DescriptorBudget.lowered(descriptor), role: .accepted(listener: 0))
    }

    private var clients: ClientTroubles

    /// The connection to close for a new one before any other: it has said nothing of use.
    private func longestUnopened() -> ConnectionID? {
        while unopenedPosition < unopenedOrder.count {
            defer { unopenedPosition += 1 }
            if unopened[unopenedOrder[unopenedPosition]] != nil { return unopenedOrder[unopenedPosition] }
        }
        return nil
    }

    func transport(for connection: Connection) -> (any Transport)? {
        if case .outbound = connection.role { return masters?.tls.map { TLSTransport($0.context) } }
        guard let tls else { return nil }
        let transport = PlainOrTLS { tls.context }
        unopened[connection.id] = transport
        if unopenedOrder.count > 2 * unopened.count + 64 {
            unopenedOrder.removeAll { unopened[$0] == nil }
            unopenedPosition = 0
        }
        unopenedOrder.append(connection.id)
        return transport
    }

    func opened(_ connection: Connection) {
        if case .outbound(let place) = connection.role { return opened(connection, toMaster: Int(place)) }
        if tls != nil { unopened[connection.id] = nil }
        engine.opened(
            connection.id, source: connection.remoteAddress.host, hasCertificate: tls != nil && connection.clientCertificate != nil)
    }

    func received(_ bytes: Bytes, on connection: Connection) -> Int {
        if case .outbound(let place) = connection.role { return received(bytes, on: connection, fromMaster: Int(place)) }
        makeRoomForClients()
        let taken = engine.received(bytes, on: connection.id, now: loop.now)
        carryOut()
        return taken
    }

    func pressure(_ pressure: ConsumerPressure, on connection: Connection) {}

    /// A master sends only answers, and drops none.
    func framing(of role: Connection.Role) -> Framing { Self.framing }

    private static let framing = Framing { bytes in
        let length = UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: FrameLayout.lengthOffset, as: UInt32.self))
        return FrameExtent(length: FrameLayout.headerSize + Int(length), kind: .answer)
    }

    func closed(_ connection: Connection, reason: CloseReason) {
        if case .outbound(let place) = connection.role { return closed(connection, toMaster: Int(place), why: reason.text) }
        clients.closed(connection, reason)
        if tls != nil, let transport = unopened.removeValue(forKey: connection.id) {
            if transport.isTLS, case .byUs(let why) = reason {
                engine.handshakeFailed(source: connection.remoteAddress.host, why: why, now: loop.now)
            }
            return
        }
        engine.closed(connection.id, now: loop.now)
        settleQuestions()
    }

    func connectFailed(role: Connection.Role, address: HostPort, why: String) {
        if case .outbound(let place) = role { closed(nil, toMaster: Int(place), why: why) }
    }

    func turnEnded() {}

    func tick() {
        makeRoomForClients()
        engine.tick(now: loop.now)
        tickMasters()
        carryOut()
        clients.tick(now: loop.now, logger)
        let memory = engine.deviceMemory
        figures.set(
            MasterCounts(
                devices: engine.deviceCount, chats: engine.chatCount, workers: engine.directory.states, clients: engine.directory.clients,
                memory: memory,
                refusals: engine.linkRefusals, allocations: engine.directory.allocations, loop: loop.figures, role: engine.role(now: loop.now)))
        guard let news = fullness.news(memory, now: loop.now) else { return }
        logger.warning(
            "devices take all the memory that they may (devices.memory)",
            metadata: [
                "bytes": "\(memory.bytes)", "forgotten": "\(news.evicted)", "without_labels": "\(news.stripped)",
                "refused": "\(news.refused)",
            ])
    }

    /// An operator ends a chat.
    /// - Parameter done: gets the error; nil when the chat's worker has said that the chat is over.
    func closeChat(_ chat: String, _ done: @escaping @Sendable (ShuntError?) -> Void) {
        guard closures.count < Self.closureCapacity else {
            return done(ShuntError(.memoryLimit, "\(closures.count) chats are being ended", help: "try again in a moment"))
        }
        do throws(ShuntError) {
            try engine.checkServing(now: loop.now)
            let worker = try engine.worker(ending: chat)
            guard let arguments = try? RecordJSON.encode(ChatCloseRequest(chat: chat)) else {
                throw ShuntError(.internalError, "the chat's name cannot be written as JSON")
            }
            let command = try engine.command(WorkerCommand(.closeChat, arguments: arguments, worker: worker), now: loop.now)
            closures.append(Closure(chat: ExactText(chat), command: command, until: loop.now + Self.closurePatience, done: done))
        } catch {
            done(error)
        }
        carryOut()
    }

    /// A worker has answered. A chat is over once the worker's report has made it free; that the worker does not end it is known at once.
    private func settleClosure(_ command: Int64, _ answers: WorkerAnswers) {
        guard let place = closures.firstIndex(where: { $0.command == command }), let error = answers.answers.first?.result.failure else { return }
        closures.remove(at: place).done(error)
    }

    /// A chat whose worker has been told to end it.
    private struct Closure {
        var chat: ExactText
        /// What the worker has been told by.
        var command: Int64
        var until: Double
        var done: @Sendable (ShuntError?) -> Void
    }

    private var closures: [Closure] = []
    private static let closureCapacity = 1000
    /// Seconds that an operator waits for a chat's worker.
    private static let closurePatience = 2.0

    /// Answers operators whose chats are over.
    private func settleClosures() {
        guard !closures.isEmpty else { return }
        var over: Set<ExactText> = []
        for case .chat(.closed(let chat, _)) in engine.changes { over.insert(ExactText(chat)) }
        let isOver = { (one: Closure) in over.contains(one.chat) || !self.engine.knows(chat: one.chat.text) }
        for one in closures where isOver(one) { one.done(nil) }
        closures.removeAll(where: isOver)
        // Longer than any operator waits: the clock was set back.
        let isOverdue = { (one: Closure) in abs(one.until - self.loop.now) > Self.closurePatience || one.until <= self.loop.now }
        for one in closures where isOverdue(one) {
            one.done(
                ShuntError(
                    .connectionLost, "the chat's worker was told to end it and has not confirmed that",
                    help: "look with `shunt admin chats`, and try again"))
        }
        closures.removeAll(where: isOverdue)
    }

    /// An operator bans somebody, or lifts a ban.
    /// - Parameter done: gets the error; nil when it is told to the workers, and on its way to the registry.
    func change(_ change: BanChange, _ done: @escaping @Sendable (ShuntError?) -> Void) {
        var failure: ShuntError?
        do throws(ShuntError) {
            try engine.checkServing(now: loop.now)
            switch change {
            case .ban(let ban): try engine.ban(ban, now: loop.now)
            case .unban(let subject): try engine.unban(subject, now: loop.now)
            }
        } catch {
            failure = error
        }
        carryOut()
        done(failure)
    }

    /// An operator asks for retained messages, or for an end of them.
    func ask(_ request: RetainedRequest, _ done: @escaping @Sendable (Result<RetainedOutcome, ShuntError>) -> Void) {
        do throws(ShuntError) {
            try engine.checkServing(now: loop.now)
            questions[try engine.ask(request, now: loop.now)] = done
        } catch {
            done(.failure(error))
        }
        carryOut()
    }

    /// An operator asks for clients that were refused.
    func ask(_ query: RefusedQuery, _ done: @escaping @Sendable (Result<RefusedList, ShuntError>) -> Void) {
        do throws(ShuntError) {
            try engine.checkServing(now: loop.now)
            refusedQuestions[try engine.ask(query, now: loop.now)] = done
        } catch {
            done(.failure(error))
        }
        carryOut()
    }

    /// An operator has workers do something.
    func command(_ command: WorkerCommand, _ done: @escaping @Sendable (Result<WorkerAnswers, ShuntError>) -> Void) {
        do throws(ShuntError) {
            try engine.checkServing(now: loop.now)
            commands[try engine.command(command, now: loop.now)] = done
        } catch {
            done(.failure(error))
        }
        carryOut()
    }

    /// An operator has a worker of message-channel close connections beyond so many.
    func balance(_ worker: String, _ connections: Int, _ done: @escaping @Sendable (ShuntError?) -> Void) {
        var failure: ShuntError?
        do throws(ShuntError) {
            try engine.checkServing(now: loop.now)
            try engine.balance(worker, connections: connections, now: loop.now)
        } catch {
            failure = error
        }
        carryOut()
        done(failure)
    }

    /// An operator's command is decided by how the workers are at this moment.
    func workers(_ done: @escaping @Sendable (Result<[WorkerRecord], ShuntError>) -> Void) {
        do throws(ShuntError) {
            try engine.checkServing(now: loop.now)
            done(.success(engine.workers))
        } catch {
            done(.failure(error))
        }
    }

    /// Operators who wait for workers, by the numbers of their questions.
    private var questions: [Int64: @Sendable (Result<RetainedOutcome, ShuntError>) -> Void] = [:]
    private var refusedQuestions: [Int64: @Sendable (Result<RefusedList, ShuntError>) -> Void] = [:]
    private var commands: [Int64: @Sendable (Result<WorkerAnswers, ShuntError>) -> Void] = [:]

    /// Answers operators whose questions all workers have answered, or enough of them.
    private func settleQuestions() {
        for ended in engine.takeRetained() { questions.removeValue(forKey: ended.id)?(.success(ended.outcome)) }
        for ended in engine.takeRefused() { refusedQuestions.removeValue(forKey: ended.id)?(.success(ended.list)) }
        for ended in engine.takeCommands() {
            settleClosure(ended.id, ended.answers)
            commands.removeValue(forKey: ended.id)?(.success(ended.answers))
        }
    }

    /// Applies limits that have changed.
    func setLimits(_ limits: ConnectionLimits, frame: Int) {
        loop.setLimits(limits)
        engine.frameLimit = frame
    }

    func stop() {
        engine.flushHistory()
        writer.submit(engine.changes)
        engine.clear()
        for one in closures { one.done(ShuntError(.connectionLost, "the master ends")) }
        closures = []
        for done in questions.values { done(.failure(ShuntError(.connectionLost, "the master ends"))) }
        for done in refusedQuestions.values { done(.failure(ShuntError(.connectionLost, "the master ends"))) }
        for done in commands.values { done(.failure(ShuntError(.connectionLost, "the master ends"))) }
        (questions, refusedQuestions, commands) = ([:], [:], [:])
        loop.shutDown()
    }

    func carryOut() {
        for action in engine.actions {
            switch action {
            case .send(let id, let bytes):
                guard let connection = loop.connection(id) else { continue }
                bytes.withUnsafeBytes { bytes in
                    loop.answer(bytes.count, to: connection) {
                        $0.copyMemory(from: bytes.baseAddress.unsafelyUnwrapped, byteCount: bytes.count)
                    }
                }
            case .close(let id, let code):
                guard let connection = loop.connection(id) else { continue }
                loop.closeAfterWriting(connection, .byUs(why: code.rawValue))
            }
        }
        for case .event(let event) in engine.changes { log(event) }
        // Before operators are answered, who then have the registry written.
        writer.submit(engine.changes)
        settleClosures()
        settleQuestions()
        engine.clear()
    }

    /// Workers tell more of their clients as the registry writes what they have told.
    private func makeRoomForClients() { engine.setRoomForClients(writer.hasRoomForClients) }

    private func log(_ event: EventRecord) {
        let (level, text): (Logger.Level, Logger.Message) =
            switch event.kind {
            case .workerJoined: (.info, "a worker joined")
            case .workerReturned: (.info, "a worker returned")
            case .workerLeft: (.info, "a worker left")
            case .workerLost: (.warning, "a worker is lost")
            case .workerSkewed: (.warning, "a worker's clock is wrong")
            case .workerDraining: (.notice, "a worker drains")
            case .workerUndrained: (.notice, "a worker takes clients again")
            case .workerDrained: (.notice, "a worker has nobody left")
            case .linkRefused: (.warning, "a worker that does not prove that it belongs to the cluster was refused")
            case .rulesLoaded: (.info, "a worker runs other rules")
            case .rulesRefused: (.warning, "a worker keeps its rules, as it does not take the new ones")
            case .rulesRolledBack: (.warning, "a worker has gone back to the rules before")
            case .ruleOff: (.warning, "a worker has switched a rule off")
            case .ruleOn: (.info, "a worker tries a rule again")
            case .masterServing: (.notice, "this master serves")
            case .masterStandby: (.notice, "this master is standby")
            case .masterStarted, .masterStopped, .adminRefused, .command: (.info, "\(event.kind.rawValue)")
            }
        let address = engine.source(of: event.subject) ?? "-"
        logger.log(level: level, text, metadata: ["worker": "\(event.subject)", "from": "\(address)", "why": "\(event.detail)"])
    }
}
