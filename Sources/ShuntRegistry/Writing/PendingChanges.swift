import ShuntCore

/// Changes that wait to be written: of each worker the newest record alone, and a bounded number of events.
struct PendingChanges: Equatable {
    struct StateChange: Equatable {
        var state: WorkerRecord.State
        var at: Double
    }

    /// An event's detail is a sentence: longer ones are cut.
    static let maximumDetailLength = 1_000

    let maximumWorkers: Int
    let maximumEvents: Int
    private(set) var workers: [String: WorkerRecord] = [:]
    /// Newer than the record of the same name in `workers`.
    private(set) var states: [String: StateChange] = [:]
    private(set) var events: [EventRecord] = []
    /// What did not fit since the last `take`.
    private(set) var droppedEvents = 0
    private(set) var droppedWorkers = 0

    init(maximumWorkers: Int, maximumEvents: Int) {
        self.maximumWorkers = maximumWorkers
        self.maximumEvents = maximumEvents
    }

    var isEmpty: Bool { workers.isEmpty && states.isEmpty && events.isEmpty }

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
            guard events.count < maximumEvents else { return droppedEvents += 1 }
            if event.detail.utf8.count > Self.maximumDetailLength {
                event.detail = String(event.detail.unicodeScalars.prefix(Self.maximumDetailLength - 1)) + "…"
            }
            events.append(event)
        case .device, .chat: break  // schema 1 has no tables for them
        }
    }

    /// All that waits; leaves nothing.
    mutating func take() -> PendingChanges {
        let taken = self
        self = PendingChanges(maximumWorkers: maximumWorkers, maximumEvents: maximumEvents)
        return taken
    }

    /// Takes back what could not be written. What has been added since is newer and wins; the events that
    /// were first stay, since they tell how the trouble began.
    mutating func giveBack(_ failed: PendingChanges) {
        for (name, state) in failed.states where workers[name] == nil && states[name] == nil {
            states[name] = state
        }
        for (name, record) in failed.workers where workers[name] == nil {
            guard workers.count < maximumWorkers || states[name] != nil else {
                droppedWorkers += 1
                continue
            }
            workers[name] = record
        }
        let newer = events
        events = failed.events
        let room = maximumEvents - events.count
        events.append(contentsOf: newer.prefix(room))
        droppedEvents += failed.droppedEvents + max(0, newer.count - room)
        droppedWorkers += failed.droppedWorkers
    }

    private func hasRoom(for name: String) -> Bool {
        workers[name] != nil || states[name] != nil || workers.count + states.count < maximumWorkers
    }
}
