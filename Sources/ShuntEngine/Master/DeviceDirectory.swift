import ExchangeCodec
import ShuntCore

/// The device sessions of all workers, present and recent.
///
/// A value: reports of workers and time in, changes for the registry out. A session is named by uid and device. A device that
/// appears at another worker has moved there, and is still where it was if it leaves that one first. When workers list all they
/// have, after a master was away, and two have the same device, the later registration counts, at the same moment the one whose
/// worker's name comes last.
public struct DeviceDirectory: Sendable {
    typealias Name = DeviceNames.Name

    /// A registration at one worker.
    struct Session: Sendable {
        var record: DeviceRecord
        /// Microseconds since 1970.
        var registeredAt: Int64
        /// The full report of the worker in which, or since which, this was heard of.
        var round: UInt32
        let cost: Int

        init(record: DeviceRecord, registeredAt: Int64, round: UInt32) {
            (self.record, self.registeredAt, self.round) = (record, registeredAt, round)
            cost = DeviceMemory.cost(of: record)
        }
    }

    struct Entry: Sendable {
        /// The one that counts.
        var current: Session
        /// Live at other workers, which tell when they end. Mostly none.
        var others: [Session] = []

        var cost: Int { others.reduce(current.cost) { $0 + $1.cost } }
    }

    private struct Worker: Sendable {
        var places: Set<UInt32> = []
        var round: UInt32 = 0
        /// A full report has begun and not ended.
        var isListing = false
        /// Whether it tells of devices that leave; a Java worker does not.
        var tellsEnds = false
    }

    /// A session that went offline, to be looked at again when it was kept long enough.
    private struct Departure: Sendable {
        var place: UInt32
        var at: Double
    }

    /// A session that a Shunt worker is to end.
    public struct Displaced: Equatable, Sendable {
        public var worker: String
        public var session: DeviceBatchBody.Left
    }

    private var displaced: [Displaced] = []
    private var names = DeviceNames()
    private var entries: ContiguousArray<Entry?> = []
    private var free: ContiguousArray<UInt32> = []
    /// The online devices of each worker.
    private var workers: [ExactText: Worker] = [:]
    /// In the order in which they left. One that has come back since is passed over.
    private var departures: ContiguousArray<Departure> = []
    private var firstDeparture = 0
    /// From the registry, where they are online, and not heard of since.
    private var unconfirmed: [UInt32] = []
    private var patientUntil = Double.infinity
    private let capacity: Int
    /// What the sessions take, and what had no room.
    public private(set) var memory: DeviceMemory
    /// Seconds that a session is kept after it went offline.
    public var keep: Double

    /// The most workers at which one device is known to be online.
    static let placesOfDevice = 8

    /// The most sessions that one `tick` removes, so that a storm's end does not stall anything.
    public static let removalsPerTick = 2000

    /// - Parameters:
    ///   - keep: seconds (`devices.keep`).
    ///   - capacity: the most sessions that are known; beyond it the one that is offline longest makes way.
    ///   - memory: bytes that sessions may take (`devices.memory`); beyond it those make way too. Where none is offline, new
    ///     sessions are kept without tags and aliases, and where even that has no room, not at all.
    public init(keep: Double = 86_400, capacity: Int = 2_000_000, memory: Int = 1 << 30) {
        self.keep = keep
        self.capacity = capacity
        self.memory = DeviceMemory(limit: memory)
    }

    /// All sessions, offline ones included.
    public var count: Int { names.count }

    /// Ends of sessions that are remembered, those of devices that have come back since included.
    var waitingDepartures: Int { departures.count - firstDeparture }

    public func record(uid: String, device: String) -> DeviceRecord? {
        names[Name(uid, device)].flatMap { entries[Int($0)]?.current.record }
    }

    /// The workers that hold a device of this user that is online, by name.
    public func workers(holding uid: String) -> [String] {
        var workers: Set<ExactText> = []
        for place in names.places(of: uid) {
            guard let entry = entries[Int(place)], entry.current.record.isOnline else { continue }
            for session in [entry.current] + entry.others { workers.insert(ExactText(session.record.worker)) }
        }
        return workers.sorted().map(\.text)
    }

    /// What the registry held when the master started. Sessions that were online are taken to have just left until their
    /// worker tells of them; the registry is told so only if none has by `until`.
    /// - Returns: changes for the registry: what has no room.
    @discardableResult
    public mutating func restore(_ records: [DeviceRecord], now: Double, until: Double = .infinity) -> [DeviceChange] {
        patientUntil = until
        let sorted = records.sorted { $0.lastSeenAt < $1.lastSeenAt }
        let first = firstWithRoom(sorted)
        memory.evicted += first
        for var record in sorted[first...] {
            let wasOnline = record.isOnline
            if wasOnline { record.lastSeenAt = now }
            record.isOnline = false
            let place = makePlace(Name(record.uid, record.device))
            if wasOnline { unconfirmed.append(place) }
            set(place, Entry(current: Session(record: record, registeredAt: 0, round: 0)))
            departures.append(Departure(place: place, at: record.lastSeenAt))
        }
        return sorted[..<first].map { .removed(uid: $0.uid, device: $0.device) }
    }

    /// The place from which on all records have room.
    private func firstWithRoom(_ sorted: [DeviceRecord]) -> Int {
        var (bytes, first) = (0, sorted.count)
        while first > 0, sorted.count - first < capacity {
            bytes += DeviceMemory.cost(of: sorted[first - 1])
            guard bytes <= memory.limit else { break }
            first -= 1
        }
        return first
    }

    /// Sessions that a later registration at another worker has displaced, since this was asked last: their workers are to end them.
    public mutating func takeDisplaced() -> [Displaced] {
        defer { displaced = [] }
        return displaced
    }

    // MARK: Reports

    /// A Shunt worker tells of its devices: as they change, and all of them when it has joined.
    /// - Returns: how many were refused: beyond `DeviceLimits`, or because as many as possible are known and online.
    @discardableResult
    public mutating func report(
        _ body: DeviceBatchBody, from worker: String, now: Double, _ changes: inout [DeviceChange]
    ) -> Int {
        let key = ExactText(worker)
        begin(key, isListing: body.isFirst)
        var refused = 0
        for one in body.registered where !register(one, worker, now: now, &changes) { refused += 1 }
        for one in body.left { left(one, key, now: now, &changes) }
        if body.isLast { sweep(key, now: now, &changes) }
        return refused
    }

    // Of its own, and not inlined: in one function with the rest it crashes the optimiser of Swift 6.3.1.
    @inline(never)
    private mutating func begin(_ worker: ExactText, isListing: Bool) {
        var state = workers[worker] ?? Worker()
        state.tellsEnds = true
        if isListing {
            state.round += 1
            state.isListing = true
        }
        workers[worker] = state
    }

    /// A Java worker tells of one device (§9.4). It never tells that one has left.
    /// - Returns: whether it was taken.
    public mutating func register(
        _ body: RegisterBody, from worker: String, now: Double, _ changes: inout [DeviceChange]
    ) -> Bool {
        register(
            .init(
                uid: body.uid, device: body.device, tags: body.tags ?? [], alias: body.alias ?? [], address: body.address ?? "",
                connectedAt: Int64(now * 1000), registeredAt: Int64(now * 1_000_000)),
            worker, now: now, &changes)
    }

    /// The worker has not been heard of: its devices are offline.
    public mutating func workerLost(_ worker: String, now: Double, _ changes: inout [DeviceChange]) {
        guard let lost = workers.removeValue(forKey: ExactText(worker)) else { return }
        var moved: [DeviceChange] = []
        var isTold = false
        for place in lost.places.sorted() {
            guard entries[Int(place)]?.current.record.worker == worker else {
                change(place) { $0.others.removeAll { $0.record.worker == worker } }
                continue
            }
            isTold = true
            if !promote(place, now: now, &moved) { setOffline(place, now: now) }
        }
        if isTold { changes.append(.workerLost(worker: worker, at: now)) }
        changes += moved
    }

    /// Time has passed: sessions that were kept long enough go, a bounded number at a time.
    public mutating func tick(now: Double, _ changes: inout [DeviceChange]) {
        if now >= patientUntil { giveUpUnconfirmed(&changes) }
        var looked = 0
        while looked < Self.removalsPerTick, firstDeparture < departures.count, departures[firstDeparture].at + keep <= now {
            removeOldest(&changes)
            looked += 1
        }
    }

    /// The registry still takes them for online.
    private mutating func giveUpUnconfirmed(_ changes: inout [DeviceChange]) {
        for place in unconfirmed {
            // One that was told of meanwhile has a time of registration, and so has another that has its place now.
            guard let session = entries[Int(place)]?.current, !session.record.isOnline, session.registeredAt == 0 else { continue }
            changes.append(.left(uid: session.record.uid, device: session.record.device, at: session.record.lastSeenAt))
        }
        unconfirmed = []
        patientUntil = .infinity
    }

    // MARK: Sessions

    private mutating func register(
        _ one: DeviceBatchBody.Registered, _ worker: String, now: Double, _ changes: inout [DeviceChange]
    ) -> Bool {
        guard Self.isWithinLimits(one) else { return false }
        let key = ExactText(worker)
        var session = Session(
            record: DeviceRecord(
                uid: one.uid, device: one.device, tags: one.tags, alias: one.alias, worker: worker, address: one.address,
                connectedAt: Double(one.connectedAt) / 1000, lastSeenAt: now),
            registeredAt: one.registeredAt, round: workers[key]?.round ?? 0)
        let name = Name(one.uid, one.device)
        guard let place = names[name], let known = entries[Int(place)] else {
            while names.count >= capacity, firstDeparture < departures.count { removeOldest(&changes) }
            guard names.count < capacity, makeRoom(for: &session, &changes) else {
                memory.refused += 1
                return false
            }
            let place = makePlace(name)
            set(place, Entry(current: session))
            workers[key, default: Worker()].places.insert(place)
            changes.append(.device(session.record))
            return true
        }
        guard !isOutdated(session, beside: known) else { return true }
        // A known name is not refused: there are no more of these than room was found for.
        _ = makeRoom(for: &session, inPlaceOf: (place, known.current.cost), &changes)
        workers[key, default: Worker()].places.insert(place)
        change(place) { $0.others.removeAll { $0.record.worker == worker } }
        if yields(session, to: known.current) {
            keep(session, beside: place)
        } else {
            change(place) { $0.current = session }
            if known.current.record.isOnline, known.current.record.worker != worker { keep(known.current, beside: place) }
            changes.append(.device(session.record))
        }
        return true
    }

    private static func isWithinLimits(_ one: DeviceBatchBody.Registered) -> Bool {
        let limits = DeviceLimits()
        let device = Device(
            uid: one.uid, device: one.device, tags: one.tags, alias: one.alias,
            connection: ConnectionID(loop: 0, slot: 0, generation: 0), connectedAt: 0, registeredAt: 0)
        return (try? device.validate(limits)) != nil && one.address.utf8.count <= limits.text
    }

    /// Whether the same worker has told of a later registration: its loops tell in any order.
    private func isOutdated(_ session: Session, beside known: Entry) -> Bool {
        let worker = session.record.worker
        let told = known.current.record.isOnline ? [known.current] + known.others : []
        return told.contains {
            $0.record.worker == worker && $0.round == session.round && session.registeredAt < $0.registeredAt
        }
    }

    /// Whether what a worker lists is older than what another has.
    private func yields(_ session: Session, to known: Session) -> Bool {
        guard known.record.isOnline, known.record.worker != session.record.worker else { return false }
        return workers[ExactText(session.record.worker)]?.isListing == true
            && (session.registeredAt, session.record.worker) < (known.registeredAt, known.record.worker)
    }

    /// The device is online there too, which matters when it leaves the other worker.
    private mutating func keep(_ session: Session, beside place: UInt32) {
        let worker = ExactText(session.record.worker)
        guard workers[worker]?.tellsEnds == true else {
            workers[worker]?.places.remove(place)
            return
        }
        change(place) { $0.others.append(session) }
        displaced.append(
            Displaced(
                worker: session.record.worker,
                session: .init(uid: session.record.uid, device: session.record.device, registeredAt: session.registeredAt)))
        guard let others = entries[Int(place)]?.others, others.count >= Self.placesOfDevice else { return }
        change(place) { $0.others.removeFirst() }
        workers[ExactText(others[0].record.worker)]?.places.remove(place)
    }

    @inline(never)
    private mutating func left(
        _ one: DeviceBatchBody.Left, _ worker: ExactText, now: Double, _ changes: inout [DeviceChange]
    ) {
        guard let place = names[Name(one.uid, one.device)] else { return }
        end(place, at: worker, now: now, &changes) { $0.registeredAt <= one.registeredAt }
    }

    /// After a full report: what the worker had before and has not told is offline.
    @inline(never)
    private mutating func sweep(_ worker: ExactText, now: Double, _ changes: inout [DeviceChange]) {
        workers[worker]?.isListing = false
        guard let (places, round) = workers[worker].map({ ($0.places.sorted(), $0.round) }) else { return }
        for place in places { end(place, at: worker, now: now, &changes) { $0.round != round } }
    }

    /// Ends the session that the worker has of this device, if it is one of those.
    private mutating func end(
        _ place: UInt32, at worker: ExactText, now: Double, _ changes: inout [DeviceChange], where isMeant: (Session) -> Bool
    ) {
        guard let entry = entries[Int(place)] else { return }
        if entry.current.record.isOnline, ExactText(entry.current.record.worker) == worker {
            guard isMeant(entry.current) else { return }
            workers[worker]?.places.remove(place)
            guard !promote(place, now: now, &changes) else { return }
            setOffline(place, now: now)
            changes.append(.left(uid: entry.current.record.uid, device: entry.current.record.device, at: now))
        } else if let other = entry.others.firstIndex(where: { ExactText($0.record.worker) == worker && isMeant($0) }) {
            workers[worker]?.places.remove(place)
            change(place) { $0.others.remove(at: other) }
        }
    }

    /// The latest of the others counts from now on.
    /// - Returns: false where there is none.
    private mutating func promote(_ place: UInt32, now: Double, _ changes: inout [DeviceChange]) -> Bool {
        guard let others = entries[Int(place)]?.others,
            let latest = others.indices.max(by: { others[$0].registeredAt < others[$1].registeredAt })
        else { return false }
        var session = others[latest]
        session.record.lastSeenAt = now
        change(place) { entry in
            entry.others.remove(at: latest)
            entry.current = session
        }
        changes.append(.device(session.record))
        return true
    }

    private mutating func setOffline(_ place: UInt32, now: Double) {
        entries[Int(place)]?.current.record.isOnline = false
        entries[Int(place)]?.current.record.lastSeenAt = now
        departures.append(Departure(place: place, at: now))
        if departures.count > 2 * max(1024, names.count) { forgetReturned() }
    }

    /// Looks at the oldest departure: the session goes unless it has come back since.
    private mutating func removeOldest(_ changes: inout [DeviceChange]) {
        let departure = departures[firstDeparture]
        firstDeparture += 1
        if firstDeparture > 1024, firstDeparture * 2 > departures.count {
            departures.removeFirst(firstDeparture)
            firstDeparture = 0
        }
        guard isCurrent(departure), let record = entries[Int(departure.place)]?.current.record else { return }
        names.remove(Name(record.uid, record.device))
        set(departure.place, nil)
        free.append(departure.place)
        changes.append(.removed(uid: record.uid, device: record.device))
    }

    private func isCurrent(_ departure: Departure) -> Bool {
        guard let record = entries[Int(departure.place)]?.current.record else { return false }
        return !record.isOnline && record.lastSeenAt == departure.at
    }

    /// Devices that come and go leave departures that mean nothing any more.
    private mutating func forgetReturned() {
        departures = ContiguousArray(departures[firstDeparture...].filter(isCurrent))
        firstDeparture = 0
    }

    // MARK: Memory

    private mutating func set(_ place: UInt32, _ entry: Entry?) {
        memory.bytes += (entry?.cost ?? 0) - (entries[Int(place)]?.cost ?? 0)
        entries[Int(place)] = entry
    }

    /// Does nothing where there is no entry.
    private mutating func change(_ place: UInt32, _ body: (inout Entry) -> Void) {
        guard var entry = entries[Int(place)] else { return }
        body(&entry)
        set(place, entry)
    }

    /// Offline sessions make way, the longest gone first; then the session's tags and aliases are left away.
    /// - Parameter old: the session that it replaces, which stays until then.
    /// - Returns: whether it has room.
    private mutating func makeRoom(
        for session: inout Session, inPlaceOf old: (place: UInt32, cost: Int)? = nil, _ changes: inout [DeviceChange]
    ) -> Bool {
        let freed = old?.cost ?? 0
        while !memory.hasRoom(for: session.cost - freed), firstDeparture < departures.count {
            let departure = departures[firstDeparture]
            guard departure.place != old?.place || !isCurrent(departure) else { break }
            let count = names.count
            removeOldest(&changes)
            memory.evicted += count - names.count
        }
        if !memory.hasRoom(for: session.cost - freed) { strip(&session) }
        return memory.hasRoom(for: session.cost - freed)
    }

    private mutating func strip(_ session: inout Session) {
        guard !session.record.tags.isEmpty || !session.record.alias.isEmpty else { return }
        memory.stripped += 1
        var record = session.record
        (record.tags, record.alias) = ([], [])
        session = Session(record: record, registeredAt: session.registeredAt, round: session.round)
    }

    private mutating func makePlace(_ name: Name) -> UInt32 {
        let place = free.popLast() ?? UInt32(entries.count)
        if Int(place) == entries.count { entries.append(nil) }
        names.insert(name, place)
        return place
    }
}
