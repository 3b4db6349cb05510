import ExchangeCodec
import ShuntCore

/// The workers that a master knows, which of them live, and in which order clients get them.
///
/// A value: heartbeats and time in, changes for the registry out.
public struct WorkerDirectory: Sendable {
    /// A worker, and the clock that says whether it lives.
    struct Entry: Sendable {
        var record: WorkerRecord
        /// The worker's own clock at its last heartbeat, in seconds since 1970 (§12.2).
        var createdAt: Double
        /// The run of the worker; another one means that it has started again. Empty for a Java worker.
        var boot: String
        /// Whether the difference of the clocks has been told.
        var isSkewed = false
    }

    private var entries: [String: Entry] = [:]
    /// Seconds that a worker lives after its last heartbeat.
    private let liveFor: Double
    /// The most workers that are kept; beyond it the longest lost one is forgotten, and then new ones are refused.
    public static let capacity = 10_000

    public init(liveFor: Double = 20) { self.liveFor = liveFor }

    public var count: Int { entries.count }

    /// What the registry held when the master started. Live workers stay so until they have had their time to report.
    public mutating func restore(_ records: [WorkerRecord], now: Double) {
        for var record in records.prefix(Self.capacity) {
            if record.state == .live { record.heartbeatAt = now }
            entries[record.name] = Entry(record: record, createdAt: record.state == .live ? now : 0, boot: "")
        }
    }

    /// A heartbeat (§12.1).
    /// - Parameter source: the IP address that it came from, the worker's host where it names none.
    public mutating func heartbeat(_ body: HeartbeatBody, source: String, now: Double) throws(ShuntError) -> [RegistryChange] {
        guard body.serverPort > 0 else {
            throw ShuntError(.requestInvalid, "a worker can't be reached at port \(body.serverPort)", help: "server_port: 1 to 65535")
        }
        let host = body.serverName.isEmpty ? source : body.serverName
        guard host.utf8.count <= 255 else {
            throw ShuntError(.requestInvalid, "the worker's name has \(host.utf8.count) bytes", help: "at most 255")
        }
        let name = "\(host):\(body.serverPort)"
        let created = Double(body.createdTime) / 1000
        let known = entries[name]
        if known == nil { try makeRoom() }
        let boot = body.shunt?.boot ?? ""
        let isNewRun = known == nil || (known?.boot != boot && !(known?.boot.isEmpty ?? true))
        let isLive = now - created < liveFor
        let state: WorkerRecord.State = !isLive ? .lost : body.shunt?.isDraining == true ? .draining : .live
        var entry = Entry(
            record: WorkerRecord(
                name: name, host: host, port: body.serverPort, state: state, machine: body.machineID,
                version: body.shunt.map { "shunt \($0.version)" } ?? "message-channel",
                listeners: body.shunt?.listeners ?? ["exchange": name],
                startedAt: isNewRun ? now : known?.record.startedAt ?? now, heartbeatAt: now, figures: body.figures),
            createdAt: created, boot: boot, isSkewed: known?.isSkewed ?? false)
        var changes = events(from: known?.record.state, to: state, isNewRun: isNewRun, entry, now: now)
        changes += skew(&entry, now: now)
        entries[name] = entry
        changes.append(.worker(entry.record))
        return changes
    }

    /// Time has passed: workers that have not been heard of are lost.
    public mutating func tick(now: Double) -> [RegistryChange] {
        var changes: [RegistryChange] = []
        for (name, entry) in entries where entry.record.state != .lost && !isLive(entry, now: now) {
            entries[name]?.record.state = .lost
            changes.append(.workerState(name: name, .lost, at: now))
            let silent = Int(now - entry.record.heartbeatAt)
            changes.append(event(.workerLost, name, "not heard of for \(silent) s", now: now))
        }
        return changes
    }

    /// Live workers, the least loaded first (§12.2): by connections, then requests, then their bytes, then the name.
    public func allocation(now: Double) -> [String] {
        entries.values.filter { $0.record.state == .live && isLive($0, now: now) }.map(\.record).sorted { left, right in
            let (a, b) = (left.figures, right.figures)
            return (a.connections, a.requests, a.requestBytes, left.name) < (b.connections, b.requests, b.requestBytes, right.name)
        }.map(\.name)
    }

    public func record(_ name: String) -> WorkerRecord? { entries[name]?.record }

    private func isLive(_ entry: Entry, now: Double) -> Bool {
        now - entry.createdAt < liveFor
    }

    private func events(
        from old: WorkerRecord.State?, to new: WorkerRecord.State, isNewRun: Bool, _ entry: Entry, now: Double
    ) -> [RegistryChange] {
        let name = entry.record.name
        if new == .lost {
            // An old clock is the only way to sign off (Q19).
            return old == .live || old == .draining ? [event(.workerLeft, name, "signed off", now: now)] : []
        }
        if old == nil { return [event(.workerJoined, name, entry.record.version, now: now)] }
        if old == .lost { return [event(.workerReturned, name, "heard of again", now: now)] }
        return isNewRun ? [event(.workerJoined, name, "started again", now: now)] : []
    }

    /// Tells once that a worker's clock is off by more than a quarter of what it lives for, and by more than a busy machine's delay.
    private func skew(_ entry: inout Entry, now: Double) -> [RegistryChange] {
        let difference = entry.createdAt - now
        guard abs(difference) > max(2, liveFor / 4) else {
            entry.isSkewed = false
            return []
        }
        guard !entry.isSkewed, entry.createdAt > 0 else { return [] }
        entry.isSkewed = true
        let seconds = Int(difference.rounded())
        return [event(.workerSkewed, entry.record.name, "its clock is \(seconds) s off the master's; set both by NTP", now: now)]
    }

    private mutating func makeRoom() throws(ShuntError) {
        guard entries.count >= Self.capacity else { return }
        let lost = entries.values.filter { $0.record.state == .lost }.min { $0.record.heartbeatAt < $1.record.heartbeatAt }
        guard let lost else {
            throw ShuntError(.memoryLimit, "this master knows \(entries.count) live workers", help: "start another master")
        }
        entries[lost.record.name] = nil
    }

    private func event(_ kind: EventRecord.Kind, _ subject: String, _ detail: String, now: Double) -> RegistryChange {
        .event(EventRecord(at: now, kind: kind, subject: subject, detail: detail))
    }
}
