/// What the row of one device session, or of one chat, is to become.
protocol RowUpdate: Equatable, Sendable {
    associatedtype Key: Hashable & Sendable

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
    fileprivate struct Entry {
        var update: Update
        var number: Int
    }

    fileprivate struct Loss {
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

    fileprivate typealias Position = (row: Dictionary<Update.Key, Entry>.Index, loss: Dictionary<String, Loss>.Index)

    fileprivate var start: Position { (entries.startIndex, losses.startIndex) }

    /// Losses come before rows: each is a statement over many rows, so it comes alone.
    fileprivate func chunk(from position: Position, limit: Int) -> RowChunk<Update> {
        guard position.loss == losses.endIndex else {
            let (worker, loss) = losses[position.loss]
            return RowChunk(lost: (worker, loss.at))
        }
        return RowChunk(rows: entries[position.row...].prefix(limit).map { ($0.key, settled($0.value)) })
    }

    fileprivate func position(after chunk: RowChunk<Update>, from position: Position) -> Position {
        chunk.lost == nil
            ? (entries.index(position.row, offsetBy: chunk.rows.count), position.loss)
            : (position.row, losses.index(after: position.loss))
    }
}

/// Rows that are being written, a chunk at a time.
struct RowBatch<Update: RowUpdate>: Sendable {
    private let rows: PendingRows<Update>
    private var position: PendingRows<Update>.Position
    /// Not written yet.
    private(set) var count: Int

    init(_ rows: PendingRows<Update>) {
        self.rows = rows
        position = rows.start
        count = rows.count
    }

    var isEmpty: Bool { count == 0 }
    /// What did not fit while this waited.
    var dropped: Int { rows.dropped }

    /// The next to write; the same again until it is removed.
    func chunk(limit: Int) -> RowChunk<Update> { rows.chunk(from: position, limit: limit) }

    mutating func remove(_ chunk: RowChunk<Update>) {
        position = rows.position(after: chunk, from: position)
        count -= chunk.count
    }
}

/// What one transaction writes: the loss of one worker, or some rows.
struct RowChunk<Update: RowUpdate>: Sendable {
    var lost: (worker: String, at: Double)?
    var rows: [(key: Update.Key, update: Update)] = []

    var count: Int { rows.count + (lost == nil ? 0 : 1) }
}
