import ShuntCore

/// Takes the messages of a topic from every worker that the masters list, and from new workers as they come; or from an MQTT broker.
///
/// One task takes the messages, by iterating or by `nextBatch`. While it is slow, the consumer reads nothing more from the workers. The
/// sequence ends when the consumer is closed or the iterating task is cancelled, and fails if a worker refuses the subscription for good. A
/// consumer that is no longer needed must be closed.
///
/// Over MQTT, messages of QoS 1 and 2 are acknowledged when the application has taken them, by the batch. When the broker has lost the
/// session, the consumer subscribes anew, and misses what was published meanwhile.
public final class Consumer: AsyncSequence, Sendable {
    /// What the sequence gives.
    public typealias Element = ReceivedMessage
    /// What the sequence fails with.
    public typealias Failure = ShuntError

    /// As the consumer was made.
    public let configuration: ConsumerConfiguration
    private let source: Source

    private enum Source: Sendable {
        case workers(Inbox<ReceivedMessage>, Task<Void, Never>)
        case broker(MQTTClient<ReceivedMessage>)
    }

    private init(_ configuration: ConsumerConfiguration, _ source: Source) {
        self.configuration = configuration
        self.source = source
    }

    /// Finds the workers and subscribes at all of them; returns as soon as one has taken the subscription.
    /// - Parameters:
    ///   - configuration: what to take, and from where.
    ///   - onEvent: gets the events of the connections. Must be quick.
    /// - Throws: `usage` or `topic.invalid` for a configuration that cannot work; the error of a worker that refuses the subscription;
    ///   `address.unavailable`, `connection.lost` or `worker.none` if none was reached within `ConnectionOptions.patience`.
    public static func subscribe(
        _ configuration: ConsumerConfiguration, onEvent: @escaping @Sendable (ConsumerEvent) -> Void = { _ in }
    ) async throws(ShuntError) -> Consumer {
        try configuration.check()
        if case .mqtt(let broker, let options) = configuration.route {
            return Consumer(configuration, .broker(try await subscribe(configuration, broker, options, onEvent)))
        }
        let inbox = Inbox<ReceivedMessage>(
            limit: .init(messages: configuration.bufferedMessages, bytes: configuration.bufferedBytes))
        let start = FirstResult()
        let subscriber = Subscriber(configuration: configuration, inbox: inbox, start: start, onEvent: onEvent)
        let consumer = Consumer(configuration, .workers(inbox, Task { await subscriber.run() }))
        do throws(ShuntError) {
            try await start.value.get()
        } catch {
            consumer.close()
            throw error
        }
        return consumer
    }

    private static func subscribe(
        _ configuration: ConsumerConfiguration, _ broker: HostPort, _ options: MQTTOptions,
        _ onEvent: @escaping @Sendable (ConsumerEvent) -> Void
    ) async throws(ShuntError) -> MQTTClient<ReceivedMessage> {
        var settings = options.settings(
            broker, configuration.connection, returnPatience: .seconds(3600), buffered: configuration.bufferedMessages)
        settings.subscription = options.subscription([configuration.filter])
        let key = configuration.key
        let client = MQTTClient<ReceivedMessage>(
            settings, options: configuration.connection, failsWithoutSubscriber: false,
            limit: .init(messages: configuration.bufferedMessages, bytes: configuration.bufferedBytes),
            read: { SessionReading(message: key == nil || $0.key == key ? $0 : nil) },
            news: { event in
                onEvent(ConsumerEvent(event))
                return nil
            })
        try await client.begin()
        return client
    }

    /// All messages that are there, at least one; waits for them.
    /// - Returns: nil at the end.
    /// - Throws: the error of a worker that refused the subscription.
    public func nextBatch() async throws(ShuntError) -> [ReceivedMessage]? {
        switch source {
        case .workers(let inbox, _): try await inbox.next()
        case .broker(let client): try await client.next()
        }
    }

    /// Ends the sequence and closes the connections.
    public func close() {
        switch source {
        case .workers(let inbox, let task):
            inbox.finish(.success(()))
            task.cancel()
        case .broker(let client): client.close()
        }
    }

    /// The same, and returns when an MQTT broker has heard of it: see `Producer.disconnect`.
    public func disconnect() async {
        guard case .broker(let client) = source else { return close() }
        await client.disconnect()
    }

    /// Gives messages one by one. One task iterates.
    public func makeAsyncIterator() -> InboxIterator<ReceivedMessage> {
        InboxIterator { () async throws(ShuntError) in try await self.nextBatch() }
    }
}
