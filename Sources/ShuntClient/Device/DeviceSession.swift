import ExchangeCodec
import ShuntCore

/// A device that is registered at a worker, and takes the broadcasts that its uid, tags and alias select.
///
/// It stays registered: when the worker is lost, it registers at the next one that a master names, after a pause with jitter. It misses
/// broadcasts meanwhile. One task takes the notifications by iterating. While it is slow, the session reads nothing more from the worker.
/// The sequence ends when the session is closed, and fails if a worker refuses the registration for good, another connection registers by
/// the same names (`session.replaced`), or no worker was found within `returnPatience`. A session that is no longer needed must be closed.
///
/// Over MQTT the registration is the connection itself: the client id is the device's name, the user name is the uid, and tags and aliases are
/// user properties of CONNECT. Broadcasts come on the topic `$shunt/notify`.
public final class DeviceSession: AsyncSequence, Sendable {
    /// What the sequence gives.
    public typealias Element = DeviceNotification
    /// What the sequence fails with.
    public typealias Failure = ShuntError

    /// As the session was made.
    public let configuration: DeviceConfiguration
    private let source: Source

    private enum Source: Sendable {
        case worker(SessionRunner<DeviceReader>)
        case broker(MQTTClient<DeviceNotification>)
    }

    private init(_ configuration: DeviceConfiguration, _ source: Source) {
        self.configuration = configuration
        self.source = source
    }

    /// Finds the least loaded worker by way of the masters, or connects straight, and registers.
    /// - Parameters:
    ///   - configuration: the device, and where to register it.
    ///   - onEvent: gets the events of the connection. Must be quick.
    /// - Throws: `usage` or `device.invalid` for a configuration that cannot work; the error of a worker that refuses the device;
    ///   `address.unavailable`, `connection.lost` or `worker.none` if none was reached within `ConnectionOptions.patience`.
    public static func register(
        _ configuration: DeviceConfiguration, onEvent: @escaping @Sendable (DeviceEvent) -> Void = { _ in }
    ) async throws(ShuntError) -> DeviceSession {
        try configuration.check()
        let reader = DeviceReader(onEvent: onEvent)
        let (messages, bytes) = (configuration.bufferedMessages, configuration.bufferedBytes)
        if case .mqtt(let broker, let options) = configuration.route {
            let client = MQTTClient<DeviceNotification>(
                try configuration.sessionSettings(broker, options), options: configuration.connection, failsWithoutSubscriber: false,
                limit: .init(messages: messages, bytes: bytes),
                read: { SessionReading(message: DeviceNotification($0)) }, news: { reader.read($0) })
            try await client.begin()
            return DeviceSession(configuration, .broker(client))
        }
        let runner = SessionRunner<DeviceReader>(
            options: configuration.connection, inbox: Inbox(limit: .init(messages: messages, bytes: bytes)))
        try await runner.begin(configuration.route, configuration.sessionSettings(at: ClientClock.system.milliseconds), reader)
        return DeviceSession(configuration, .worker(runner))
    }

    /// All notifications that are there, at least one; waits for them.
    /// - Returns: nil at the end.
    /// - Throws: the error that ended the session.
    public func nextBatch() async throws(ShuntError) -> [DeviceNotification]? {
        switch source {
        case .worker(let runner): try await runner.inbox.next()
        case .broker(let client): try await client.next()
        }
    }

    /// Ends the sequence and closes the connection: the device is gone.
    public func close() {
        switch source {
        case .worker(let runner): runner.close()
        case .broker(let client): client.close()
        }
    }

    /// The same, and returns when an MQTT broker has heard of it: see `Producer.disconnect`.
    public func disconnect() async {
        guard case .broker(let client) = source else { return close() }
        await client.disconnect()
    }

    /// Gives notifications one by one. One task iterates.
    public func makeAsyncIterator() -> InboxIterator<DeviceNotification> {
        InboxIterator { () async throws(ShuntError) in try await self.nextBatch() }
    }
}

extension Frame {
    /// Whether this error says that another connection has registered as the same device.
    fileprivate var isReplacement: Bool {
        guard type == .registered, !isError else { return false }
        let notice = try? decoding { bytes throws(ShuntError) in try ChatNoticeBody(decoding: bytes) }
        return notice?.event == "replaced"
    }
}

struct DeviceReader: SessionReader {
    let onEvent: @Sendable (DeviceEvent) -> Void

    func read(_ frame: Frame) -> SessionReading<DeviceNotification> {
        if frame.isReplacement { return SessionReading(turn: .failed(.replaced)) }
        return SessionReading(message: frame.type == .notify && !frame.isError ? DeviceNotification(frame) : nil)
    }

    func read(_ news: SessionNews) -> DeviceNotification? {
        switch news {
        case .attached(let worker, let isBack): onEvent(.registered(worker, isBack: isBack))
        case .lost(let worker, let error): onEvent(.lost(worker, error))
        case .redirected(let from, let to): onEvent(.redirected(from: from, to: to))
        }
        return nil
    }
}
