/// What the row of one device session, or of one chat, is to become.
protocol RowUpdate: Equatable, Sendable {
    associatedtype Key: Hashable & Comparable & Sendable

    /// The worker whose loss changes this; nil where none does.
    var worker: String? { get }
    /// Both in one, this first.
    func followed(by newer: Self) -> Self
    /// This, and then its worker was lost.
    func followedByLoss(at time: Double) -> Self
}

/// Rows that wait to be written: of each the newest alone, and which workers were lost meanwhile. Bounded: beyond the
/// capacity rows that do not wait already are dropped and counted; the workers tell of them again when they next list all.
struct PendingRows<Update: RowUpdate>: Sendable {
    private struct Entry {
        var update: Update
        var number: Int
    }

    private struct Loss {
        var at: Double
        var number: Int
    }

    let capacity: Int
    private var entries: [Update.Key: Entry] = [:]
    private var losses: [String: Loss] = [:]
    /// Tells what came before a loss and what came after, so that a loss need not look at what waits.
    private var number = 0
    private(set) var dropped = 0

    init(capacity: Int) {
        self.capacity = capacity
    }

    var count: Int { entries.count + losses.count }

    mutating func add(_ update: Update, to key: Update.Key) {
        number += 1
        if let entry = entries[key] {
            entries[key] = Entry(update: settled(entry).followed(by: update), number: number)
        } else if count < capacity {
            entries[key] = Entry(update: update, number: number)
        } else {
            dropped += 1
        }
    }

    mutating func lose(_ worker: String, at time: Double) {
        guard losses[worker] != nil || count < capacity else { return dropped += 1 }
        number += 1
        losses[worker] = Loss(at: time, number: number)
    }

    /// All that waits; leaves nothing.
    mutating func take() -> RowBatch<Update> {
        let taken = self
        self = PendingRows(capacity: capacity)
        return RowBatch(taken)
    }

    /// With what the loss of its worker has made of it.
    private func settled(_ entry: Entry) -> Update {
        guard let worker = entry.update.worker, let loss = losses[worker], entry.number < loss.number else { return entry.update }
        return entry.update.followedByLoss(at: loss.at)
    }

    fileprivate var keys: some Collection<Update.Key> { entries.keys }

    fileprivate var lostWorkers: [(worker: String, at: Double)] { losses.map { ($0.key, $0.value.at) } }

    fileprivate func update(of key: Update.Key) -> Update? { entries[key].map(settled) }
}

/// Rows that are being written, a chunk at a time.
struct RowBatch<Update: RowUpdate>: Sendable {
    private let rows: PendingRows<Update>
    private let losses: [(worker: String, at: Double)]
    /// In the order of the table, so that a chunk touches few of its pages; empty until `sort`.
    private var keys: [Update.Key] = []
    private var written = 0

    init(_ rows: PendingRows<Update>) {
        self.rows = rows
        losses = rows.lostWorkers
    }

    /// Not written yet.
    var count: Int { rows.count - written }
    var isEmpty: Bool { count == 0 }
    /// What did not fit while this waited.
    var dropped: Int { rows.dropped }

    /// To be called before the first chunk. Takes its time: never under a lock.
    mutating func sort() {
        keys = rows.keys.sorted()
    }

    /// The next to write; the same again until it is removed. Losses come before rows: each is a statement over many rows,
    /// so it comes alone.
    func chunk(limit: Int) -> RowChunk<Update> {
        guard written >= losses.count else { return RowChunk(lost: losses[written]) }
        return RowChunk(
            rows: keys.dropFirst(written - losses.count).prefix(limit).compactMap { key in
                rows.update(of: key).map { (key: key, update: $0) }
            })
    }

    mutating func remove(_ chunk: RowChunk<Update>) { written += chunk.count }
}

/// What one transaction writes: the loss of one worker, or some rows.
struct RowChunk<Update: RowUpdate>: Sendable {
    var lost: (worker: String, at: Double)?
    var rows: [(key: Update.Key, update: Update)] = []

    var count: Int { rows.count + (lost == nil ? 0 : 1) }
}
