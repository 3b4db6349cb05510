import ExchangeCodec
import ShuntCore

/// Decides how a client stays with one worker: finds the worker, greets it with requests one after the other, goes to another worker when
/// it is redirected (307), comes back when the connection is lost, and sends the application's messages.
///
/// A value: event in, actions out, in the order in which they are to be carried out. At any time at most one question,
/// connection attempt or pause is under way.
/// - Parameter Ticket: names the call that waits for a submission's outcome.
struct WorkerSession<Ticket> {
    struct Settings: Equatable, Sendable {
        /// Requests that make the session, in order. Their ids are set when they go out.
        var greeting: [Greeting]
        /// How long the first attachment may take.
        var patience: Duration
        /// The same for every later one.
        var returnPatience: Duration
        var backoff: Backoff
        /// Whether the same worker is tried first after a loss: the session's chat is there.
        var returns: Bool
        /// Redirects that are followed one after the other, before workers are searched for anew.
        var redirects = 5
        /// Submissions that may be without answer at a time.
        var window = 256
        /// Whether submissions without answer go out again after a loss, and may arrive twice.
        var resends: Bool
    }

    struct Greeting: Equatable, Sendable {
        var frame: Frame
        /// Whether the session goes on if the worker cannot do it now.
        var isOptional = false
    }

    struct Submission {
        var frame: Frame
        var ticket: Ticket
    }

    enum Event {
        case start
        case listed([HostPort])
        case askFailed(ShuntError)
        case pauseOver
        case connected
        case unreachable(ShuntError)
        case lost(ShuntError)
        case answered(id: Int64, Refusal?)
        /// The time for an answer is over.
        case overdue(id: Int64)
        case submit(Submission)
        /// The worker redirects the session to another worker.
        case moved(to: HostPort)
        /// The session must end; the error is nil for an end that is not a failure.
        case close(ShuntError?)
    }

    enum Action {
        case ask(HostPort)
        case connect(HostPort)
        case pause(Duration)
        case send(Frame)
        /// `overdue` is to come if there is no answer in time.
        case watch(id: Int64)
        /// Close the connection; frames that it still brings are ignored.
        case hangUp
        case complete(Ticket, SendFailure?)
        case report(SessionNews)
        /// The session is over. The last action.
        case end(ShuntError?)
    }

    private enum Phase: Equatable {
        case idle, asking, over
        /// A pause; `then` is the worker to connect to after it; nil: search.
        case pausing(then: HostPort?)
        case connecting(HostPort)
        case greeting(HostPort, step: Int)
        case attached(HostPort, since: Duration)
    }

    fileprivate enum Request {
        case greeting(step: Int)
        case submission(Submission)
    }

    private let settings: Settings
    private var phase = Phase.idle
    private var search: WorkerSearch
    private var backoff: Backoff
    private var deadline = Duration.zero
    private var failure = ShuntError(.addressUnavailable, "no server was found")
    private var redirects = 0
    /// The redirect that the application was told of: a server that repeats it is not reported again.
    private var toldRedirect: HostPort?
    private var wasAttached = false
    private var outstanding: OutstandingRequests<Request>
    /// Submissions that wait for a worker or for room, oldest first.
    private var queue: [Submission] = []
    private var actions: [Action] = []

    init(route: ClientRoute, settings: Settings, ids: RequestIDs) {
        self.settings = settings
        search = WorkerSearch(route: route, backoff: settings.backoff)
        backoff = settings.backoff
        outstanding = OutstandingRequests(ids: ids)
    }

    /// - Parameters:
    ///   - now: since an arbitrary start, never backwards.
    ///   - random: 0 up to 1, for the jitter.
    mutating func handle(_ event: Event, now: Duration, random: Double) -> [Action] {
        if case .submit(let submission) = event {
            submit(submission)
        } else if phase != .over {
            handle(event, Moment(now: now, random: random))
        }
        defer { actions = [] }
        return actions
    }

    private struct Moment {
        var now: Duration
        var random: Double
    }

    private mutating func handle(_ event: Event, _ moment: Moment) {
        switch (event, phase) {
        case (.start, .idle):
            deadline = moment.now + settings.patience
            proceed(moment)
        case (.listed(let workers), .asking):
            search.listed(workers)
            proceed(moment)
        case (.askFailed(let error), .asking):
            search.askFailed()
            failed(error, moment)
        case (.pauseOver, .pausing(let then)):
            if let then { connect(to: then) } else { proceed(moment) }
        case (.connected, .connecting(let worker)): greet(worker, step: 0, moment)
        case (.unreachable(let error), .connecting): if error.refusesIdentity { end(error) } else { failed(error, moment) }
        case (.lost(let error), _): lost(error, moment)
        case (.answered(let id, let refusal), _):
            if let request = outstanding.take(id) { answered(request, refusal, moment) }
        case (.overdue(let id), .greeting(let worker, _)):
            guard outstanding.take(id) != nil else { return }
            actions.append(.hangUp)
            lost(ShuntError(.connectionLost, "no answer in time", at: worker.description), moment)
        case (.moved(let address), .attached(let worker, _)): redirect(from: worker, to: address, moment)
        case (.close(let error), _): end(error)
        default: break
        }
    }

    // MARK: Finding a worker

    private mutating func proceed(_ moment: Moment) {
        redirects = 0
        switch search.next(random: moment.random) {
        case .ask(let master):
            phase = .asking
            actions.append(.ask(master))
        case .connect(let worker): connect(to: worker)
        case .pause(let pause): self.pause(pause, then: nil, moment)
        }
    }

    private mutating func connect(to worker: HostPort) {
        phase = .connecting(worker)
        actions.append(.connect(worker))
    }

    private mutating func pause(_ pause: Duration, then: HostPort?, _ moment: Moment) {
        guard moment.now + pause < deadline else { return end(failure) }
        phase = .pausing(then: then)
        actions.append(.pause(pause))
    }

    private mutating func failed(_ error: ShuntError, _ moment: Moment) {
        failure = error
        proceed(moment)
    }

    /// - Parameter refused: the submission that the worker was sent, and did not take.
    private mutating func redirect(
        from worker: HostPort, to address: HostPort, _ moment: Moment, refused: Submission? = nil
    ) {
        if case .attached = phase { deadline = moment.now + settings.returnPatience }
        actions.append(.hangUp)
        detach(refused: refused)
        redirects += 1
        if toldRedirect != address { actions.append(.report(.redirected(from: worker, to: address))) }
        toldRedirect = address
        guard redirects <= settings.redirects else {
            return failed(
                ShuntError(.chatElsewhere, "redirected \(redirects) times, the last time to \(address)", at: worker.description),
                moment)
        }
        // One redirect is normal in a cluster; several in a row come only while it changes.
        if redirects == 1, address != worker { return connect(to: address) }
        pause(backoff.next(random: moment.random), then: address, moment)
    }

    // MARK: Greeting

    private mutating func greet(_ worker: HostPort, step: Int, _ moment: Moment) {
        guard step < settings.greeting.count else { return attached(to: worker, moment) }
        phase = .greeting(worker, step: step)
        var frame = settings.greeting[step].frame
        frame.id = outstanding.add(.greeting(step: step))
        actions += [.send(frame), .watch(id: frame.id)]
    }

    private mutating func attached(to worker: HostPort, _ moment: Moment) {
        phase = .attached(worker, since: moment.now)
        redirects = 0
        toldRedirect = nil
        backoff.reset()
        actions.append(.report(.attached(worker, isBack: wasAttached)))
        wasAttached = true
        sendQueued()
    }

    private mutating func answered(_ request: Request, _ refusal: Refusal?, _ moment: Moment) {
        switch (request, phase) {
        case (.greeting(let step), .greeting(let worker, _)):
            guard let refusal else { return greet(worker, step: step + 1, moment) }
            refusedGreeting(refusal, step, worker, moment)
        case (.submission(let submission), .attached(let worker, _)):
            if let address = refusal?.redirection {
                return redirect(from: worker, to: address, moment, refused: submission)
            }
            actions.append(
                .complete(submission.ticket, refusal.map { SendFailure(.refused($0), $0.error(at: worker.description)) }))
            sendQueued()
        default: break
        }
    }

    private mutating func refusedGreeting(_ refusal: Refusal, _ step: Int, _ worker: HostPort, _ moment: Moment) {
        if let address = refusal.redirection { return redirect(from: worker, to: address, moment) }
        let error = refusal.error(at: worker.description)
        // The member's old connection still holds the place until the worker has noticed its loss.
        if refusal.isPermanent, !(wasAttached && refusal.code == .chatFull) { return end(error) }
        if settings.greeting[step].isOptional, !refusal.isPermanent { return greet(worker, step: step + 1, moment) }
        actions.append(.hangUp)
        detach()
        failed(error, moment)
    }

    // MARK: Submissions

    private mutating func submit(_ submission: Submission) {
        if phase == .over {
            let error = ShuntError(.connectionLost, "the session is over")
            return actions.append(.complete(submission.ticket, SendFailure(.notSent, error)))
        }
        queue.append(submission)
        sendQueued()
    }

    private mutating func sendQueued() {
        guard case .attached = phase, !queue.isEmpty else { return }
        let count = min(queue.count, max(0, settings.window - outstanding.span))
        for submission in queue.prefix(count) {
            var frame = submission.frame
            frame.id = outstanding.add(.submission(submission))
            actions.append(.send(frame))
        }
        queue.removeFirst(count)
    }

    // MARK: Losing the worker

    private mutating func lost(_ error: ShuntError, _ moment: Moment) {
        switch phase {
        case .greeting:
            detach()
            failed(error, moment)
        case .attached(let worker, let since):
            detach()
            search.lost(after: moment.now - since)
            failure = error
            deadline = moment.now + settings.returnPatience
            actions.append(.report(.lost(worker, error)))
            // A pause first: all the worker's clients have lost it at the same moment.
            pause(backoff.next(random: moment.random), then: settings.returns ? worker : nil, moment)
        case .idle, .asking, .pausing, .connecting, .over: break
        }
    }

    /// Submissions without an answer wait again, before all others, or are reported as of unknown outcome.
    /// - Parameter refused: a submission that the worker did not take, older than the rest.
    private mutating func detach(refused: Submission? = nil) {
        var again = refused.map { [$0] } ?? []
        for case .submission(let submission) in outstanding.takeAll() {
            if settings.resends {
                again.append(submission)
            } else {
                let error = ShuntError(.connectionLost, "the connection was lost before the answer")
                actions.append(.complete(submission.ticket, SendFailure(.unknown, error)))
            }
        }
        queue = again + queue
    }

    private mutating func end(_ error: ShuntError?) {
        let told = error ?? ShuntError(.connectionLost, "the session was closed")
        for case .submission(let submission) in outstanding.takeAll() {
            actions.append(.complete(submission.ticket, SendFailure(.unknown, told)))
        }
        for submission in queue { actions.append(.complete(submission.ticket, SendFailure(.notSent, told))) }
        queue = []
        phase = .over
        actions += [.hangUp, .end(error)]
    }
}

/// An event of a session.
enum SessionNews: Equatable, Sendable {
    /// At a worker, and greeted; `isBack` if it had been at one before.
    case attached(HostPort, isBack: Bool)
    case lost(HostPort, ShuntError)
    case redirected(from: HostPort, to: HostPort)
}

extension Refusal {
    /// The worker that the server redirects to.
    var redirection: HostPort? { status == 307 ? HostPort(text) : nil }
}

extension WorkerSession.Submission: Equatable where Ticket: Equatable {}
extension WorkerSession.Action: Equatable where Ticket: Equatable {}
extension WorkerSession: Sendable where Ticket: Sendable {}
extension WorkerSession.Request: Sendable where Ticket: Sendable {}
extension WorkerSession.Submission: Sendable where Ticket: Sendable {}
extension WorkerSession.Event: Sendable where Ticket: Sendable {}
extension WorkerSession.Action: Sendable where Ticket: Sendable {}
