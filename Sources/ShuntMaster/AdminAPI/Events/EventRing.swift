import ShuntJSON
import ShuntRegistry

/// The latest events, as followers are sent them. Pure, and bounded.
struct EventRing {
    /// What a follower is to be sent next.
    struct Step: Equatable {
        /// Ids that are here no longer.
        var gap: ClosedRange<Int64>?
        var frames: [UInt8] = []
        /// The last id that the follower has been sent, or that does not concern it.
        var position: Int64
        var hasMore = false
    }

    private struct Entry {
        var id: Int64
        var kind: String
        var frame: [UInt8]
    }

    /// Events that are kept.
    let capacity: Int
    /// Bytes of a step, about.
    static let stepBytes = 64 << 10

    private var entries: [Entry] = []
    /// All events after this one that were told are here.
    private(set) var base: Int64 = 0
    private(set) var newest: Int64 = 0
    let registry: String

    init(capacity: Int, registry: String, after id: Int64) {
        (self.capacity, self.registry, base, newest) = (capacity, registry, id, id)
    }

    /// - Parameter events: those that follow `newest`, in their order.
    mutating func append(_ events: [StoredEvent]) throws {
        for event in events where event.id > newest {
            entries.append(Entry(id: event.id, kind: event.kind, frame: try EventFrame.event(event, registry: registry)))
            newest = event.id
        }
        guard entries.count > capacity else { return }
        base = entries[entries.count - capacity - 1].id
        entries.removeFirst(entries.count - capacity)
    }

    /// - Parameter kind: nil: events of every kind.
    func step(after position: Int64, kind: String?) -> Step {
        var step = Step(position: max(position, base))
        if position < base { step.gap = position + 1...base }
        // Ids grow: those before are found by halving.
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if entries[middle].id <= step.position { low = middle + 1 } else { high = middle }
        }
        for entry in entries[low...] {
            guard step.frames.count < Self.stepBytes else {
                step.hasMore = true
                break
            }
            if kind == nil || kind == entry.kind { step.frames += entry.frame }
            step.position = entry.id
        }
        return step
    }
}

/// What followers are sent, in the form of server-sent events (WHATWG HTML §9.2).
enum EventFrame {
    /// Where a follower begins.
    struct Opening: Codable { var nextAfter, oldest: Int64; var registry: String }
    /// The follower missed events, or they are kept no longer.
    struct Gap: Codable { var from, to: Int64 }
    /// The follower knows ids of another registry.
    struct Reset: Codable { var registry: String }

    /// A comment, so that a proxy keeps the connection.
    static let heartbeat = Array(":\n\n".utf8)

    static func event(_ event: StoredEvent, registry: String) throws -> [UInt8] {
        frame(nil, id: (registry, event.id), try RecordJSON.encode(event))
    }

    /// Milliseconds after which a browser that lost the connection comes again stand before it.
    static func opening(_ position: Int64, oldest: Int64, registry: String) throws -> [UInt8] {
        let data = try RecordJSON.encode(Opening(nextAfter: position, oldest: oldest, registry: registry))
        return Array("retry: 2000\n".utf8) + frame("open", id: (registry, position), data)
    }

    static func gap(_ gap: ClosedRange<Int64>, registry: String) throws -> [UInt8] {
        frame("gap", id: (registry, gap.upperBound), try RecordJSON.encode(Gap(from: gap.lowerBound, to: gap.upperBound)))
    }

    static func reset(registry: String) throws -> [UInt8] {
        frame("reset", id: (registry, 0), try RecordJSON.encode(Reset(registry: registry)))
    }

    /// - Parameter data: one line.
    static func frame(_ name: String?, id: (registry: String, event: Int64)?, _ data: [UInt8]) -> [UInt8] {
        let head = (id.map { "id: \($0.registry):\($0.event)\n" } ?? "") + (name.map { "event: \($0)\n" } ?? "") + "data: "
        return Array(head.utf8) + data + [0x0A, 0x0A]
    }
}

/// Where a follower left off: `REGISTRY:ID`, or an id alone.
struct EventPlace: Equatable {
    /// nil: the one that there is.
    var registry: String?
    var id: Int64

    init(registry: String? = nil, id: Int64) { (self.registry, self.id) = (registry, id) }

    /// nil where the text is no place.
    init?(_ text: String) {
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        guard let last = parts.last, let id = Int64(last), id >= 0 else { return nil }
        self.init(registry: parts.count > 1 ? String(parts[0]) : nil, id: id)
    }
}
