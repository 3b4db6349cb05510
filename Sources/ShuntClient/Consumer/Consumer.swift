import ExchangeCodec
import NIOCore
import ShuntCore
import Synchronization

/// Takes the messages of a topic from every worker that the masters list, and from new workers as they come.
///
/// One task takes the messages, by iterating or by `nextBatch`. While it is slow, the consumer reads nothing more from the workers. The
/// sequence ends when the consumer is closed or the iterating task is cancelled, and fails if a worker refuses the subscription for good. A
/// consumer that is no longer needed must be closed.
public final class Consumer: AsyncSequence, Sendable {
    public typealias Element = ReceivedMessage
    public typealias Failure = ShuntError

    public let configuration: ConsumerConfiguration
    private let inbox: Inbox<ReceivedMessage>
    private let task = Mutex<Task<Void, Never>?>(nil)

    private init(_ configuration: ConsumerConfiguration) {
        self.configuration = configuration
        inbox = Inbox<ReceivedMessage>(
            limit: .init(messages: configuration.bufferedMessages, bytes: configuration.bufferedBytes))
    }

    /// Finds the workers and subscribes at all of them; returns as soon as one has taken the subscription.
    /// - Parameter onEvent: gets the events of the connections. Must be quick.
    /// - Throws: `usage` or `topic.invalid` for a configuration that cannot work; the error of a worker that refuses the subscription;
    ///   `address.unavailable`, `connection.lost` or `worker.none` if none was reached within `ConnectionOptions.patience`.
    public static func subscribe(
        _ configuration: ConsumerConfiguration, onEvent: @escaping @Sendable (ConsumerEvent) -> Void = { _ in }
    ) async throws(ShuntError) -> Consumer {
        try configuration.check()
        let consumer = Consumer(configuration)
        let start = FirstResult()
        let subscriber = Subscriber(configuration: configuration, inbox: consumer.inbox, start: start, onEvent: onEvent)
        consumer.task.withLock { $0 = Task { await subscriber.run() } }
        do throws(ShuntError) {
            try await start.value.get()
        } catch {
            consumer.close()
            throw error
        }
        return consumer
    }

    /// All messages that are there, at least one; waits for them.
    /// - Returns: nil at the end.
    /// - Throws: the error of a worker that refused the subscription.
    public func nextBatch() async throws(ShuntError) -> [ReceivedMessage]? {
        try await inbox.next()
    }

    /// Ends the sequence and closes the connections.
    public func close() {
        inbox.finish(.success(()))
        task.withLock { $0?.cancel() }
    }

    public func makeAsyncIterator() -> InboxIterator<ReceivedMessage> { InboxIterator(inbox) }
}
