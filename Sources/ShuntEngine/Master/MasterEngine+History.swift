import ShuntCore

/// The history of the workers' figures goes to the registry; the master keeps the steps that are not over.
extension MasterEngine {
    /// The steps that are kept (`master.registry.history`). Set it before the first worker comes.
    public var historySteps: [HistoryStep] {
        get { history.steps }
        set { history.steps = newValue }
    }

    /// What the registry has of steps that are not over.
    public func restoreHistory(_ points: [HistoryPoint], now: Double) { history.restore(points, now: now) }

    /// The master ends: what it has of steps that are not over goes to the registry.
    public func flushHistory() { record(history.flush()) }

    func tickHistory(now: Double) { record(history.tick(now: now)) }

    /// A worker has told its figures, or is away.
    func recordHistory(of change: RegistryChange, now: Double) {
        switch change {
        case .worker(let worker):
            record(history.heartbeat(worker, now: now))
            if worker.state.isAway { record(history.lost(worker.name)) }
        case .workerState(let name, let state, _) where state.isAway: record(history.lost(name))
        default: break
        }
    }

    private func record(_ points: [HistoryPoint]) { for point in points { changes.append(.history(point)) } }
}
