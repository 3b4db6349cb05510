/// A retained message as operators see it. Metadata only: nothing of its payload.
public struct RetainedRecord: Codable, Equatable, Sendable {
    public var topic: String
    /// `host:port` of the worker that keeps it; empty within that worker.
    public var worker: String
    /// Of its payload.
    public var bytes: Int
    /// 0 to 2.
    public var qos: Int
    /// Seconds since 1970, by the worker's clock.
    public var storedAt: Double
    /// When it goes by itself; nil: it stays until it is replaced or cleared.
    public var expiresAt: Double?

    public init(topic: String, worker: String = "", bytes: Int, qos: Int, storedAt: Double, expiresAt: Double? = nil) {
        self.topic = topic
        self.worker = worker
        self.bytes = bytes
        self.qos = qos
        self.storedAt = storedAt
        self.expiresAt = expiresAt
    }

    var place: RetainedPlace { RetainedPlace(topic: topic, worker: worker) }
}

/// A place in a list of retained messages. They stand in the order of their topics' bytes; of one topic, of their workers' names.
public struct RetainedPlace: Comparable, Sendable, CustomStringConvertible {
    public var topic: String
    public var worker: String

    public init(topic: String, worker: String = "") {
        self.topic = topic
        self.worker = worker
    }

    /// Reads what `description` gives: the worker, a space, the topic.
    public init?(_ text: String) {
        guard let space = text.utf8.firstIndex(of: 0x20) else { return nil }
        self.init(topic: String(text[text.index(after: space)...]), worker: String(text[..<space]))
    }

    public var description: String { worker + " " + topic }

    public static func < (left: RetainedPlace, right: RetainedPlace) -> Bool {
        if left.topic.utf8.elementsEqual(right.topic.utf8) { return left.worker.utf8.lexicographicallyPrecedes(right.worker.utf8) }
        return left.topic.utf8.lexicographicallyPrecedes(right.topic.utf8)
    }

    public static func == (left: RetainedPlace, right: RetainedPlace) -> Bool {
        left.topic.utf8.elementsEqual(right.topic.utf8) && left.worker.utf8.elementsEqual(right.worker.utf8)
    }
}

/// What an operator wants of the retained messages of all workers.
public enum RetainedRequest: Equatable, Sendable {
    /// The most messages that one list holds.
    public static let maximumLimit = 500
    /// The filter of those who name none.
    public static let everything = "#"

    /// - after: where the list before ended.
    case list(filter: String, after: RetainedPlace? = nil, limit: Int = 100)
    case clear(filter: String)

    public var filter: String {
        switch self {
        case .list(let filter, _, _), .clear(let filter): filter
        }
    }

    /// - Throws: `filter.invalid` for a text that is no topic filter of MQTT.
    public static func check(_ filter: String) throws(ShuntError) {
        guard !filter.isEmpty, filter.utf8.count <= 65_535, TopicFilter.isFilter(filter) else {
            throw ShuntError(
                .filterInvalid, "'\(filter.count > 100 ? filter.prefix(100) + "…" : filter)' is no topic filter",
                help: "a wildcard fills its level, # the last one: sensors/+/temperature, sensors/#")
        }
        guard TopicFilter.levels(of: filter) <= TopicFilter.maximumLevels else {
            throw ShuntError(.filterInvalid, "the filter has too many levels", help: "at most \(TopicFilter.maximumLevels)")
        }
    }
}

/// Some of the retained messages of all workers.
public struct RetainedList: Codable, Equatable, Sendable {
    public var retained: [RetainedRecord]
    /// How many the filter takes, at the workers that have answered.
    public var total: Int
    public var limit: Int
    /// What to give as `after` to go on from here; nil: there is no more.
    public var nextAfter: String?
    /// Workers that have not answered in time.
    public var missing: [String]

    public init(_ page: RetainedPage, limit: Int, missing: [String]) {
        retained = page.messages
        total = page.total
        self.limit = limit
        nextAfter = page.end?.description
        self.missing = missing
    }
}

/// What has become of a wish to clear retained messages.
public struct ClearedRetained: Codable, Equatable, Sendable {
    public var cleared: Int
    /// Workers that have not answered in time: what they keep may be there still.
    public var missing: [String]

    public init(cleared: Int, missing: [String] = []) {
        self.cleared = cleared
        self.missing = missing
    }
}

/// The answer to a `RetainedRequest`.
public enum RetainedOutcome: Equatable, Sendable {
    case list(RetainedList)
    case cleared(ClearedRetained)
}
