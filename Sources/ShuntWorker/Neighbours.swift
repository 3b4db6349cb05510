import ExchangeCodec
import ShuntCore
import Synchronization

/// What a worker knows of the others, by what its master has told it: where to send clients that it cannot serve.
final class Neighbours: Sendable {
    private struct Known {
        /// Workers that have a chat, by name: where clients of each listener reach them.
        var addresses: [String: [String: String]] = [:]
        /// Workers that have room, the least loaded first.
        var room: [WorkerAddresses] = []
        /// Clients that were sent to them since.
        var sent = 0
    }

    private let known = Mutex(Known())
    /// Workers whose addresses are kept. The master tells them again with each redirection.
    private static let capacity = 1024

    func learn(_ worker: WorkerAddresses) {
        known.withLock { known in
            if known.addresses.count >= Self.capacity { known.addresses.removeAll(keepingCapacity: true) }
            known.addresses[worker.worker] = worker.listeners
        }
    }

    func setRoom(_ workers: [WorkerAddresses]) {
        known.withLock { ($0.room, $0.sent) = (workers, 0) }
        for worker in workers { learn(worker) }
    }

    /// The worker for what is not bound to a listener: each that has room in turn.
    func nextWorker() -> String? {
        known.withLock { known in
            guard !known.room.isEmpty else { return nil }
            known.sent += 1
            return known.room[(known.sent - 1) % known.room.count].worker
        }
    }

    /// Where clients of a listener reach a worker: at the listener of the same name.
    /// - Returns: `host:port`; nil where the worker has no such listener. One that the master has not told of, since a rule named it, stands
    ///   for itself.
    func address(of worker: String, listener: String) -> String? {
        known.withLock { known in
            guard let listeners = known.addresses[worker] else { return worker }
            return listeners[listener]
        }
    }

    /// Where a client of a listener finds room: at each worker in turn.
    func room(listener: String) -> String? {
        known.withLock { known in
            let addresses = known.room.compactMap { $0.listeners[listener] }
            guard !addresses.isEmpty else { return nil }
            known.sent += 1
            return addresses[(known.sent - 1) % addresses.count]
        }
    }
}
