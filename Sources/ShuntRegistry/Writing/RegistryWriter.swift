import Dispatch
import GRDB
import Logging
import ShuntCore
import Synchronization

/// Takes changes from any thread without blocking it, and writes them in one transaction per batch interval on a
/// thread of its own.
///
/// What cannot be written (disk full, locked) waits and is tried again; meanwhile memory stays bounded: of each worker the
/// newest record alone is kept, and events beyond the bound are dropped and counted.
public final class RegistryWriter: Sendable {
    public struct Configuration: Sendable {
        /// How long changes are gathered before they are written; what a kill of the process can lose.
        public var batchInterval: Duration = .milliseconds(200)
        /// The longest pause between two tries when the registry cannot be written.
        public var maximumRetryDelay: Duration = .seconds(5)
        /// How many events the registry keeps, newest first.
        public var eventsKept = 10_000
        public var maximumPendingWorkers = 20_000
        public var maximumPendingEvents = 10_000

        public init() {}
    }

    /// What the writer has done, since it was opened.
    public struct Figures: Codable, Equatable, Sendable {
        public var batches = 0
        public var failures = 0
        public var droppedEvents = 0
        public var droppedWorkers = 0
        /// Waiting at this moment.
        public var pendingWorkers = 0
        public var pendingEvents = 0
    }

    private struct State {
        var pending: PendingChanges
        var figures = Figures()
        var isScheduled = false
        var isClosed = false
        /// Failures in a row.
        var failuresInARow = 0
    }

    private let database: any DatabaseWriter
    private let path: String
    private let configuration: Configuration
    private let logger: Logger
    private let queue = DispatchQueue(label: "shunt.registry.writer")
    private let state: Mutex<State>

    init(database: any DatabaseWriter, path: String, configuration: Configuration, logger: Logger) {
        self.database = database
        self.path = path
        self.configuration = configuration
        self.logger = logger
        state = Mutex(
            State(
                pending: PendingChanges(
                    maximumWorkers: configuration.maximumPendingWorkers, maximumEvents: configuration.maximumPendingEvents)))
    }

    public var figures: Figures {
        state.withLock { state in
            var figures = state.figures
            figures.pendingWorkers = state.pending.workers.count + state.pending.states.count
            figures.pendingEvents = state.pending.events.count
            figures.droppedEvents += state.pending.droppedEvents
            figures.droppedWorkers += state.pending.droppedWorkers
            return figures
        }
    }

    /// Takes the changes; they are written within the batch interval. Never blocks. After `close` they are ignored.
    public func submit(_ changes: [RegistryChange]) {
        guard !changes.isEmpty else { return }
        let delay: Duration? = state.withLock { state in
            guard !state.isClosed else { return nil }
            for change in changes { state.pending.add(change) }
            return schedule(&state)
        }
        if let delay { writeLater(delay) }
    }

    /// Writes all that was submitted before, now.
    public func flush() async throws(ShuntError) {
        try await writeOnQueue().get()
    }

    /// Takes no more changes and writes what waits.
    func close() async -> Result<Void, ShuntError> {
        state.withLock { $0.isClosed = true }
        return await writeOnQueue()
    }

    private func writeOnQueue() async -> Result<Void, ShuntError> {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: self.writePending()) }
        }
    }

    private func writeLater(_ delay: Duration) {
        let (seconds, attoseconds) = delay.components
        let nanoseconds = Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000)
        queue.asyncAfter(deadline: .now() + .nanoseconds(nanoseconds)) { [weak self] in
            guard let self else { return }
            state.withLock { $0.isScheduled = false }
            _ = writePending()
        }
    }

    /// When to write next; nil where that is settled already.
    private func schedule(_ state: inout State) -> Duration? {
        guard !state.isScheduled, !state.isClosed, !state.pending.isEmpty else { return nil }
        state.isScheduled = true
        let factor = 1 << min(state.failuresInARow, 16)
        return min(configuration.batchInterval * factor, max(configuration.maximumRetryDelay, configuration.batchInterval))
    }

    /// One transaction. Runs on the queue alone.
    private func writePending() -> Result<Void, ShuntError> {
        let batch = state.withLock { $0.pending.take() }
        guard !batch.isEmpty else { return .success(()) }
        do {
            try database.write { db in try batch.write(to: db, eventsKept: configuration.eventsKept) }
            succeeded(batch)
            return .success(())
        } catch {
            failed(batch, error)
            return .failure(RegistryFailure.describe(error, path: path))
        }
    }

    private func succeeded(_ batch: PendingChanges) {
        let failures = state.withLock { state in
            defer { state.failuresInARow = 0 }
            state.figures.batches += 1
            state.figures.droppedEvents += batch.droppedEvents
            state.figures.droppedWorkers += batch.droppedWorkers
            return state.failuresInARow
        }
        if failures > 0 { logger.notice("The registry is written again", metadata: ["failures": "\(failures)"]) }
        if batch.droppedEvents + batch.droppedWorkers > 0 {
            logger.warning(
                "The registry could not keep all that happened",
                metadata: ["events": "\(batch.droppedEvents)", "workers": "\(batch.droppedWorkers)"])
        }
    }

    private func failed(_ batch: PendingChanges, _ error: any Error) {
        let mayPass = RegistryFailure.mayPass(error)
        let (failures, delay): (Int, Duration?) = state.withLock { state in
            state.figures.failures += 1
            state.failuresInARow += 1
            if mayPass {
                state.pending.giveBack(batch)
            } else {
                state.figures.droppedEvents += batch.events.count + batch.droppedEvents
                state.figures.droppedWorkers += batch.workers.count + batch.droppedWorkers
            }
            return (state.failuresInARow, schedule(&state))
        }
        // The 1st, 2nd, 4th, 8th … in a row: enough to be seen, not enough to fill a log.
        if failures & (failures - 1) == 0 {
            let described = RegistryFailure.describe(error, path: path)
            logger.error(
                "The registry cannot be written",
                metadata: [
                    "error": "\(described)", "failures": "\(failures)", "then": mayPass ? "tried again" : "dropped",
                ])
        }
        if let delay { writeLater(delay) }
    }
}
