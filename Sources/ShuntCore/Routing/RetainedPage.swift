/// What a worker, or one of its loops, is asked to list of its retained messages.
public struct RetainedQuery: Equatable, Sendable {
    /// The most bytes of one worker's answer.
    public static let maximumBytes = 256 << 10

    public var filter: String
    /// Only topics behind this one.
    public var after: String?
    /// Whether the topic `after` is listed too.
    public var includesAfter: Bool
    /// How many messages at most.
    public var limit: Int
    /// How many bytes at most, as JSON; one message fits always.
    public var bytes: Int

    public init(
        filter: String, after: String? = nil, includesAfter: Bool = false, limit: Int = RetainedRequest.maximumLimit,
        bytes: Int = RetainedQuery.maximumBytes
    ) {
        self.filter = filter
        self.after = after
        self.includesAfter = includesAfter
        self.limit = limit
        self.bytes = bytes
    }
}

/// The first retained messages of a list, put together of the beginnings of several: of a worker's loops, or of a master's workers.
public struct RetainedPage: Equatable, Sendable {
    /// In order.
    public private(set) var messages: [RetainedRecord] = []
    /// How many there are on this page and on all others.
    public private(set) var total = 0
    /// The place of the last message, if there are more behind it.
    public private(set) var end: RetainedPlace?
    private let limit: Int
    private let bytes: Int

    /// - Parameters:
    ///   - limit: messages at most.
    ///   - bytes: bytes at most, as JSON; one message fits always.
    public init(limit: Int, bytes: Int) {
        self.limit = max(1, limit)
        self.bytes = bytes
    }

    /// Adds another list's beginning.
    /// - Parameters:
    ///   - total: how many that list has.
    ///   - hasMore: whether it has any behind these.
    public mutating func add(_ beginning: [RetainedRecord], total: Int, hasMore: Bool) {
        let (sum, isTooMuch) = self.total.addingReportingOverflow(max(0, total))
        self.total = isTooMuch ? .max : sum
        messages += beginning
        messages.sort { $0.place < $1.place }
        // What follows there is not known, so nothing behind it can follow here.
        if hasMore, let last = beginning.last?.place { end = end.map { min($0, last) } ?? last }
        if let end, let rest = messages.firstIndex(where: { end < $0.place }) { messages.removeSubrange(rest...) }
        cut()
    }

    private mutating func cut() {
        var (count, size) = (0, 0)
        while count < min(limit, messages.count) {
            size += Self.size(of: messages[count])
            guard count == 0 || size <= bytes else { break }
            count += 1
        }
        guard count < messages.count else { return }
        messages.removeSubrange(count...)
        end = messages.last?.place
    }

    /// The most bytes that a message takes as JSON.
    static func size(of message: RetainedRecord) -> Int {
        message.topic.utf8.reduce(160 + message.worker.utf8.count) { $0 + ($1 < 0x20 ? 6 : $1 == 0x22 || $1 == 0x5C ? 2 : 1) }
    }
}
