public import ExchangeCodec
import ShuntCore

/// What a worker tells its master of clients: asks one loop after the other for a portion, and the next when the master has taken that one. So
/// little is under way, and what changes meanwhile is one id in a loop.
///
/// A value: events in, one action out at most.
public struct ClientReports: Sendable {
    public enum Action: Equatable, Sendable {
        /// Have the loop call `takeClients`, and give what it says to `took`.
        case ask(loop: UInt8)
        case send(ClientReportBody)
    }

    private let worker: WorkerSource
    private let listeners: [String]
    private var list: Int64?
    /// Loops that have something, the next first.
    private var ready: [UInt8] = []
    /// Loops that have not told all that they had when the list began.
    private var unlisted: Set<UInt8> = []
    /// A loop is asked, or the master has not answered.
    private var isBusy = false
    private var loops = 0
    /// Callers of `settle`, the longest waiting first, with the loops that have still to tell.
    private var waiting: [(number: Int64, loops: Set<UInt8>)] = []
    private var settled: [Int64] = []
    /// The loop that is asked, and the one whose words are on their way to the master, with the last caller that waited when it was asked.
    private var asking: (loop: UInt8, last: Int64)?
    private var told: (loop: UInt8, last: Int64)?

    /// - Parameter listeners: the names, in the order of their numbers.
    public init(worker: WorkerSource, listeners: [String]) {
        (self.worker, self.listeners) = (worker, listeners)
    }

    /// Whether a master wants to know.
    public var isOn: Bool { list != nil }

    /// The master asks for a list. The loops have been told so.
    public mutating func begin(list: Int64, loops: Int) -> Action? {
        self.list = list
        self.loops = loops
        (asking, told) = (nil, nil)
        ready = (0..<loops).map { UInt8($0) }
        unlisted = Set(ready)
        isBusy = false
        return next()
    }

    /// The master has gone, or wants to know no more.
    public mutating func end() {
        list = nil
        (ready, unlisted, isBusy) = ([], [], false)
        settled += waiting.map(\.number)
        (waiting, asking, told) = ([], nil, nil)
    }

    /// Somebody wants to know when the master has taken what the loops have to tell at this moment: `takeSettled` gives the number then.
    /// - Parameter number: greater than any before.
    public mutating func settle(_ number: Int64) -> Action? {
        guard list != nil, loops > 0 else {
            settled.append(number)
            return nil
        }
        let all = (0..<loops).map { UInt8($0) }
        waiting.append((number, Set(all)))
        ready += all.filter { !ready.contains($0) }
        return next()
    }

    public mutating func takeSettled() -> [Int64] {
        defer { settled = [] }
        return settled
    }

    /// A loop has something.
    public mutating func changed(_ loop: UInt8) -> Action? {
        guard list != nil, !ready.contains(loop) else { return nil }
        ready.append(loop)
        return next()
    }

    /// What a loop has said.
    /// - Parameter list: the one for which it was asked.
    public mutating func took(_ portion: ClientPortion, from loop: UInt8, list asked: Int64) -> Action? {
        guard let list, list == asked else { return nil }
        isBusy = false
        if portion.hasMore, !ready.contains(loop) { ready.append(loop) }
        told = portion.hasMore ? nil : asking
        asking = nil
        let isLast = portion.isListed && unlisted.remove(loop) != nil && unlisted.isEmpty
        guard isLast || portion.isIncomplete || portion.count > 0 else {
            pass()
            return next()
        }
        isBusy = true
        return .send(
            ClientReportBody(
                worker: worker, list: list, isLast: isLast, isIncomplete: portion.isIncomplete, listeners: portion.clients.isEmpty ? [] : listeners,
                clients: portion.clients, gone: portion.gone))
    }

    /// The list that a loop is asked for.
    public var current: Int64 { list ?? 0 }

    /// The master has answered.
    public mutating func taken() -> Action? {
        guard list != nil else { return nil }
        isBusy = false
        pass()
        return next()
    }

    /// The master knows what a loop had to tell.
    private mutating func pass() {
        guard let told else { return }
        self.told = nil
        for place in waiting.indices where waiting[place].number <= told.last { waiting[place].loops.remove(told.loop) }
        settled += waiting.filter(\.loops.isEmpty).map(\.number)
        waiting.removeAll(where: \.loops.isEmpty)
    }

    private mutating func next() -> Action? {
        guard !isBusy, !ready.isEmpty else { return nil }
        isBusy = true
        let loop = ready.removeFirst()
        asking = (loop, waiting.last?.number ?? 0)
        return .ask(loop: loop)
    }
}
