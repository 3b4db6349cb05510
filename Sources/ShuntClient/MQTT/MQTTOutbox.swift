import MQTTCodec
import ShuntCore

/// The messages of a session that have no outcome yet: those that wait, and those that are on their way. Counts them against the window, and
/// chooses packet identifiers: 1, 2, 3, …, without those in use.
struct MQTTOutbox<Ticket> {
    struct Submission {
        var message: OutgoingMessage
        var ticket: Ticket
        /// Whether it has been published already, over a session that the broker has lost.
        var isAgain = false
    }

    /// A message of QoS 1 or 2 that the broker has not acknowledged.
    struct Published {
        var submission: Submission
        var qos: QoS
        /// Bytes of its packet.
        var size: Int
        /// Its place in the order.
        var number: Int
        /// Of PUBREC; nil until that has come.
        var received: (reason: ReasonCode, text: String?)?
    }

    /// A message of QoS 0 that the system has not taken.
    struct Unwritten {
        var ticket: Ticket
        var size: Int
    }

    private let window: Int
    private let windowBytes: Int
    private var waiting = FIFO<Submission>()
    private var published: [UInt16: Published] = [:]
    private var unwritten = FIFO<Unwritten>()
    /// Packets of QoS 0 of this connection: that the system has taken, and all.
    private var writtenCount = 0
    private(set) var unwrittenTotal = 0
    private var bytes = 0
    private var isFull = false
    private var number = 0
    private var outcomes: Int64 = 0
    private var lastIdentifier: UInt16 = 0
    /// Identifiers of requests that are no messages.
    private var others: Set<UInt16> = []

    init(window: Int, bytes: Int) {
        self.window = max(1, window)
        windowBytes = max(1, bytes)
    }

    var waitingCount: Int { waiting.count }
    /// Changes with each outcome; nil if there is none to wait for.
    var oldest: Int64? { published.isEmpty && unwritten.isEmpty ? nil : outcomes }

    /// - Parameter receiveMaximum: messages of QoS 1 and 2 that the broker takes at a time.
    func hasRoom(receiveMaximum: Int) -> Bool {
        !isFull && published.count < min(receiveMaximum, Self.mostIdentifiers)
    }

    /// Some identifiers are left for other requests.
    private static var mostIdentifiers: Int { 65_000 }

    mutating func wait(_ submission: Submission) { waiting.append(submission) }
    mutating func takeWaiting() -> Submission? { waiting.popFirst() }
    mutating func takeAllWaiting() -> [Submission] { waiting.takeAll() }

    // MARK: Identifiers

    mutating func takeIdentifier() -> UInt16 {
        let identifier = nextIdentifier()
        others.insert(identifier)
        return identifier
    }

    mutating func release(_ identifier: UInt16) { others.remove(identifier) }

    /// One that is free; there always is one.
    private mutating func nextIdentifier() -> UInt16 {
        repeat {
            lastIdentifier = lastIdentifier == .max ? 1 : lastIdentifier + 1
        } while published[lastIdentifier] != nil || others.contains(lastIdentifier)
        return lastIdentifier
    }

    /// The identifier of the message that is published next.
    mutating func identifierToUse() -> UInt16 { nextIdentifier() }

    // MARK: On their way

    mutating func note(_ submission: Submission, _ qos: QoS, size: Int, identifier: UInt16) {
        number += 1
        published[identifier] = Published(submission: submission, qos: qos, size: size, number: number)
        count(size)
    }

    mutating func noteUnwritten(_ ticket: Ticket, size: Int) {
        unwritten.append(Unwritten(ticket: ticket, size: size))
        unwrittenTotal += 1
        count(size)
    }

    private mutating func count(_ size: Int) {
        bytes += size
        if published.count + unwritten.count >= window || bytes >= windowBytes { isFull = true }
    }

    /// Room comes when half of a large window is free, so that a fast submitter is woken once for many messages. With a small one each answer
    /// is followed by the next message, which also tells a broker at once that its answer has come: else it may wait for that (Nagle).
    private mutating func uncount(_ size: Int) {
        outcomes += 1
        bytes -= size
        let most = window < 128 ? window - 1 : window / 2
        if isFull, published.count + unwritten.count <= most, bytes <= windowBytes / 2 { isFull = false }
    }

    subscript(_ identifier: UInt16) -> Published? { published[identifier] }

    mutating func noteReceived(_ identifier: UInt16, _ reason: ReasonCode, _ text: String?) {
        outcomes += 1
        published[identifier]?.received = (reason, text)
    }

    mutating func complete(_ identifier: UInt16) -> Published? {
        guard let entry = published.removeValue(forKey: identifier) else { return nil }
        uncount(entry.size)
        return entry
    }

    /// - Parameter count: packets of QoS 0 that the system has taken since the connection began.
    /// - Returns: the tickets of those that are new among them.
    mutating func written(_ count: Int) -> [Ticket] {
        var tickets: [Ticket] = []
        while writtenCount < count, let entry = unwritten.popFirst() {
            writtenCount += 1
            uncount(entry.size)
            tickets.append(entry.ticket)
        }
        return tickets
    }

    mutating func connectionBegins() { (writtenCount, unwrittenTotal) = (0, 0) }

    mutating func takeUnwritten() -> [Ticket] {
        let entries = unwritten.takeAll()
        for entry in entries { uncount(entry.size) }
        return entries.map(\.ticket)
    }

    /// In the order in which they went out first.
    var inOrder: [(identifier: UInt16, entry: Published)] {
        published.map { (identifier: $0.key, entry: $0.value) }.sorted { $0.entry.number < $1.entry.number }
    }

    mutating func takePublished() -> [Published] {
        let entries = inOrder.map(\.entry)
        published = [:]
        for entry in entries { uncount(entry.size) }
        return entries
    }

    /// Before all that wait.
    mutating func waitAgain(_ submissions: [Submission]) { waiting.prepend(submissions) }
}

/// A queue: first in, first out.
struct FIFO<Element> {
    private var elements: [Element?] = []
    /// Where the oldest is.
    private var start = 0

    var count: Int { elements.count - start }
    var isEmpty: Bool { count == 0 }
    /// The oldest.
    var first: Element? { start < elements.count ? elements[start] : nil }

    mutating func append(_ element: Element) { elements.append(element) }

    mutating func prepend(_ first: [Element]) {
        elements.replaceSubrange(..<start, with: first.map(Optional.some))
        start = 0
    }

    mutating func popFirst() -> Element? {
        guard start < elements.count else { return nil }
        defer {
            elements[start] = nil
            start += 1
            if start == elements.count || start >= 1024 {
                elements.removeSubrange(..<start)
                start = 0
            }
        }
        return elements[start]
    }

    mutating func takeAll() -> [Element] {
        defer { (elements, start) = ([], 0) }
        return elements[start...].compactMap { $0 }
    }
}

extension FIFO: Sendable where Element: Sendable {}
extension MQTTOutbox: Sendable where Ticket: Sendable {}
extension MQTTOutbox.Submission: Sendable where Ticket: Sendable {}
extension MQTTOutbox.Published: Sendable where Ticket: Sendable {}
extension MQTTOutbox.Unwritten: Sendable where Ticket: Sendable {}
