import ExchangeCodec
import NIOCore
import ShuntCore
import Synchronization

/// A producer that speaks the exchange protocol.
final class ExchangeProducer: MessageSender {
    let configuration: ProducerConfiguration
    private let state: Mutex<State>
    private let driver = Mutex<Task<Void, Never>?>(nil)

    struct State: ~Copyable {
        var queue: SendQueue<SendTicket>
        /// Frames of the connection that have not been handed to its loop yet.
        var outgoing = ByteBuffer()
        /// Whether the loop has been asked to fetch them.
        var isFlushDue = false
        var connection: ServerConnection?
    }

    private init(_ configuration: ProducerConfiguration) {
        self.configuration = configuration
        let window = SendQueue<SendTicket>.Window(count: configuration.window, bytes: configuration.windowBytes)
        state = Mutex(State(queue: SendQueue(window: window, resends: configuration.resends, ids: .fresh())))
    }

    static func connect(_ configuration: ProducerConfiguration) async throws(ShuntError) -> ExchangeProducer {
        let producer = ExchangeProducer(configuration)
        var search = WorkerSearch(route: configuration.route, backoff: configuration.connection.backoff)
        let first = try await producer.findWorker(&search, within: configuration.connection.patience)
        producer.driver.withLock { driver in
            driver = Task { [search] in await producer.keepConnected(first, search) }
        }
        return producer
    }

    var address: HostPort? { state.withLock { $0.connection?.address } }

    func fault(of message: OutgoingMessage) -> ShuntError? { message.fault(frameLimit: configuration.connection.frameLimit) }

    func close() {
        let error = ShuntError(.connectionLost, "the producer was closed")
        let (connection, tickets) = state.withLock { state in (state.connection, state.queue.close(error)) }
        driver.withLock { $0?.cancel() }
        connection?.close()
        for ticket in tickets.unknown { ticket.complete(SendFailure(.unknown, error)) }
        for ticket in tickets.unsent { ticket.complete(SendFailure(.notSent, error)) }
    }

    func disconnect() async { close() }

    // MARK: Sending

    func submitIfRoom(_ message: OutgoingMessage, _ ticket: () -> SendTicket) -> Bool {
        let (isSent, flush) = state.withLock { state -> (Bool, ServerConnection?) in
            guard state.queue.hasRoom else { return (false, nil) }
            guard case .send(let id) = state.queue.submit(.init(message: message, ticket: ticket())) else { return (false, nil) }
            state.outgoing.writeMessage(message, id: id)
            return (true, state.startFlush())
        }
        if let flush { scheduleFlush(of: flush) }
        return isSent
    }

    func submit(_ message: OutgoingMessage, _ ticket: SendTicket) {
        let (admission, flush) = state.withLock { state -> (SendQueue<SendTicket>.Admission, ServerConnection?) in
            let admission = state.queue.submit(.init(message: message, ticket: ticket))
            guard case .send(let id) = admission else { return (admission, nil) }
            state.outgoing.writeMessage(message, id: id)
            return (admission, state.startFlush())
        }
        switch admission {
        case .send: ticket.admitted()
        case .wait: break
        case .refuse(let error): ticket.complete(SendFailure(.notSent, error))
        }
        if let flush { scheduleFlush(of: flush) }
    }

    private func scheduleFlush(of connection: ServerConnection) {
        connection.channel.eventLoop.execute { self.flush(connection) }
    }

    private func flush(_ connection: ServerConnection) {
        let bytes = state.withLock { state in
            // The frames of another connection are fetched by a call on that connection's loop.
            state.connection?.channel === connection.channel ? state.takeOutgoing() : ByteBuffer()
        }
        if bytes.readableBytes > 0 { connection.write(bytes) }
    }

    // MARK: Answers; on the event loop

    func answered(_ answers: [SendAnswer], on connection: ServerConnection) {
        var done: [(SendTicket, Refusal?)] = []
        done.reserveCapacity(answers.count)
        var admitted: [SendTicket] = []
        let bytes = state.withLock { state -> ByteBuffer in
            for answer in answers {
                if let ticket = state.queue.answered(answer.id) { done.append((ticket, answer.refusal)) }
            }
            state.admitWaiting(&admitted)
            return state.takeOutgoing()
        }
        if bytes.readableBytes > 0 { connection.write(bytes) }
        for ticket in admitted { ticket.admitted() }
        for (ticket, refusal) in done {
            ticket.complete(refusal.map { SendFailure(.refused($0), $0.error(at: connection.address.description)) })
        }
    }

    /// The oldest message without answer; nil if nothing waits.
    func oldestUnanswered() -> Int64? { state.withLock { $0.queue.oldest } }

    func lost(_ connection: ServerConnection, _ error: ShuntError) {
        let unknown = state.withLock { state -> [SendTicket] in
            state.connection = nil
            _ = state.takeOutgoing()
            return state.queue.lost()
        }
        for ticket in unknown { ticket.complete(SendFailure(.unknown, error)) }
    }

    // MARK: Staying connected

    private func keepConnected(_ first: ServerConnection, _ search: WorkerSearch) async {
        var search = search
        var connection: ServerConnection? = first
        while !Task.isCancelled {
            if let current = connection {
                let since = ClientClock.system.now
                await current.closed()
                search.lost(after: ClientClock.system.now - since)
            }
            do throws(ShuntError) {
                connection = try await findWorker(
                    &search, within: configuration.returnPatience ?? configuration.connection.patience)
            } catch {
                connection = nil
                let unsent = state.withLock { $0.queue.failWaiting() }
                for ticket in unsent { ticket.complete(SendFailure(.notSent, error)) }
                // The same question at once would get the same answer.
                if error.refusesIdentity { try? await Task.sleep(for: configuration.connection.patience) }
            }
        }
        // Closed while a connection was on its way.
        connection?.close()
    }

    private func findWorker(
        _ search: inout WorkerSearch, within patience: Duration
    ) async throws(ShuntError) -> ServerConnection {
        var options = configuration.connection
        options.patience = patience
        return try await options.find(&search) { [options] address throws(ShuntError) in
            try await ServerConnection.open(toWorker: address, options: options) { connection in
                // Here, on the loop, so that the connection can not be lost before.
                self.adopt(connection)
                return ProducerReceiver(producer: self, connection: connection)
            }
        }
    }

    private func adopt(_ connection: ServerConnection) {
        var admitted: [SendTicket] = []
        let flush = state.withLock { state -> ServerConnection? in
            state.connection = connection
            state.queue.connected()
            state.admitWaiting(&admitted)
            return state.startFlush()
        }
        for ticket in admitted { ticket.admitted() }
        if let flush { scheduleFlush(of: flush) }
    }
}

extension ExchangeProducer.State {
    mutating func admitWaiting(_ admitted: inout [SendTicket]) {
        while let (id, submission) = queue.admitWaiting() {
            outgoing.writeMessage(submission.message, id: id)
            admitted.append(submission.ticket)
        }
    }

    /// The connection whose loop must be asked to fetch what is outgoing, if it has not been.
    mutating func startFlush() -> ServerConnection? {
        guard !isFlushDue, outgoing.readableBytes > 0, let connection else { return nil }
        isFlushDue = true
        return connection
    }

    mutating func takeOutgoing() -> ByteBuffer {
        isFlushDue = false
        defer { outgoing = ByteBuffer() }
        return outgoing
    }
}
