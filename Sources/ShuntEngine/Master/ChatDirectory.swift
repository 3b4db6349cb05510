import ExchangeCodec
import ShuntCore

/// Which worker has which chat (exchange protocol §11.3): assigns a chat to the worker that asks first.
///
/// A value: questions and reports in, answers and changes for the registry out. After a master was away, workers tell all
/// their chats; where two have the same id, the chat that was created earlier counts, at the same millisecond the one whose
/// worker's name comes first, whichever was told first.
public struct ChatDirectory: Sendable {
    struct Entry: Sendable {
        var worker: String
        var createdAt: Double
        var members: Int
        /// Whether its worker has told of it since it was assigned.
        var isTold: Bool
        /// The full report of the worker in which, or since which, this was heard of.
        var round: UInt32
        /// From the registry, and not yet heard of since: believed until then.
        var believedUntil = Double.infinity
    }

    /// A chat that its worker must give up: its members are to be sent to the owner.
    public struct Loser: Equatable, Sendable {
        public var chat: String
        public var worker: String
        public var owner: String

        public init(chat: String, worker: String, owner: String) {
            self.chat = chat
            self.worker = worker
            self.owner = owner
        }
    }

    /// Whether a worker has been silent so long that others may have its chats. When it is heard of again it tells them, and
    /// the rule above decides.
    public typealias GivenUp = (String) -> Bool

    private var entries: [ExactText: Entry] = [:]
    /// The chats of each worker, and how many full reports it has begun.
    private var workers: [String: (chats: Set<ExactText>, round: UInt32)] = [:]
    private let capacity: Int

    /// - Parameter capacity: the most chats that are known; beyond it new ones are refused.
    public init(capacity: Int = 1_000_000) { self.capacity = capacity }

    public var count: Int { entries.count }

    public func worker(of chat: String) -> String? { entries[ExactText(chat)]?.worker }

    /// What the registry held when the master started.
    /// - Parameter until: seconds since 1970; two heartbeats are enough. A chat that its worker has not told by then is free.
    public mutating func restore(_ records: [ChatRecord], until: Double) {
        for record in records where entries.count < capacity {
            set(
                ExactText(record.chat),
                Entry(
                    worker: record.worker, createdAt: record.createdAt, members: record.members, isTold: true, round: 0, believedUntil: until))
        }
    }

    // MARK: Questions

    /// A worker asks for a chat with one of the three keys. Java workers ask with every frame, and twice with each.
    /// - Returns: the worker that has it, for the text of the answer: 200 if that is the one that asks, else 307.
    /// - Throws: `limit.memory` when as many chats as possible are known.
    public mutating func request(
        _ chat: String, _ key: ChatKey, from worker: String, now: Double, _ changes: inout [ChatChange],
        isGivenUp: GivenUp = { _ in false }
    ) throws(ShuntError) -> String {
        let chat = ExactText(chat)
        let owner = owner(of: chat, beside: worker, now: now, isGivenUp)
        if let owner, owner != worker { return owner }
        guard key != .destroy else {
            close(chat, by: worker, now: now, &changes)
            return worker
        }
        guard owner == nil else { return worker }
        guard entries.count < capacity || entries[chat] != nil else {
            throw ShuntError(.memoryLimit, "this master knows \(entries.count) chats", help: "no more are allowed")
        }
        set(chat, Entry(worker: worker, createdAt: now, members: 0, isTold: false, round: round(of: worker)))
        tell(chat, now: now, &changes)
        return worker
    }

    // MARK: Reports

    /// A Shunt worker tells of its chats: as they change, and all of them when it has joined.
    /// - Parameters:
    ///   - isFirst: a full report begins.
    ///   - isLast: it ends: what this worker had before and has not told is gone.
    /// - Returns: chats that a worker must give up.
    public mutating func report(
        _ body: ChatReportBody, from worker: String, now: Double, _ changes: inout [ChatChange],
        isGivenUp: GivenUp = { _ in false }
    ) -> [Loser] {
        if body.isFirst { workers[worker, default: ([], 0)].round += 1 }
        var losers: [Loser] = []
        for held in body.chats where held.chat.utf8.count <= ChatRequest.longestChat {
            claim(held, worker, now: now, &losers, &changes, isGivenUp)
        }
        for one in body.closed {
            let chat = ExactText(one.chat)
            // It may have opened again since, and that may have been told before.
            if let entry = entries[chat], entry.isTold, entry.createdAt > Double(one.createdAt) / 1000 { continue }
            close(chat, by: worker, now: now, &changes)
        }
        if body.isLast { sweep(worker, now: now, &changes) }
        return losers
    }

    /// The worker has not been heard of: its chats are free, the next to ask owns them.
    public mutating func workerLost(_ worker: String, now: Double, _ changes: inout [ChatChange]) {
        guard let lost = workers.removeValue(forKey: worker), !lost.chats.isEmpty else { return }
        for chat in lost.chats { entries[chat] = nil }
        changes.append(.workerLost(worker: worker, at: now))
    }

    /// Time has passed: chats from the registry that nobody has told of are forgotten.
    public mutating func tick(now: Double, _ changes: inout [ChatChange]) {
        guard unconfirmed > 0 else { return }
        for (chat, entry) in entries where entry.believedUntil <= now {
            remove(chat)
            changes.append(.closed(chat: chat.text, at: now))
        }
    }

    /// Who has it; nil where anybody may.
    private func owner(of chat: ExactText, beside worker: String, now: Double, _ isGivenUp: GivenUp) -> String? {
        guard let entry = entries[chat], entry.believedUntil > now else { return nil }
        return entry.worker != worker && isGivenUp(entry.worker) ? nil : entry.worker
    }

    private mutating func claim(
        _ held: ChatReportBody.Chat, _ worker: String, now: Double, _ losers: inout [Loser], _ changes: inout [ChatChange],
        _ isGivenUp: GivenUp
    ) {
        let chat = ExactText(held.chat)
        let createdAt = Double(held.createdAt) / 1000
        if let owner = owner(of: chat, beside: worker, now: now, isGivenUp), owner != worker, let entry = entries[chat] {
            // What the owner has not told yet is as old as its assignment.
            guard (createdAt, worker) < (entry.createdAt, entry.worker) else {
                return losers.append(Loser(chat: held.chat, worker: worker, owner: entry.worker))
            }
            losers.append(Loser(chat: held.chat, worker: entry.worker, owner: worker))
        }
        guard entries.count < capacity || entries[chat] != nil else { return }
        set(
            chat,
            Entry(worker: worker, createdAt: createdAt, members: held.members, isTold: true, round: round(of: worker)))
        tell(chat, now: now, &changes)
    }

    private mutating func close(_ chat: ExactText, by worker: String, now: Double, _ changes: inout [ChatChange]) {
        guard entries[chat]?.worker == worker else { return }
        remove(chat)
        changes.append(.closed(chat: chat.text, at: now))
    }

    private mutating func sweep(_ worker: String, now: Double, _ changes: inout [ChatChange]) {
        guard let present = workers[worker] else { return }
        for chat in present.chats.sorted() where entries[chat]?.round != present.round {
            close(chat, by: worker, now: now, &changes)
        }
    }

    // MARK: Entries

    /// Entries from the registry that are not confirmed yet.
    private var unconfirmed = 0

    private func round(of worker: String) -> UInt32 { workers[worker]?.round ?? 0 }

    private mutating func set(_ chat: ExactText, _ entry: Entry) {
        remove(chat)
        entries[chat] = entry
        workers[entry.worker, default: ([], 0)].chats.insert(chat)
        if entry.believedUntil != .infinity { unconfirmed += 1 }
    }

    private mutating func remove(_ chat: ExactText) {
        guard let entry = entries.removeValue(forKey: chat) else { return }
        workers[entry.worker]?.chats.remove(chat)
        if entry.believedUntil != .infinity { unconfirmed -= 1 }
    }

    private func tell(_ chat: ExactText, now: Double, _ changes: inout [ChatChange]) {
        guard let entry = entries[chat] else { return }
        changes.append(
            .chat(
                ChatRecord(
                    chat: chat.text, worker: entry.worker, createdAt: entry.createdAt, members: entry.members, updatedAt: now)))
    }
}
