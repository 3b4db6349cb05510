import ShuntCore

/// Changes that wait to be written: of each worker, device and chat the newest alone, and a bounded number of events.
struct PendingChanges: Sendable {
    struct StateChange: Equatable {
        var state: WorkerRecord.State
        var at: Double
    }

    /// An event's detail is a sentence: longer ones are cut.
    static let maximumDetailLength = 1_000

    enum BanUpdate: Equatable {
        case put(Ban)
        case lifted
    }

    struct Limits: Equatable {
        var workers: Int
        var events: Int
        var devices: Int
        var chats: Int
        var clients: Int
        var history = 100_000
    }

    let limits: Limits
    private(set) var workers: [String: WorkerRecord] = [:]
    /// Newer than the record of the same name in `workers`.
    private(set) var states: [String: StateChange] = [:]
    private(set) var events: [EventRecord] = []
    /// What becomes of each ban: as few as operators make of them, so they have no bound of their own.
    private(set) var bans: [BanSubject: BanUpdate] = [:]
    var devices: PendingRows<DeviceUpdate>
    var chats: PendingRows<ChatUpdate>
    var clients: PendingRows<ClientUpdate>
    var history: PendingRows<HistoryUpdate>
    /// What did not fit since the last `take`.
    private(set) var droppedEvents = 0
    private(set) var droppedWorkers = 0

    init(limits: Limits) {
        self.limits = limits
        devices = PendingRows(capacity: limits.devices)
        chats = PendingRows(capacity: limits.chats)
        clients = PendingRows(capacity: limits.clients)
        history = PendingRows(capacity: limits.history)
    }

    var isEmpty: Bool { workers.isEmpty && states.isEmpty && events.isEmpty && bans.isEmpty && rowCount == 0 }

    private var rowCount: Int { devices.count + chats.count + clients.count + history.count }

    mutating func add(_ change: RegistryChange) {
        switch change {
        case .worker(let record):
            guard hasRoom(for: record.name) else { return droppedWorkers += 1 }
            workers[record.name] = record
            states[record.name] = nil
        case .workerState(let name, let state, let at):
            guard hasRoom(for: name) else { return droppedWorkers += 1 }
            states[name] = StateChange(state: state, at: at)
        case .event(var event):
            guard events.count < limits.events else { return droppedEvents += 1 }
            if event.detail.utf8.count > Self.maximumDetailLength {
                event.detail = String(event.detail.unicodeScalars.prefix(Self.maximumDetailLength - 1)) + "…"
            }
            events.append(event)
        case .device(let change): devices.add(change)
        case .chat(let change): chats.add(change)
        case .client(let change): clients.add(change)
        case .history(let point): history.add(point)
        case .ban(let ban): bans[ban.subject] = .put(ban)
        case .unban(let subject): bans[subject] = .lifted
        }
    }

    /// All that waits but devices, chats, clients and history, which are taken by themselves.
    mutating func take() -> PendingChanges {
        var taken = PendingChanges(limits: limits)
        swap(&self, &taken)
        swap(&devices, &taken.devices)
        swap(&chats, &taken.chats)
        swap(&clients, &taken.clients)
        swap(&history, &taken.history)
        return taken
    }

    /// Takes back what `take` gave and could not be written. What has been added since is newer and wins; the events that
    /// were first stay, since they tell how the trouble began.
    mutating func giveBack(_ failed: PendingChanges) {
        for (name, state) in failed.states where workers[name] == nil && states[name] == nil {
            states[name] = state
        }
        for (name, record) in failed.workers where workers[name] == nil {
            guard workers.count < limits.workers || states[name] != nil else {
                droppedWorkers += 1
                continue
            }
            workers[name] = record
        }
        bans.merge(failed.bans) { newer, _ in newer }
        let newer = events
        events = failed.events
        let room = limits.events - events.count
        events.append(contentsOf: newer.prefix(room))
        droppedEvents += failed.droppedEvents + max(0, newer.count - room)
        droppedWorkers += failed.droppedWorkers
    }

    private func hasRoom(for name: String) -> Bool {
        workers[name] != nil || states[name] != nil || workers.count + states.count < limits.workers
    }
}
