import ShuntCore
import Synchronization

/// Hands messages that arrive on connections to the application.
final class Inbox<Message: Delivered>: Sendable {
    typealias Limit = DeliveryBuffer<Message, ServerConnection>.Limit

    private struct State {
        var buffer: DeliveryBuffer<Message, ServerConnection>
        var waiters: [(id: Int, continuation: CheckedContinuation<Void, Never>)] = []
        var nextWaiter = 0

        mutating func takeWaiters() -> [CheckedContinuation<Void, Never>] {
            guard !waiters.isEmpty else { return [] }
            defer { waiters = [] }
            return waiters.map(\.continuation)
        }
    }

    private let state: Mutex<State>

    init(limit: Limit) {
        state = Mutex(State(buffer: DeliveryBuffer(limit: limit)))
    }

    /// - Returns: whether the connection should read on.
    func add(_ messages: [Message], from connection: ServerConnection) -> Bool {
        let (readsOn, waiters) = state.withLock { state in
            (state.buffer.add(messages, from: connection), state.takeWaiters())
        }
        for waiter in waiters { waiter.resume() }
        return readsOn
    }

    /// Takes an event of the connections themselves; it is lost if there is no room.
    func note(_ message: Message) {
        let waiters = state.withLock { state in
            state.buffer.note(message)
            return state.takeWaiters()
        }
        for waiter in waiters { waiter.resume() }
    }

    func finish(_ result: Result<Void, ShuntError>) {
        let waiters = state.withLock { state in
            state.buffer.finish(result)
            return state.takeWaiters()
        }
        for waiter in waiters { waiter.resume() }
    }

    /// All messages that wait; waits for one if there is none.
    /// - Returns: nil at the end, or when the task is cancelled.
    func next() async throws(ShuntError) -> [Message]? {
        while true {
            let (batch, end) = state.withLock { ($0.buffer.take(), $0.buffer.end) }
            for connection in batch.resumed { connection.resumeReading() }
            if !batch.messages.isEmpty { return batch.messages }
            if let end {
                try end.get()
                return nil
            }
            if Task.isCancelled { return nil }
            await waitForChange()
        }
    }

    private func waitForChange() async {
        let id = state.withLock { state in
            state.nextWaiter += 1
            return state.nextWaiter
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waits = state.withLock { state in
                    guard state.buffer.isEmpty, state.buffer.end == nil, !Task.isCancelled else { return false }
                    state.waiters.append((id, continuation))
                    return true
                }
                if !waits { continuation.resume() }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0).continuation }
            }
            waiter?.resume()
        }
    }
}

/// Takes the messages of an inbox one by one.
public struct InboxIterator<Message: Sendable>: AsyncIteratorProtocol {
    private let nextBatch: @Sendable () async throws(ShuntError) -> [Message]?
    private var batch: [Message] = []
    private var position = 0

    /// - Parameter nextBatch: at least one message; nil at the end.
    init(_ nextBatch: @escaping @Sendable () async throws(ShuntError) -> [Message]?) { self.nextBatch = nextBatch }

    /// The next one; waits for it. nil at the end.
    public mutating func next(isolation actor: isolated (any Actor)? = #isolation) async throws(ShuntError) -> Message? {
        if position == batch.count {
            guard let next = try await nextBatch() else { return nil }
            batch = next
            position = 0
        }
        defer { position += 1 }
        return batch[position]
    }
}
