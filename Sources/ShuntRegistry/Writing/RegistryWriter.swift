import Dispatch
import Logging
import ShuntCore
import Synchronization

/// Takes changes from any thread without blocking it, and writes them in one transaction per batch interval on a
/// thread of its own. Where many devices or chats come at once, transactions of a bounded size follow one another, so
/// that what happens meanwhile is written between them.
///
/// What cannot be written (disk full, locked) waits and is tried again; meanwhile memory stays bounded: of each worker,
/// device and chat the newest alone is kept, and what is beyond the bounds is dropped and counted.
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
        /// As many again may be in writing.
        public var maximumPendingDevices = 400_000
        /// As many again may be in writing.
        public var maximumPendingChats = 400_000
        /// As many again may be in writing. Workers wait once there are half as many.
        public var maximumPendingClients = 200_000
        /// As many again may be in writing: those of 2,000 workers of seven minutes.
        public var maximumPendingHistory = 100_000
        /// The steps of the history that are kept.
        public var historyKept = HistoryStep.allCases
        /// How many devices, chats, clients and points of the history one transaction writes, of each.
        public var rowsPerTransaction = 5_000

        public init() {}
    }

    /// What the writer has done, since it was opened.
    public struct Figures: Codable, Equatable, Sendable {
        public var batches = 0
        public var failures = 0
        public var droppedEvents = 0
        public var droppedWorkers = 0
        public var droppedDevices = 0
        public var droppedChats = 0
        public var droppedClients = 0
        public var droppedHistory = 0
        /// Waiting at this moment.
        public var pendingWorkers = 0
        public var pendingEvents = 0
        public var pendingDevices = 0
        public var pendingChats = 0
        public var pendingClients = 0
        public var pendingHistory = 0
    }

    private struct State {
        var pending: PendingChanges
        /// Taken from `pending` and older than what is there; the queue alone takes from it.
        var devices: RowBatch<DeviceUpdate>
        var chats: RowBatch<ChatUpdate>
        var clients: RowBatch<ClientUpdate>
        var history: RowBatch<HistoryUpdate>
        var figures = Figures()
        var lag = WriteLag()
        var isScheduled = false
        var isClosed = false
        /// Failures in a row.
        var failuresInARow = 0
        /// Why the last try failed.
        var problem: ShuntError?

        init(_ limits: PendingChanges.Limits) {
            pending = PendingChanges(limits: limits)
            devices = pending.devices.take()
            chats = pending.chats.take()
            clients = pending.clients.take()
            history = pending.history.take()
        }

        var isWritingRows: Bool { !devices.isEmpty || !chats.isEmpty || !clients.isEmpty || !history.isEmpty }
    }

    private let store: any RegistryStore
    private let configuration: Configuration
    private let logger: Logger
    private let queue = DispatchQueue(label: "shunt.registry.writer")
    private let state: Mutex<State>
    private let toldOfEvents = Mutex<(@Sendable () -> Void)?>(nil)

    init(store: any RegistryStore, configuration: Configuration, logger: Logger) {
        self.store = store
        self.configuration = configuration
        self.logger = logger
        state = Mutex(
            State(
                .init(
                    workers: configuration.maximumPendingWorkers, events: configuration.maximumPendingEvents,
                    devices: configuration.maximumPendingDevices, chats: configuration.maximumPendingChats,
                    clients: configuration.maximumPendingClients, history: configuration.maximumPendingHistory)))
    }

    public var figures: Figures {
        state.withLock { state in
            var figures = state.figures
            figures.pendingWorkers = state.pending.workers.count + state.pending.states.count
            figures.pendingEvents = state.pending.events.count
            figures.droppedEvents += state.pending.droppedEvents
            figures.droppedWorkers += state.pending.droppedWorkers
            figures.pendingDevices = state.pending.devices.count + state.devices.count
            figures.pendingChats = state.pending.chats.count + state.chats.count
            figures.pendingClients = state.pending.clients.count + state.clients.count
            figures.droppedDevices += state.pending.devices.dropped
            figures.droppedChats += state.pending.chats.dropped
            figures.droppedClients += state.pending.clients.dropped
            figures.pendingHistory = state.pending.history.count + state.history.count
            figures.droppedHistory += state.pending.history.dropped
            return figures
        }
    }

    /// Whether workers should tell more of their clients: less than half of what may wait does.
    public var hasRoomForClients: Bool { state.withLock { $0.pending.clients.count < configuration.maximumPendingClients / 2 } }
    /// How long changes waited until they were written, and how long the oldest that waits has.
    public var lag: (times: TimeHistogram, seconds: Double) { state.withLock { ($0.lag.times, $0.lag.seconds) } }

    /// nil while changes are written, else why they are not.
    var problem: ShuntError? { store.fault ?? state.withLock { $0.problem } }

    /// Takes the changes; they are written within the batch interval. Never blocks. After `close` they are ignored.
    public func submit(_ changes: [RegistryChange]) {
        guard !changes.isEmpty else { return }
        let delay: Duration? = state.withLock { state in
            guard !state.isClosed else { return nil }
            for change in changes { state.pending.add(change) }
            state.lag.submitted()
            return schedule(&state)
        }
        if let delay { writeLater(delay) }
    }

    /// Calls the closure whenever new events are in the registry, on the writer's thread: it must not block.
    public func whenEventsAreWritten(_ call: @escaping @Sendable () -> Void) { toldOfEvents.withLock { $0 = call } }

    /// Writes all that was submitted before, now.
    public func flush() async throws(ShuntError) {
        try await writeOnQueue().get()
    }

    /// Writes the registry's file anew without the room that nothing takes. What is submitted meanwhile waits.
    public func vacuum() async throws(ShuntError) -> RegistryVacuum {
        let result: Result<RegistryVacuum, ShuntError> = await withCheckedContinuation { continuation in
            queue.async { [store] in
                do throws(ShuntError) {
                    continuation.resume(returning: .success(try store.vacuum()))
                } catch {
                    continuation.resume(returning: .failure(error))
                }
            }
        }
        return try result.get()
    }

    /// Takes no more changes and writes what waits.
    func close() async -> Result<Void, ShuntError> {
        state.withLock { $0.isClosed = true }
        return await writeOnQueue()
    }

    private func writeOnQueue() async -> Result<Void, ShuntError> {
        await withCheckedContinuation { continuation in
            queue.async { continuation.resume(returning: self.writeAll()) }
        }
    }

    private func writeLater(_ delay: Duration) {
        let (seconds, attoseconds) = delay.components
        let nanoseconds = Int(seconds) * 1_000_000_000 + Int(attoseconds / 1_000_000_000)
        queue.asyncAfter(deadline: .now() + .nanoseconds(nanoseconds)) { [weak self] in
            guard let self else { return }
            state.withLock { $0.isScheduled = false }
            _ = writeNext()
        }
    }

    /// When to write next; nil where that is settled already.
    private func schedule(_ state: inout State) -> Duration? {
        guard !state.isScheduled, !state.isClosed, state.isWritingRows || !state.pending.isEmpty else { return nil }
        state.isScheduled = true
        if state.failuresInARow == 0, state.isWritingRows { return .zero }
        let factor = 1 << min(state.failuresInARow, 16)
        return min(configuration.batchInterval * factor, max(configuration.maximumRetryDelay, configuration.batchInterval))
    }

    // MARK: On the queue

    /// All that waits now. What comes meanwhile may wait.
    private func writeAll() -> Result<Void, ShuntError> {
        // First the rows that were being written, then those that waited behind them.
        for _ in 0..<2 {
            repeat {
                if case .failure(let error) = writeNext() { return .failure(error) }
            } while state.withLock { $0.isWritingRows }
        }
        return .success(())
    }

    /// One transaction.
    private func writeNext() -> Result<Void, ShuntError> {
        let batch = takeBatch()
        guard !batch.isEmpty else { return .success(()) }
        state.withLock { $0.lag.taken() }
        do throws(RegistryWriteFailure) {
            try store.write(batch, keepingEvents: configuration.eventsKept)
        } catch {
            failed(batch, error)
            return .failure(error.error)
        }
        succeeded(batch)
        return .success(())
    }

    private func takeBatch() -> RegistryBatch {
        takeRows()
        let (changes, devices, chats, clients, history) = state.withLock { ($0.pending.take(), $0.devices, $0.chats, $0.clients, $0.history) }
        // Made here rather than under the lock, which submitting threads wait for.
        return RegistryBatch(
            changes: changes, devices: devices.chunk(limit: configuration.rowsPerTransaction),
            chats: chats.chunk(limit: configuration.rowsPerTransaction), clients: clients.chunk(limit: configuration.rowsPerTransaction),
            history: history.chunk(limit: configuration.rowsPerTransaction))
    }

    /// When those that were taken before are written, takes the next.
    private func takeRows() {
        let dropped =
            take(\.devices, \.pending.devices, \.figures.droppedDevices) + take(\.chats, \.pending.chats, \.figures.droppedChats)
            + take(\.clients, \.pending.clients, \.figures.droppedClients) + take(\.history, \.pending.history, \.figures.droppedHistory)
        if dropped > 0 {
            logger.warning("The registry could not keep all that happened", metadata: ["devices_chats_clients_and_history": "\(dropped)"])
        }
    }

    /// - Returns: how many were dropped meanwhile.
    private func take<Update>(
        _ written: WritableKeyPath<State, RowBatch<Update>>, _ pending: WritableKeyPath<State, PendingRows<Update>>,
        _ dropped: WritableKeyPath<State, Int>
    ) -> Int {
        let taken: RowBatch<Update>? = state.withLock { state in
            guard state[keyPath: written].isEmpty, state[keyPath: pending].count > 0 else { return nil }
            let rows = state[keyPath: pending].take()
            state[keyPath: written] = rows
            state[keyPath: dropped] += rows.dropped
            return rows
        }
        guard var rows = taken else { return 0 }
        // Sorted here rather than under the lock, which submitting threads wait for.
        rows.sort()
        state.withLock { [rows] in $0[keyPath: written] = rows }
        return rows.dropped
    }

    private func succeeded(_ batch: RegistryBatch) {
        let changes = batch.changes
        let (failures, delay): (Int, Duration?) = state.withLock { state in
            let failures = state.failuresInARow
            state.failuresInARow = 0
            state.problem = nil
            state.figures.batches += 1
            state.lag.written()
            state.figures.droppedEvents += changes.droppedEvents
            state.figures.droppedWorkers += changes.droppedWorkers
            state.devices.remove(batch.devices)
            state.chats.remove(batch.chats)
            state.clients.remove(batch.clients)
            state.history.remove(batch.history)
            return (failures, schedule(&state))
        }
        if !changes.events.isEmpty { toldOfEvents.withLock { $0 }?() }
        if failures > 0 { logger.notice("The registry is written again", metadata: ["failures": "\(failures)"]) }
        if changes.droppedEvents + changes.droppedWorkers > 0 {
            logger.warning(
                "The registry could not keep all that happened",
                metadata: ["events": "\(changes.droppedEvents)", "workers": "\(changes.droppedWorkers)"])
        }
        if let delay { writeLater(delay) }
    }

    private func failed(_ batch: RegistryBatch, _ failure: RegistryWriteFailure) {
        let changes = batch.changes
        let (failures, delay): (Int, Duration?) = state.withLock { state in
            state.figures.failures += 1
            state.failuresInARow += 1
            state.problem = failure.error
            if failure.mayPass {
                state.pending.giveBack(changes)
            } else {
                state.lag.written()
                state.figures.droppedEvents += changes.events.count + changes.droppedEvents
                state.figures.droppedWorkers += changes.workers.count + changes.droppedWorkers
                state.figures.droppedDevices += batch.devices.count
                state.figures.droppedChats += batch.chats.count
                state.figures.droppedClients += batch.clients.count
                state.figures.droppedHistory += batch.history.count
                state.devices.remove(batch.devices)
                state.chats.remove(batch.chats)
                state.clients.remove(batch.clients)
                state.history.remove(batch.history)
            }
            return (state.failuresInARow, schedule(&state))
        }
        // Once in a row; /readyz says so as long as it lasts.
        if failures == 1 {
            logger.error(
                "The registry cannot be written",
                metadata: ["error": "\(failure.error)", "then": failure.mayPass ? "tried again" : "dropped"])
        }
        if let delay { writeLater(delay) }
    }
}
