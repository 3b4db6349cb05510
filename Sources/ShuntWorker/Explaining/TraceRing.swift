import ShuntCore

/// The messages of one trace that nobody has read yet: the newest of them, bounded in number and bytes.
struct TraceRing {
    private var messages: [TracedMessage] = []
    /// Where the first is that counts: those before it have gone.
    private var first = 0
    private var bytes = 0
    private var last = 0

    private let capacity: Int
    private let byteLimit: Int

    init(capacity: Int = 4096, byteLimit: Int = 8 << 20) { (self.capacity, self.byteLimit) = (capacity, byteLimit) }

    var count: Int { messages.count - first }

    mutating func append(_ message: TracedMessage) {
        last += 1
        var message = message
        message.number = last
        messages.append(message)
        bytes += Self.size(message)
        while count > 1, count > capacity || bytes > byteLimit { drop() }
    }

    /// Messages behind a number, as many as fit. What was read before is let go.
    mutating func read(after number: Int, limit: Int, bytes room: Int) -> (messages: [TracedMessage], lost: Int, hasMore: Bool) {
        while count > 0, messages[first].number <= number { drop() }
        let oldest = count > 0 ? messages[first].number : last + 1
        var (page, size): ([TracedMessage], Int) = ([], 0)
        for message in messages[first...] {
            size += Self.size(message)
            guard page.isEmpty || page.count < limit && size <= room else { break }
            page.append(message)
        }
        return (page, max(0, oldest - number - 1), page.count < count)
    }

    private mutating func drop() {
        bytes -= Self.size(messages[first])
        first += 1
        // What has gone takes room until it is half of all.
        guard first >= 64, first * 2 >= messages.count else { return }
        messages.removeFirst(first)
        first = 0
    }

    /// About its bytes as JSON.
    static func size(_ message: TracedMessage) -> Int {
        // A text of control characters is written with six bytes for each.
        let payload = message.payload.map { text in text.utf8.reduce(0) { $0 + ($1 < 0x20 ? 6 : $1 == 0x22 || $1 == 0x5C ? 2 : 1) } } ?? 0
        let steps = message.steps.reduce(0) { $0 + 160 + $1.topic.utf8.count * 2 + $1.why.utf8.count * 2 }
        return 400 + message.topic.utf8.count * 2 + payload + (message.payloadBase64?.utf8.count ?? 0)
            + (message.more?.size ?? 0) + steps
    }
}
