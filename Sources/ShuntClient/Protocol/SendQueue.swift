import ShuntCore

/// Decides which messages a producer may send, and which message each answer is for. Event in, decision out: no I/O.
///
/// Messages go out in the order in which they were submitted. The window bounds the messages without an answer; further messages queue, and
/// their submitters wait. Sending goes on when half of the window is free, so that a fast submitter is woken once for many messages.
/// - Parameter Ticket: names the call that waits for the message's outcome.
struct SendQueue<Ticket> {
    struct Submission {
        var message: OutgoingMessage
        var ticket: Ticket
    }

    struct Window: Equatable {
        /// Messages.
        var count: Int
        /// Bytes of their frames; the message that crosses this limit still goes out.
        var bytes: Int
    }

    enum Admission: Equatable {
        /// Send it now, with this id.
        case send(id: Int64)
        /// It waits here for room, or for a connection.
        case wait
        /// Closed.
        case refuse(ShuntError)
    }

    private enum Phase { case disconnected, connected, closed(ShuntError) }

    private struct Entry {
        var ticket: Ticket
        var size: Int
        /// The message; kept only if it may have to be sent again.
        var message: OutgoingMessage?
    }

    private let window: Window
    /// Whether messages without answer go out again after a lost connection: at least once, instead of at most once.
    private let resends: Bool
    private var phase = Phase.disconnected
    private var outstanding: OutstandingRequests<Entry>
    private var outstandingBytes = 0
    private var isFull = false
    /// Oldest first, from `queueStart` on.
    private var queue: [Submission?] = []
    private var queueStart = 0

    init(window: Window, resends: Bool, ids: RequestIDs) {
        self.window = Window(count: max(1, window.count), bytes: max(1, window.bytes))
        self.resends = resends
        outstanding = OutstandingRequests(ids: ids)
    }

    /// Submissions that have not been sent.
    var waitingCount: Int { queue.count - queueStart }
    /// The oldest id that has no answer; nil if nothing waits. It moves as long as the server answers.
    var oldest: Int64? { outstanding.oldest }

    mutating func connected() {
        if case .disconnected = phase { phase = .connected }
    }

    /// Whether `submit` would send now.
    var hasRoom: Bool {
        if case .connected = phase { return !isFull && waitingCount == 0 }
        return false
    }

    mutating func submit(_ submission: Submission) -> Admission {
        if case .closed(let error) = phase { return .refuse(error) }
        guard hasRoom else {
            queue.append(submission)
            return .wait
        }
        return .send(id: admit(submission))
    }

    /// The next waiting message that there is room for, with its id.
    mutating func admitWaiting() -> (id: Int64, submission: Submission)? {
        guard case .connected = phase, !isFull, let submission = dequeue() else { return nil }
        return (admit(submission), submission)
    }

    /// The ticket of the message that this id answers; nil if none waits for it.
    mutating func answered(_ id: Int64) -> Ticket? {
        guard let entry = outstanding.take(id) else { return nil }
        outstandingBytes -= entry.size
        if isFull, outstanding.span <= window.count / 2, outstandingBytes <= window.bytes / 2 { isFull = false }
        return entry.ticket
    }

    /// The connection is gone.
    /// - Returns: the tickets of messages whose outcome is unknown, oldest first. With resending there are none: these messages wait again,
    ///   before all others.
    mutating func lost() -> [Ticket] {
        if case .connected = phase { phase = .disconnected }
        let entries = outstanding.takeAll()
        outstandingBytes = 0
        isFull = false
        guard resends else { return entries.map(\.ticket) }
        let again = entries.compactMap { entry in entry.message.map { Submission(message: $0, ticket: entry.ticket) } }
        queue.replaceSubrange(..<queueStart, with: again.map(Optional.some))
        queueStart = 0
        return []
    }

    /// Gives up the messages that wait.
    /// - Returns: the tickets of messages that were not sent or, with resending, may have been sent.
    mutating func failWaiting() -> [Ticket] {
        defer {
            queue = []
            queueStart = 0
        }
        return queue[queueStart...].compactMap { $0?.ticket }
    }

    /// Takes no more messages.
    mutating func close(_ error: ShuntError) -> (unknown: [Ticket], unsent: [Ticket]) {
        phase = .closed(error)
        let unknown = outstanding.takeAll().map(\.ticket)
        outstandingBytes = 0
        return (unknown, failWaiting())
    }

    private mutating func admit(_ submission: Submission) -> Int64 {
        let size = submission.message.frameSize
        outstandingBytes += size
        let id = outstanding.add(
            Entry(ticket: submission.ticket, size: size, message: resends ? submission.message : nil))
        if outstanding.span >= window.count || outstandingBytes >= window.bytes { isFull = true }
        return id
    }

    private mutating func dequeue() -> Submission? {
        guard queueStart < queue.count else { return nil }
        let submission = queue[queueStart]
        queue[queueStart] = nil
        queueStart += 1
        if queueStart == queue.count || queueStart >= 1024 {
            queue.removeSubrange(..<queueStart)
            queueStart = 0
        }
        return submission
    }
}
