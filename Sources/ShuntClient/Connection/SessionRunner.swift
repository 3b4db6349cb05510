import ExchangeCodec
import NIOCore
import ShuntCore

/// Makes the values that a session hands to its application.
protocol SessionReader: Sendable {
    associatedtype Message: Delivered
    /// A frame that answers nothing.
    mutating func read(_ frame: Frame) -> SessionReading<Message>
    mutating func read(_ news: SessionNews) -> Message?
}

struct SessionReading<Message> {
    var message: Message?
    var turn: SessionTurn?
}

extension SessionReading: Equatable where Message: Equatable {}

/// The meaning of a worker's frame for the session itself.
enum SessionTurn: Equatable, Sendable {
    case moved(to: HostPort)
    /// The session is over.
    case over(ShuntError)
    /// The session is over, and the runner tells the application why.
    case failed(ShuntError)
}

/// Carries out what a `WorkerSession` decides: one task that owns it, one connection at a time.
final class SessionRunner<Reader: SessionReader>: Sendable {
    private typealias Session = WorkerSession<SendTicket>

    private enum Event: Sendable {
        case decide(Session.Event)
        case opened(ServerConnection, number: Int)
        /// The frames of one read. The connection reads on when they were handled.
        case arrived([Frame], ServerConnection, number: Int)
        case closed(ShuntError, number: Int)
    }

    let inbox: Inbox<Reader.Message>
    private let options: ConnectionOptions
    private let start = FirstResult()
    private let stream: AsyncStream<Event>
    private let events: AsyncStream<Event>.Continuation

    init(options: ConnectionOptions, inbox: Inbox<Reader.Message>) {
        self.options = options
        self.inbox = inbox
        (stream, events) = AsyncStream.makeStream()
    }

    /// Begins, and returns when a worker has been greeted. Once only.
    /// - Throws: the error that ended the session, or kept it from beginning.
    func begin(
        _ route: ClientRoute, _ settings: WorkerSession<SendTicket>.Settings, _ reader: Reader
    ) async throws(ShuntError) {
        let session = Session(route: route, settings: settings, ids: .fresh())
        Task { await run(session, reader) }
        events.yield(.decide(.start))
        try await start.value.get()
    }

    /// - Returns: nil when the worker has acknowledged the frame.
    func submit(_ frame: Frame) async -> SendFailure? {
        await withCheckedContinuation { continuation in
            let ticket = SendTicket.caller(continuation)
            guard case .terminated = events.yield(.decide(.submit(.init(frame: frame, ticket: ticket)))) else { return }
            ticket.complete(.sessionOver)
        }
    }

    func close(_ error: ShuntError? = nil) {
        events.yield(.decide(.close(error)))
    }

    // MARK: The task

    private struct Progress {
        var session: Session
        var reader: Reader
        var connection: ServerConnection?
        /// The number of the latest connection; events of earlier ones are out of date.
        var number = 0
        var isOver = false
    }

    private func run(_ session: Session, _ reader: Reader) async {
        var progress = Progress(session: session, reader: reader)
        await withDiscardingTaskGroup { group in
            for await event in stream {
                handle(event, &progress, &group)
                if progress.isOver { break }
            }
            group.cancelAll()
            events.finish()
            // Events that came too late are completed or closed here.
            for await event in stream {
                switch event {
                case .decide(.submit(let submission)): submission.ticket.complete(.sessionOver)
                case .opened(let connection, _): connection.close()
                case .decide, .arrived, .closed: break
                }
            }
        }
    }

    private func handle(_ event: Event, _ progress: inout Progress, _ group: inout DiscardingTaskGroup) {
        switch event {
        case .decide(let event): decide(event, &progress, &group)
        case .opened(let connection, let number):
            guard number == progress.number else { return connection.close() }
            // The connection may be gone already, and its end reported.
            guard connection.channel.isActive else {
                return decide(.unreachable(.hungUp(connection.address)), &progress, &group)
            }
            progress.connection = connection
            decide(.connected, &progress, &group)
        case .arrived(let frames, let connection, let number):
            if number == progress.number { arrived(frames, on: connection, &progress, &group) }
        case .closed(let error, let number):
            guard number == progress.number else { return }
            progress.connection = nil
            decide(.lost(error), &progress, &group)
        }
    }

    private func arrived(
        _ frames: [Frame], on connection: ServerConnection, _ progress: inout Progress, _ group: inout DiscardingTaskGroup
    ) {
        let number = progress.number
        var messages: [Reader.Message] = []
        for frame in frames {
            guard frame.type != .acknowledgement else {
                // An event that an answer leads to must not overtake the messages before it.
                if !messages.isEmpty { _ = inbox.add(messages, from: connection) }
                messages = []
                decide(.answered(id: frame.id, frame.isError ? Refusal(frame) : nil), &progress, &group)
                guard number == progress.number else { return }
                continue
            }
            let reading = progress.reader.read(frame)
            if let message = reading.message { messages.append(message) }
            guard let turn = reading.turn else { continue }
            _ = inbox.add(messages, from: connection)
            return take(turn, &progress, &group)
        }
        if inbox.add(messages, from: connection) { connection.resumeReading() }
    }

    private func take(_ turn: SessionTurn, _ progress: inout Progress, _ group: inout DiscardingTaskGroup) {
        switch turn {
        case .moved(let address): decide(.moved(to: address), &progress, &group)
        case .over(let error):
            // For a reader this is not a failure; for a sender it is.
            inbox.finish(.success(()))
            decide(.close(error), &progress, &group)
        case .failed(let error): decide(.close(error), &progress, &group)
        }
    }

    private func decide(_ event: Session.Event, _ progress: inout Progress, _ group: inout DiscardingTaskGroup) {
        let actions = progress.session.handle(event, now: ClientClock.system.now, random: .random(in: 0..<1))
        var outgoing = ByteBuffer()
        for action in actions {
            switch action {
            case .send(let frame): outgoing.writeBytes(frame.encoded())
            case .complete(let ticket, let failure): ticket.complete(failure)
            case .hangUp:
                progress.connection?.close()
                progress.connection = nil
                progress.number += 1
            case .report(let news):
                if case .attached = news { start.resolve(.success(())) }
                if let message = progress.reader.read(news) { inbox.note(message) }
            case .end(let error): end(error, &progress)
            case .ask, .connect, .pause, .watch: begin(action, &progress, &group)
            }
        }
        if outgoing.readableBytes > 0 { progress.connection?.write(outgoing) }
    }

    private func end(_ error: ShuntError?, _ progress: inout Progress) {
        progress.isOver = true
        start.resolve(.failure(error ?? ShuntError(.connectionLost, "the session was closed")))
        inbox.finish(error.map { .failure($0) } ?? .success(()))
    }

    // MARK: What takes time

    private func begin(_ action: Session.Action, _ progress: inout Progress, _ group: inout DiscardingTaskGroup) {
        switch action {
        case .ask(let master): group.addTask { await self.ask(master) }
        case .connect(let worker):
            progress.number += 1
            group.addTask { [number = progress.number] in await self.connect(to: worker, number) }
        case .pause(let pause):
            group.addTask {
                try? await Task.sleep(for: pause)
                self.events.yield(.decide(.pauseOver))
            }
        case .watch(let id):
            group.addTask {
                try? await Task.sleep(for: self.options.replyTimeout)
                self.events.yield(.decide(.overdue(id: id)))
            }
        case .send, .hangUp, .complete, .report, .end: break
        }
    }

    private func ask(_ master: HostPort) async {
        do throws(ShuntError) {
            events.yield(.decide(.listed(try await Allocation.ask(master, options: options))))
        } catch {
            events.yield(.decide(.askFailed(error)))
        }
    }

    private func connect(to worker: HostPort, _ number: Int) async {
        do throws(ShuntError) {
            let connection = try await ServerConnection.open(toWorker: worker, options: options, keepsAlive: true) { [events] connection in
                SessionReceiver(
                    address: connection.address,
                    onFrames: { events.yield(.arrived($0, connection, number: number)) },
                    onClose: { events.yield(.closed($0, number: number)) })
            }
            if case .terminated = events.yield(.opened(connection, number: number)) { connection.close() }
        } catch {
            events.yield(.decide(.unreachable(error)))
        }
    }
}

extension SendFailure {
    static let sessionOver = SendFailure(.notSent, ShuntError(.connectionLost, "the session is over"))
}

/// Passes a session's frames on, one read at a time.
private final class SessionReceiver: FrameReceiver {
    private let address: HostPort
    private let onFrames: ([Frame]) -> Void
    private let onClose: (ShuntError) -> Void
    private var arrived: [Frame] = []

    init(address: HostPort, onFrames: @escaping ([Frame]) -> Void, onClose: @escaping (ShuntError) -> Void) {
        self.address = address
        self.onFrames = onFrames
        self.onClose = onClose
    }

    func received(_ view: FrameView, in frame: UnsafeRawPointer) { arrived.append(Frame(view, in: frame)) }

    func readCompleted() -> Bool {
        guard !arrived.isEmpty else { return true }
        onFrames(arrived)
        arrived = []
        return false
    }

    func closed(_ error: ShuntError?) {
        if !arrived.isEmpty { onFrames(arrived) }
        onClose(error ?? .hungUp(address))
    }
}
