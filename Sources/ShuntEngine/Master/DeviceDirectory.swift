import ExchangeCodec
import ShuntCore

/// The device sessions of all workers, present and recent.
///
/// A value: reports of workers and time in, changes for the registry out. A session is named by uid and device. A device that
/// appears at another worker has moved there. When workers list all they have, after a master was away, and two have the
/// same device, the later registration counts, at the same moment the one whose worker's name comes last.
public struct DeviceDirectory: Sendable {
    struct Name: Hashable, Sendable {
        var uid: String
        var device: String
    }

    struct Entry: Sendable {
        var record: DeviceRecord
        /// Microseconds since 1970.
        var registeredAt: Int64
        /// The full report of the worker in which, or since which, this was heard of.
        var round: UInt32
    }

    private struct Worker: Sendable {
        var places: Set<UInt32> = []
        var round: UInt32 = 0
        /// A full report has begun and not ended.
        var isListing = false
    }

    /// A session that went offline, to be looked at again when it was kept long enough.
    private struct Departure: Sendable {
        var place: UInt32
        var at: Double
    }

    private var places: [Name: UInt32] = [:]
    private var entries: ContiguousArray<Entry?> = []
    private var free: ContiguousArray<UInt32> = []
    /// The online devices of each worker.
    private var workers: [String: Worker] = [:]
    /// In the order in which they left. One that has come back since is passed over.
    private var departures: ContiguousArray<Departure> = []
    private var firstDeparture = 0
    /// From the registry, where they are online, and not heard of since.
    private var unconfirmed: [UInt32] = []
    private var patientUntil = Double.infinity
    private let capacity: Int
    /// Seconds that a session is kept after it went offline.
    public var keep: Double

    /// The most sessions that one `tick` removes, so that a storm's end does not stall anything.
    public static let removalsPerTick = 2000

    /// - Parameters:
    ///   - keep: seconds (`devices.keep`).
    ///   - capacity: the most sessions that are known; beyond it the one that is offline longest makes way.
    public init(keep: Double = 86_400, capacity: Int = 2_000_000) {
        self.keep = keep
        self.capacity = capacity
    }

    /// All sessions, offline ones included.
    public var count: Int { places.count }

    /// Ends of sessions that are remembered, those of devices that have come back since included.
    var waitingDepartures: Int { departures.count - firstDeparture }

    public func record(uid: String, device: String) -> DeviceRecord? {
        places[Name(uid: uid, device: device)].flatMap { entries[Int($0)]?.record }
    }

    /// What the registry held when the master started. Sessions that were online are taken to have just left until their
    /// worker tells of them; the registry is told so only if none has by `until`.
    public mutating func restore(_ records: [DeviceRecord], now: Double, until: Double = .infinity) {
        patientUntil = until
        for var record in records.sorted(by: { $0.lastSeenAt < $1.lastSeenAt }) where places.count < capacity {
            let wasOnline = record.isOnline
            if wasOnline { record.lastSeenAt = now }
            record.isOnline = false
            let place = makePlace(Name(uid: record.uid, device: record.device))
            if wasOnline { unconfirmed.append(place) }
            entries[Int(place)] = Entry(record: record, registeredAt: 0, round: 0)
            departures.append(Departure(place: place, at: record.lastSeenAt))
        }
    }

    // MARK: Reports

    /// Our own worker tells of its devices: as they change, and all of them when it has joined.
    /// - Returns: how many were refused because as many as possible are known and online.
    @discardableResult
    public mutating func report(
        _ body: DeviceBatchBody, from worker: String, now: Double, _ changes: inout [DeviceChange]
    ) -> Int {
        if body.isFirst {
            workers[worker, default: Worker()].round += 1
            workers[worker]?.isListing = true
        }
        var refused = 0
        for one in body.registered where !register(one, worker, now: now, &changes) { refused += 1 }
        for one in body.left { left(one, worker, now: now, &changes) }
        if body.isLast { sweep(worker, now: now, &changes) }
        return refused
    }

    /// A Java worker tells of one device (§9.4). It never tells that one has left.
    /// - Returns: whether there was room.
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
        guard let lost = workers.removeValue(forKey: worker), !lost.places.isEmpty else { return }
        for place in lost.places.sorted() {
            entries[Int(place)]?.record.isOnline = false
            entries[Int(place)]?.record.lastSeenAt = now
            departures.append(Departure(place: place, at: now))
        }
        changes.append(.workerLost(worker: worker, at: now))
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
            guard let entry = entries[Int(place)], !entry.record.isOnline, entry.registeredAt == 0 else { continue }
            changes.append(.left(uid: entry.record.uid, device: entry.record.device, at: entry.record.lastSeenAt))
        }
        unconfirmed = []
        patientUntil = .infinity
    }

    // MARK: Sessions

    private mutating func register(
        _ one: DeviceBatchBody.Registered, _ worker: String, now: Double, _ changes: inout [DeviceChange]
    ) -> Bool {
        let name = Name(uid: one.uid, device: one.device)
        if let place = places[name], let known = entries[Int(place)] {
            if isOutdated(one, worker, beside: known) { return true }
            setOffline(place)
        } else {
            while places.count >= capacity, firstDeparture < departures.count { removeOldest(&changes) }
            guard places.count < capacity else { return false }
        }
        let record = DeviceRecord(
            uid: one.uid, device: one.device, tags: one.tags, alias: one.alias, worker: worker, address: one.address,
            connectedAt: Double(one.connectedAt) / 1000, lastSeenAt: now)
        let place = places[name] ?? makePlace(name)
        entries[Int(place)] = Entry(record: record, registeredAt: one.registeredAt, round: workers[worker]?.round ?? 0)
        workers[worker, default: Worker()].places.insert(place)
        changes.append(.device(record))
        return true
    }

    /// Whether what is told has been overtaken: loops of one worker tell in any order, and so do workers that list all.
    private func isOutdated(_ one: DeviceBatchBody.Registered, _ worker: String, beside known: Entry) -> Bool {
        guard known.record.isOnline else { return false }
        if known.record.worker == worker {
            return known.round == workers[worker]?.round && one.registeredAt < known.registeredAt
        }
        return workers[worker]?.isListing == true
            && (one.registeredAt, worker) < (known.registeredAt, known.record.worker)
    }

    private mutating func left(
        _ one: DeviceBatchBody.Left, _ worker: String, now: Double, _ changes: inout [DeviceChange]
    ) {
        guard let place = places[Name(uid: one.uid, device: one.device)], let entry = entries[Int(place)],
            entry.record.worker == worker, entry.record.isOnline, one.registeredAt >= entry.registeredAt
        else { return }
        depart(place, now: now, &changes)
    }

    /// After a full report: what the worker had before and has not told is offline.
    private mutating func sweep(_ worker: String, now: Double, _ changes: inout [DeviceChange]) {
        workers[worker]?.isListing = false
        guard let present = workers[worker] else { return }
        for place in present.places.sorted() where entries[Int(place)]?.round != present.round {
            depart(place, now: now, &changes)
        }
    }

    private mutating func depart(_ place: UInt32, now: Double, _ changes: inout [DeviceChange]) {
        guard let record = entries[Int(place)]?.record else { return }
        setOffline(place)
        entries[Int(place)]?.record.lastSeenAt = now
        departures.append(Departure(place: place, at: now))
        if departures.count > 2 * max(1024, places.count) { forgetReturned() }
        changes.append(.left(uid: record.uid, device: record.device, at: now))
    }

    private mutating func setOffline(_ place: UInt32) {
        guard let record = entries[Int(place)]?.record, record.isOnline else { return }
        workers[record.worker]?.places.remove(place)
        entries[Int(place)]?.record.isOnline = false
    }

    /// Looks at the oldest departure: the session goes unless it has come back since.
    private mutating func removeOldest(_ changes: inout [DeviceChange]) {
        let departure = departures[firstDeparture]
        firstDeparture += 1
        if firstDeparture > 1024, firstDeparture * 2 > departures.count {
            departures.removeFirst(firstDeparture)
            firstDeparture = 0
        }
        guard isCurrent(departure), let record = entries[Int(departure.place)]?.record else { return }
        places[Name(uid: record.uid, device: record.device)] = nil
        entries[Int(departure.place)] = nil
        free.append(departure.place)
        changes.append(.removed(uid: record.uid, device: record.device))
    }

    private func isCurrent(_ departure: Departure) -> Bool {
        guard let record = entries[Int(departure.place)]?.record else { return false }
        return !record.isOnline && record.lastSeenAt == departure.at
    }

    /// Devices that come and go leave departures that mean nothing any more.
    private mutating func forgetReturned() {
        departures = ContiguousArray(departures[firstDeparture...].filter(isCurrent))
        firstDeparture = 0
    }

    private mutating func makePlace(_ name: Name) -> UInt32 {
        let place = free.popLast() ?? UInt32(entries.count)
        if Int(place) == entries.count { entries.append(nil) }
        places[name] = place
        return place
    }
}
