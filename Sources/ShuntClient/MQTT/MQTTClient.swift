import MQTTCodec
import NIOCore
import ShuntCore
import Synchronization

/// Carries out what an `MQTTSession` decides: one connection at a time, whose event loop reads and writes. Applications send from any task.
final class MQTTClient<Message: Delivered>: Sendable {
    typealias Session = MQTTSession<MQTTTicket>

    /// A message for the application, with what is to be acknowledged once it has taken it.
    struct Arrival: Delivered {
        var message: Message
        var receipt: MQTTReceipt?
        var size: Int { message.size }
    }

    fileprivate struct State: ~Copyable {
        var session: Session
        /// Packets of the connection that have not been handed to its loop yet.
        var outgoing = ByteBuffer()
        /// Whether the loop has been asked to fetch them.
        var isFlushDue = false
        var connection: ServerConnection?
        /// The number of the latest connection; events of earlier ones are out of date.
        var number = 0
    }

    /// What is done without the lock.
    fileprivate enum Step {
        case connect(HostPort, number: Int)
        case hangUp(ServerConnection, saying: ByteBuffer?)
        case other(Session.Action)
    }

    let settings: Session.Settings
    private let options: ConnectionOptions
    private let failsWithoutSubscriber: Bool
    private let state: Mutex<State>
    private let inbox: Inbox<Arrival>
    private let start = FirstResult()
    private let read: @Sendable (ReceivedMessage) -> SessionReading<Message>
    private let news: @Sendable (SessionNews) -> Message?

    /// - Parameters:
    ///   - read: makes what the application gets of a message.
    ///   - news: the same of an event of the connection. Both must be quick.
    init(
        _ settings: Session.Settings, options: ConnectionOptions, failsWithoutSubscriber: Bool, limit: Inbox<Arrival>.Limit,
        read: @escaping @Sendable (ReceivedMessage) -> SessionReading<Message>, news: @escaping @Sendable (SessionNews) -> Message?
    ) {
        self.settings = settings
        self.options = options
        self.failsWithoutSubscriber = failsWithoutSubscriber
        state = Mutex(State(session: Session(settings)))
        inbox = Inbox(limit: limit)
        self.read = read
        self.news = news
    }

    /// Begins, and returns when the broker has taken the client and its subscription. Once only.
    /// - Throws: the error that ended the session, or kept it from beginning.
    func begin() async throws(ShuntError) {
        handle(.start)
        try await start.value.get()
    }

    /// The broker; nil while there is no connection.
    var address: HostPort? { state.withLock { $0.connection?.address } }

    // MARK: For the application

    func fault(of message: OutgoingMessage) -> ShuntError? { message.mqttFault(settings.version, qos: settings.qos) }

    /// Sends a message if there is room now.
    func submitIfRoom(_ message: OutgoingMessage, _ ticket: () -> MQTTTicket) -> Bool {
        var isSent = false
        perform { session in
            guard session.hasRoom else { return [] }
            isSent = true
            return session.submit(message, ticket(), now: ClientClock.system.now)
        }
        return isSent
    }

    func submit(_ message: OutgoingMessage, _ ticket: MQTTTicket) {
        perform { $0.submit(message, ticket, now: ClientClock.system.now) }
    }

    func publish(_ message: OutgoingMessage) async -> MQTTOutcome {
        await withCheckedContinuation { submit(message, .call($0)) }
    }

    /// Returns when the broker has answered, or the session is over.
    func unsubscribe() async {
        _ = await withCheckedContinuation { handle(.unsubscribe(.call($0))) }
    }

    /// Waits for messages, takes all that are there, and tells the broker that the application has them.
    /// - Returns: nil at the end.
    func next() async throws(ShuntError) -> [Message]? {
        guard let arrivals = try await inbox.next() else { return nil }
        let receipts = arrivals.compactMap(\.receipt)
        if !receipts.isEmpty { handle(.taken(receipts)) }
        return arrivals.map(\.message)
    }

    func close(_ error: ShuntError? = nil) { handle(.close(error)) }

    /// Closes, and returns when the broker has read the farewell.
    func disconnect() async {
        let connection = state.withLock { $0.connection }
        close()
        await connection?.closed()
    }

    // MARK: Events of the connection; on its event loop

    func arrived(_ bytes: Bytes, number: Int) -> (consumed: Int, readsOn: Bool) {
        var steps: [Step] = []
        let (consumed, flush) = state.withLock { state -> (Int, ServerConnection?) in
            var at = 0
            while at < bytes.count, state.number == number {
                let rest = Bytes(rebasing: bytes[at...])
                let (now, random) = (ClientClock.system.now, Double.random(in: 0..<1))
                switch PacketDecoder.decode(rest, limit: settings.packetLimit) {
                case .packet(let header):
                    state.carryOut(state.session.received(header, rest, now: now, random: random), &steps)
                    at += header.size
                case .malformed(let fault): state.carryOut(state.session.received(fault, now: now, random: random), &steps)
                case .needMore: return (at, state.startFlush())
                }
            }
            // Of a connection that is out of date nothing counts any more.
            return (state.number == number ? at : bytes.count, state.startFlush())
        }
        if let flush { scheduleFlush(of: flush) }
        return (consumed, carryOut(steps))
    }

    func paused(_ isPaused: Bool, number: Int) { handle(.paused(isPaused), number: number) }
    func check(number: Int) { handle(.check, number: number) }

    func closed(_ error: ShuntError, number: Int) {
        state.withLock { state in
            guard state.number == number else { return }
            state.connection = nil
            _ = state.takeOutgoing()
        }
        handle(.lost(error), number: number)
    }

    // MARK: Carrying out

    private func handle(_ event: Session.Event, number: Int? = nil) {
        perform(number: number) { $0.handle(event, now: ClientClock.system.now, random: .random(in: 0..<1)) }
    }

    /// - Parameter number: of the connection that the event is of; nil: it is of none.
    private func perform(number: Int? = nil, _ body: (inout Session) -> [Session.Action]) {
        var steps: [Step] = []
        let flush = state.withLock { state -> ServerConnection? in
            if let number, number != state.number { return nil }
            state.carryOut(body(&state.session), &steps)
            return state.startFlush()
        }
        if let flush { scheduleFlush(of: flush) }
        _ = carryOut(steps)
    }

    /// - Returns: whether the connection should read on.
    private func carryOut(_ steps: [Step]) -> Bool {
        guard !steps.isEmpty else { return true }
        var arrivals: [Arrival] = []
        var readsOn = true
        func deliver() {
            guard !arrivals.isEmpty else { return }
            defer { arrivals = [] }
            if let connection = state.withLock({ $0.connection }), !inbox.add(arrivals, from: connection) { readsOn = false }
        }
        for step in steps {
            switch step {
            case .connect(let address, let number): Task { await self.connect(to: address, number) }
            case .hangUp(let connection, let farewell): connection.hangUp(saying: farewell)
            case .other(.deliver(let message, let receipt)):
                let reading = read(message)
                if let message = reading.message { arrivals.append(Arrival(message: message, receipt: receipt)) }
                if reading.message == nil, let receipt { handle(.taken([receipt])) }
                guard let turn = reading.turn else { continue }
                deliver()
                take(turn)
            case .other(let action):
                if case .report = action { deliver() }
                if case .end = action { deliver() }
                carryOut(action)
            }
        }
        deliver()
        return readsOn
    }

    private func carryOut(_ action: Session.Action) {
        switch action {
        case .admitted(.send(let ticket)): ticket.admitted()
        case .complete(let ticket, let outcome): ticket.complete(outcome, failsWithoutSubscriber: failsWithoutSubscriber)
        case .report(let event):
            if case .attached = event { start.resolve(.success(())) }
            if let message = news(event) { inbox.note(Arrival(message: message)) }
        case .pause(let pause):
            ServerConnection.loops.next().scheduleTask(in: TimeAmount(pause)) { self.handle(.pauseOver) }
        case .end(let error):
            start.resolve(.failure(error ?? ShuntError(.connectionLost, "the session was closed")))
            inbox.finish(error.map { .failure($0) } ?? .success(()))
        case .admitted, .connect, .send, .hangUp, .deliver: break
        }
    }

    private func take(_ turn: SessionTurn) {
        switch turn {
        case .over(let error):
            inbox.finish(.success(()))
            close(error)
        case .failed(let error): close(error)
        // A broker sends clients elsewhere by reason codes.
        case .moved: break
        }
    }

    private func connect(to address: HostPort, _ number: Int) async {
        do throws(ShuntError) {
            _ = try await ServerConnection.open(to: address, options: options, tls: options.tls, applicationProtocols: ["mqtt"]) { connection in
                // Here, on the loop, so that the connection can not be lost before.
                let handler = MQTTHandler(client: self, connection: connection, number: number, checkEvery: self.checkInterval)
                try connection.channel.pipeline.syncOperations.addHandler(handler)
                if !self.adopt(connection, number) { connection.close() }
            }
        } catch {
            handle(.unreachable(error), number: number)
        }
    }

    /// - Returns: whether it is still wanted.
    private func adopt(_ connection: ServerConnection, _ number: Int) -> Bool {
        let isWanted = state.withLock { state in
            guard state.number == number, state.session.phase == .connecting else { return false }
            state.connection = connection
            return true
        }
        if isWanted { handle(.connected, number: number) }
        return isWanted
    }

    private var checkInterval: Duration {
        max(.milliseconds(10), min(settings.replyTimeout, settings.acknowledgementTimeout, settings.pingTimeout, .seconds(2)) / 4)
    }

    // MARK: Writing

    private func scheduleFlush(of connection: ServerConnection) {
        connection.channel.eventLoop.execute { self.flush(connection) }
    }

    private func flush(_ connection: ServerConnection) {
        let (bytes, total, number) = state.withLock { state -> (ByteBuffer, Int, Int) in
            // The packets of another connection are fetched by a call on that connection's loop.
            guard state.connection?.channel === connection.channel else { return (ByteBuffer(), 0, 0) }
            return (state.takeOutgoing(), state.session.outgoing.unwrittenTotal, state.number)
        }
        guard bytes.readableBytes > 0 else { return }
        guard total > 0 else { return connection.write(bytes) }
        connection.channel.writeAndFlush(bytes).whenSuccess { self.handle(.written(total), number: number) }
    }
}

extension MQTTClient.State {
    /// Gathers what is to be sent, and keeps for later what is done without the lock.
    fileprivate mutating func carryOut(_ actions: [MQTTClient.Session.Action], _ steps: inout [MQTTClient.Step]) {
        for action in actions {
            switch action {
            case .send(let packet): outgoing.writeBytes(packet)
            case .connect(let address):
                number += 1
                steps.append(.connect(address, number: number))
            case .hangUp(let farewell):
                guard let connection else { continue }
                var bytes = takeOutgoing()
                if let farewell { bytes.writeBytes(farewell) }
                steps.append(.hangUp(connection, saying: farewell == nil ? nil : bytes))
                self.connection = nil
                number += 1
            case .pause, .deliver, .admitted, .complete, .report, .end: steps.append(.other(action))
            }
        }
    }

    /// The connection whose loop must be asked to fetch what is outgoing, if it has not been.
    fileprivate mutating func startFlush() -> ServerConnection? {
        guard !isFlushDue, outgoing.readableBytes > 0, let connection else { return nil }
        isFlushDue = true
        return connection
    }

    fileprivate mutating func takeOutgoing() -> ByteBuffer {
        isFlushDue = false
        defer { outgoing = ByteBuffer() }
        return outgoing
    }
}

/// The call that waits for what becomes of a message.
enum MQTTTicket: Sendable {
    case send(SendTicket)
    case call(CheckedContinuation<MQTTOutcome, Never>)

    func complete(_ outcome: MQTTOutcome, failsWithoutSubscriber: Bool) {
        switch (self, outcome) {
        case (.call(let continuation), _): continuation.resume(returning: outcome)
        case (.send(let ticket), .failed(let failure)): ticket.complete(failure)
        case (.send(let ticket), .acknowledged(.noMatchingSubscribers, let text)) where failsWithoutSubscriber:
            let refusal = Refusal(.noMatchingSubscribers, text)
            ticket.complete(SendFailure(.refused(refusal), refusal.error()))
        case (.send(let ticket), .acknowledged): ticket.complete(nil)
        }
    }
}

extension ServerConnection {
    /// Closes the connection. After a farewell it first lets the other side read that, and close: what it has sent meanwhile would make the
    /// system throw the farewell away.
    fileprivate func hangUp(saying farewell: ByteBuffer?) {
        guard let farewell else { return close() }
        let channel = channel
        channel.eventLoop.execute {
            channel.writeAndFlush(farewell, promise: nil)
            channel.read()
            channel.eventLoop.scheduleTask(in: .milliseconds(500)) { channel.close(promise: nil) }
        }
    }
}
