import ExchangeCodec
import ShuntCore

/// The workers that a master knows, which of them live, and in which order clients get them.
///
/// A value: heartbeats and time in, changes for the registry out.
public struct WorkerDirectory: Sendable {
    /// A worker, and when it was heard of by the master's clock, which alone says whether it lives.
    struct Entry: Sendable {
        var record: WorkerRecord
        /// When anything came from it, a heartbeat or not.
        var heardAt: Double
        /// Seconds between its heartbeats, as it says; 0 where it does not.
        var interval = 0.0
        /// Seconds between its last heartbeats.
        var gaps: [Double] = []
        /// The run of the worker; another one means that it has started again. Empty for a Java worker.
        var boot = ""
        /// Where its last heartbeat came from; nil once that has closed.
        var connection: ConnectionID?
        /// Whether the master has forgotten something that the worker does not know it has to tell again.
        var mustReport = false
        /// When clients were sent here that its figures may not count yet.
        var given = HandedOut()
        /// Whether the difference of the clocks has been told.
        var isSkewed = false
        /// It takes no more clients, as it says.
        var isFull = false
        /// When an operator had it drain, while its heartbeats do not say so.
        var drainAskedAt: Double?
        /// The number of the last event that it has told in this run.
        var lastEvent: Int64 = 0
    }

    private var entries: [ExactText: Entry] = [:]
    /// What workers had told before this master started, as the registry has it: they tell the last of it again.
    private var written: Set<EventRecord> = []
    /// The workers that take clients.
    private var order = WorkerOrder()
    public private(set) var allocations = AllocationCounts()
    /// Seconds that a worker lives after its last heartbeat.
    private let liveFor: Double
    private var tickedAt: Double?
    /// When it was seen that the master had stood still.
    private var pausedAt: Double?
    /// The most workers that are kept; beyond it the one that is away longest is forgotten, and then new ones are refused.
    public static let capacity = 10_000
    /// Seconds between two heartbeats of a worker that has not sent enough of them to tell.
    static let usualInterval = 3.0
    /// Java workers send three heartbeats at once (Q28): of so many gaps one is as long as they have.
    static let gapsToTell = 4
    /// Time passes in smaller steps than this many seconds, or it is not time in which anybody could have been heard.
    static let longestStep = 1.0
    /// A worker is not given up as silent before, in seconds: its machine may be busy.
    static let shortestPatience = 2.0

    public init(liveFor: Double = 20) { self.liveFor = liveFor }

    public var count: Int { entries.count }

    /// How many workers there are of each state.
    public var states: [WorkerRecord.State: Int] { entries.values.reduce(into: [:]) { $0[$1.record.state, default: 0] += 1 } }

    /// Clients that are connected to workers that are not away, by their last heartbeats.
    public var clients: Int { entries.values.reduce(0) { $1.record.state.isAway ? $0 : $0 + $1.record.figures.connections } }

    private subscript(name: String) -> Entry? {
        get { entries[ExactText(name)] }
        set { entries[ExactText(name)] = newValue }
    }

    /// What the registry held when the master started. Live workers stay so until they have had their time to report.
    public mutating func restore(_ records: [WorkerRecord], now: Double) {
        for var record in records.prefix(Self.capacity) {
            if !record.state.isAway { record.heartbeatAt = now }
            let entry = Entry(record: record, heardAt: record.heartbeatAt)
            self[record.name] = entry
            place(entry)
        }
    }

    /// The events of workers that the registry held when the master started.
    public mutating func restore(_ events: [EventRecord]) { written = Set(events) }

    public func record(_ name: String) -> WorkerRecord? { self[name]?.record }

    // MARK: Heartbeats

    /// A heartbeat (§12.1).
    /// - Parameters:
    ///   - source: the IP address that it came from, the worker's host where it names none.
    ///   - connection: where answers and commands go.
    public mutating func heartbeat(
        _ body: HeartbeatBody, source: String, connection: ConnectionID? = nil, now: Double
    ) throws(ShuntError) -> [RegistryChange] {
        try WorkerLimits.check(body)
        let host = body.serverName.isEmpty ? source : body.serverName
        let name = HostPort(host, body.serverPort).description
        let known = self[name]
        var changes: [RegistryChange] = []
        if known == nil { try makeRoom(&changes, now: now) }
        let created = Double(body.createdTime) / 1000
        let boot = body.shunt?.boot ?? ""
        let isNewRun = known == nil || (known?.boot != boot && !(known?.boot.isEmpty ?? true))
        // An old clock is the only way to sign off (Q19). A Shunt worker says the oldest, so that one whose clock is only wrong still counts;
        // one that is ahead is not believed, or it would never be missed.
        let hasLeft = body.shunt == nil ? now - created >= liveFor : body.createdTime == HeartbeatBody.signingOff
        let state: WorkerRecord.State = hasLeft ? .left : body.shunt?.isDraining == true ? .draining : .live
        var entry = Entry(
            record: WorkerRecord(
                name: name, host: host, port: body.serverPort, state: state, machine: body.machineID,
                version: body.shunt.map { "shunt \($0.version)" } ?? "message-channel",
                listeners: body.shunt?.listeners ?? ["exchange": name],
                startedAt: startedAt(body, isNewRun ? nil : known, now: now), heartbeatAt: now,
                configuredName: body.shunt?.name ?? "", stuck: body.shunt?.stuck ?? [], figures: body.figures),
            heardAt: now, interval: Double(body.shunt?.interval ?? 0) / 1000,
            // While it was not running it sent none.
            gaps: isNewRun ? [] : gaps(known, now: now), boot: boot, connection: connection,
            // On a new connection a worker tells everything by itself.
            mustReport: hasLeft || (known?.mustReport == true && known?.connection == connection),
            given: known?.given ?? HandedOut(),
            isSkewed: known?.isSkewed ?? false, isFull: body.shunt?.room == 0, drainAskedAt: state == .live ? known?.drainAskedAt : nil,
            lastEvent: known?.boot == boot ? known?.lastEvent ?? 0 : 0)
        changes += events(from: known?.record.state, to: state, isNewRun: isNewRun, entry, now: now)
        changes += skew(&entry, created: created, now: now)
        changes += told(body.shunt?.events ?? [], by: &entry)
        entry.given.settle(Self.arrival, now: now)
        self[name] = entry
        place(entry)
        changes.append(.worker(entry.record))
        return changes
    }

    /// When the worker started, by this clock. A heartbeat that was on its way for long says too late a time, so the earliest counts.
    /// - Parameter known: the same run as it is known; nil: it is not.
    private func startedAt(_ body: HeartbeatBody, _ known: Entry?, now: Double) -> Double {
        guard let uptime = body.shunt?.uptime else { return known?.record.startedAt ?? now }
        let told = now - Double(uptime) / 1000
        guard let known else { return told }
        // The registry does not say which run it knew.
        guard !known.boot.isEmpty else { return abs(told - known.record.startedAt) < Self.startTolerance ? known.record.startedAt : told }
        return told < known.record.startedAt - Self.startTolerance ? told : known.record.startedAt
    }

    /// Seconds by which the starts that a worker's heartbeats say may differ, and still be one.
    private static let startTolerance = 2.0

    /// One that was away tells nothing.
    private func gaps(_ known: Entry?, now: Double) -> [Double] {
        guard let known, !known.record.state.isAway else { return [] }
        return known.gaps.suffix(Self.gapsToTell - 1) + [max(0, now - known.record.heartbeatAt)]
    }

    /// Anything else has come from a worker.
    /// - Returns: whether the worker is known: all begin with a heartbeat.
    public mutating func heard(_ name: String, now: Double) -> Bool {
        self[name]?.heardAt = now
        return self[name] != nil
    }

    /// The worker's connection has closed; it may be back on another.
    public mutating func disconnected(_ name: String, from connection: ConnectionID) {
        if self[name]?.connection == connection { self[name]?.connection = nil }
    }

    /// Another master serves: how the workers are is not known here any longer.
    public mutating func retire(now: Double) -> [RegistryChange] {
        var changes: [RegistryChange] = []
        for (key, entry) in entries where !entry.record.state.isAway {
            entries[key]?.record.state = .unknown
            entries[key]?.connection = nil
            entries[key]?.mustReport = true
            order.remove(key.text)
            changes.append(.workerState(name: key.text, .unknown, at: now))
        }
        return changes
    }

    // MARK: Silence

    /// Time has passed: workers that have not been heard of are lost.
    public mutating func tick(now: Double) -> [RegistryChange] {
        forgetPause(now: now)
        var changes: [RegistryChange] = []
        for (key, entry) in entries where !entry.record.state.isAway {
            let name = key.text
            guard !isLive(entry, now: now) else { continue }
            self[name]?.record.state = .lost
            self[name]?.mustReport = true
            order.remove(name)
            changes.append(.workerState(name: name, .lost, at: now))
            let silent = Int(now - entry.record.heartbeatAt)
            changes.append(event(.workerLost, name, "not heard of for \(silent) s", now: now))
        }
        return changes
    }

    /// Where the master stood still, or its clock was set, nobody has been silent for it, and nobody lives longer for it.
    private mutating func forgetPause(now: Double) {
        defer { tickedAt = now }
        guard let tickedAt, !(0...Self.longestStep).contains(now - tickedAt) else { return }
        pausedAt = now
        let pause = max(0, now - tickedAt)
        for key in entries.keys {
            guard let entry = entries[key] else { continue }
            entries[key]?.heardAt = min(entry.heardAt + pause, now)
            entries[key]?.record.heartbeatAt = min(entry.record.heartbeatAt + pause, now)
        }
    }

    /// Whether two heartbeats of the worker are missing: others may have its chats. If so it is asked to tell all that it holds
    /// when it is heard of again.
    public mutating func isGivenUp(_ name: String, now: Double) -> Bool {
        guard let entry = self[name] else { return true }
        guard isSilent(entry, now: now) else { return false }
        self[name]?.mustReport = true
        return true
    }

    /// Workers whose connection has closed, and that have been silent since.
    public func vanished(now: Double) -> [String] {
        entries.values.filter { $0.connection == nil && !$0.record.state.isAway && isSilent($0, now: now) }.map(\.record.name)
    }

    private func isSilent(_ entry: Entry, now: Double) -> Bool {
        let seen = entry.gaps.max() ?? 0
        let interval = entry.interval > 0 ? entry.interval : entry.gaps.count < Self.gapsToTell ? max(seen, Self.usualInterval) : seen
        return now - entry.heardAt > min(max(2 * interval, Self.shortestPatience), liveFor)
    }

    /// Whether the worker's next answer should ask it for all that it holds. Asks once.
    public mutating func takeReportRequest(_ name: String) -> Bool {
        guard let entry = self[name], entry.mustReport, !entry.record.state.isAway else { return false }
        self[name]?.mustReport = false
        return true
    }

    // MARK: Questions

    /// Live workers, those that have room first, of them the least loaded (§12.2): by connections, then requests, then their bytes, then the
    /// name. Clients that were just sent to a worker count as connections there.
    public var allocation: [String] { order.names }

    /// The same, with commas between.
    var allocationList: String { order.list }

    /// The first of them.
    public var leastLoaded: String? { order.first }

    /// The worker for a client that asks for one.
    mutating func nextWorker() -> String? {
        if order.first == nil { allocations.none += 1 } else { allocations.answered += 1 }
        return order.first
    }

    /// Where the worker stands among those that take clients.
    private mutating func place(_ entry: Entry) {
        guard entry.record.state == .live else { return order.remove(entry.record.name) }
        let figures = entry.record.figures
        order.set(
            entry.record.name,
            WorkerOrder.Load(
                isFull: entry.isFull, connections: figures.connections + entry.given.count, requests: figures.requests,
                requestBytes: figures.requestBytes))
    }

    /// Whether a worker takes no more clients.
    func isFull(_ name: String) -> Bool { self[name]?.isFull ?? false }

    /// Where clients reach a worker: at the host by which it is known, at its listeners' ports.
    func addresses(of name: String) -> WorkerAddresses? {
        guard let record = self[name]?.record else { return nil }
        let addresses = record.listeners.compactMapValues { address in HostPort(address).map { HostPort(record.host, $0.port).description } }
        return WorkerAddresses(worker: name, listeners: addresses)
    }

    /// A client has been sent to a worker: it counts there before the worker's figures say so.
    /// - Returns: what `release` takes.
    public mutating func give(_ name: String, now: Double) -> Double {
        guard let moment = self[name]?.given.add(now: now) else { return now }
        replace(name)
        return moment
    }

    /// The client asks again: it has not gone there, or is counted.
    public mutating func release(_ name: String, _ given: Double) {
        self[name]?.given.remove(given)
        replace(name)
    }

    private mutating func replace(_ name: String) {
        if let entry = self[name] { place(entry) }
    }

    /// Seconds in which a client that was sent to a worker is in that worker's figures.
    static let arrival = 0.5

    /// Whether clients can reach the worker; one that drains counts.
    public func isPresent(_ name: String, now: Double) -> Bool {
        self[name].map { !$0.record.state.isAway && isLive($0, now: now) } ?? false
    }

    /// Workers of Shunt's own that are not away, and where they are connected, in the order of their names.
    func commanded() -> [(name: String, connection: ConnectionID?)] {
        entries.values.filter { !$0.boot.isEmpty && !$0.record.state.isAway }.map { ($0.record.name, $0.connection) }.sorted { $0.0 < $1.0 }
    }

    /// An operator has a worker send its clients to others. From now on it does not count as one that takes clients, whatever its heartbeats
    /// say before they know.
    /// - Throws: `request.invalid` where no other worker takes clients.
    mutating func beginDrain(_ name: String, now: Double) throws(ShuntError) {
        let hasOthers = entries.contains { key, entry in
            key.text != name && entry.record.state == .live && !isAskedToDrain(entry, now: now)
        }
        guard hasOthers else {
            throw ShuntError(
                .requestInvalid, "no other worker is live: the clients of \(name) would have nowhere to go", help: "start another worker first")
        }
        self[name]?.drainAskedAt = now
    }

    /// The worker is not to drain, or does not.
    mutating func endDrain(_ name: String) { self[name]?.drainAskedAt = nil }

    private func isAskedToDrain(_ entry: Entry, now: Double) -> Bool {
        entry.drainAskedAt.map { abs(now - $0) < Self.drainPatience } ?? false
    }

    /// Seconds after which the heartbeats of a worker that was told to drain say so; else it does not.
    private static let drainPatience = 5.0

    /// What is known of all workers, by name.
    var records: [WorkerRecord] { entries.values.map(\.record).sorted { $0.name < $1.name } }

    public func connection(of name: String) -> ConnectionID? { self[name]?.connection }

    /// Whether it is one of Shunt's own, which take commands.
    public func takesCommands(_ name: String) -> Bool { self[name]?.boot.isEmpty == false }

    private func isLive(_ entry: Entry, now: Double) -> Bool { now - entry.record.heartbeatAt < liveFor }

    // MARK: Events

    /// What the worker tells of itself; of most of it the master has heard before.
    private func told(_ events: [WorkerEvent], by entry: inout Entry) -> [RegistryChange] {
        let new = events.filter { $0.number > entry.lastEvent }
        entry.lastEvent = max(entry.lastEvent, new.map(\.number).max() ?? 0)
        return new.map { EventRecord(at: $0.at, kind: $0.kind, subject: entry.record.name, detail: $0.detail) }
            .filter { !written.contains($0) }.map { .event($0) }
    }

    private func events(
        from old: WorkerRecord.State?, to new: WorkerRecord.State, isNewRun: Bool, _ entry: Entry, now: Double
    ) -> [RegistryChange] {
        let name = entry.record.name
        if new == .left { return old == .live || old == .draining ? [event(.workerLeft, name, "signed off", now: now)] : [] }
        guard let old else { return [event(.workerJoined, name, entry.record.version, now: now)] }
        if old.isAway { return [event(.workerReturned, name, "heard of again", now: now)] }
        if old == .live, new == .draining { return [event(.workerDraining, name, "takes no new clients", now: now)] }
        if old == .draining, new == .live, !isNewRun { return [event(.workerUndrained, name, "takes clients again", now: now)] }
        return isNewRun ? [event(.workerJoined, name, "started again", now: now)] : []
    }

    /// Tells once that a worker's clock is off by more than a quarter of what it lives for, and by more than a busy machine's delay.
    private func skew(_ entry: inout Entry, created: Double, now: Double) -> [RegistryChange] {
        let difference = created - now
        // What came while the master stood still has waited.
        guard !isJustAwake(now: now) else { return [] }
        guard abs(difference) > max(2, liveFor / 4) else {
            entry.isSkewed = false
            return []
        }
        guard !entry.isSkewed, created > 0 else { return [] }
        entry.isSkewed = true
        let seconds = Int(difference.rounded())
        return [event(.workerSkewed, entry.record.name, "its clock is \(seconds) s off the master's; set both by NTP", now: now)]
    }

    /// Whether the master has stood still until a moment ago.
    private func isJustAwake(now: Double) -> Bool {
        if let pausedAt, abs(now - pausedAt) < Self.longestStep { return true }
        return tickedAt.map { !(0...Self.longestStep).contains(now - $0) } ?? false
    }

    /// Forgets a worker, and tells once more that the worker is away, so that nothing is kept of it anywhere.
    private mutating func makeRoom(_ changes: inout [RegistryChange], now: Double) throws(ShuntError) {
        guard entries.count >= Self.capacity else { return }
        let away = entries.values.filter(\.record.state.isAway).min { $0.record.heartbeatAt < $1.record.heartbeatAt }
        guard let away else {
            throw ShuntError(.memoryLimit, "this master knows \(entries.count) live workers", help: "start another master")
        }
        self[away.record.name] = nil
        order.remove(away.record.name)
        changes.append(.workerState(name: away.record.name, away.record.state, at: now))
    }

    private func event(_ kind: EventRecord.Kind, _ subject: String, _ detail: String, now: Double) -> RegistryChange {
        .event(EventRecord(at: now, kind: kind, subject: subject, detail: detail))
    }
}
