import ExchangeCodec
import ShuntCore

/// A member of a chat.
///
/// The chat is at one worker; the session finds it by following redirects. When the worker is lost, it goes back there, or to where the
/// masters send it, joins again, and sends what was not acknowledged. One task takes the events by iterating. While it is slow, the session
/// reads nothing more from the worker, and `send` waits as well. The sequence ends when the chat does or the session is closed; it fails if
/// the chat does not take the member back or is not found within `ChatConfiguration.returnPatience`. A session that is no longer needed
/// must be closed.
///
/// Over MQTT a chat is the topic `$chat/ID`. The session subscribes it to join, publishes to it to send, and unsubscribes to leave.
public final class ChatSession: AsyncSequence, Sendable {
    /// What the sequence gives.
    public typealias Element = ChatEvent
    /// What the sequence fails with.
    public typealias Failure = ShuntError

    /// As the session was made.
    public let configuration: ChatConfiguration
    private let member: Member

    private enum Member: Sendable {
        case worker(SessionRunner<ChatReader>)
        case broker(MQTTClient<ChatEvent>)
    }

    private init(_ configuration: ChatConfiguration, _ member: Member) {
        self.configuration = configuration
        self.member = member
    }

    /// Joins the chat, or opens it if nobody has.
    /// - Throws: `usage` or `chat.invalid` for a configuration that cannot work; `chat.full`, or another error of the worker that refuses
    ///   the member; `address.unavailable`, `connection.lost` or `worker.none` if the chat was not reached within
    ///   `ConnectionOptions.patience`.
    public static func join(_ configuration: ChatConfiguration) async throws(ShuntError) -> ChatSession {
        try configuration.check()
        let (messages, bytes) = (configuration.bufferedEvents, configuration.bufferedBytes)
        if case .mqtt(let broker, let options) = configuration.route {
            let reader = MQTTChatReader(chat: configuration.chat)
            let client = MQTTClient<ChatEvent>(
                try configuration.sessionSettings(broker, options), options: configuration.connection, failsWithoutSubscriber: false,
                limit: .init(messages: messages, bytes: bytes), read: { reader.read($0) }, news: { reader.read($0) })
            try await client.begin()
            return ChatSession(configuration, .broker(client))
        }
        let runner = SessionRunner<ChatReader>(
            options: configuration.connection, inbox: Inbox(limit: .init(messages: messages, bytes: bytes)))
        try await runner.begin(configuration.route, configuration.sessionSettings, ChatReader(chat: configuration.chat))
        return ChatSession(configuration, .worker(runner))
    }

    /// Sends a message to all other members, and waits for the worker's acknowledgement: it has been handed to the members
    /// that are here, and is held for those that are away.
    ///
    /// Messages go out in the order of the calls. While the worker is lost, they wait.
    public func send(
        _ payload: [UInt8], format: PayloadFormat = .text, compression: PayloadCompression = .none
    ) async throws(SendFailure) {
        let runner: SessionRunner<ChatReader>
        switch member {
        case .broker(let client):
            let message = configuration.message(payload, format: format, compression: compression)
            return try await publish(message, by: client)
        case .worker(let session): runner = session
        }
        let limits = OutgoingMessage(
            topic: configuration.chat, payload: payload, format: format, key: ChatKey.session.rawValue, compression: compression)
        if let fault = limits.fault(frameLimit: configuration.connection.frameLimit) { throw SendFailure(.notSent, fault) }
        let frame = Frame(
            .chat, id: 0, compression: compression, format: format, value: payload, name: configuration.chat,
            key: ChatKey.session.rawValue)
        if let failure = await runner.submit(frame) { throw failure }
    }

    /// Sends a text: see ``send(_:format:compression:)``.
    public func send(_ text: String) async throws(SendFailure) { try await send(Array(text.utf8)) }

    /// Ends the chat for all members, and closes the session.
    public func destroy() async throws(SendFailure) {
        switch member {
        case .worker(let runner):
            if let failure = await runner.submit(.chat(id: 0, .destroy, chat: configuration.chat)) { throw failure }
            runner.close()
        case .broker(let client):
            try await publish(OutgoingMessage(topic: configuration.mqttTopic + MQTTChatReader.destruction, payload: []), by: client)
            await client.disconnect()
        }
    }

    private func publish(_ message: OutgoingMessage, by client: MQTTClient<ChatEvent>) async throws(SendFailure) {
        if let fault = client.fault(of: message) { throw SendFailure(.notSent, fault) }
        if case .failed(let failure) = await client.publish(message) { throw failure }
    }

    /// Leaves the chat for good, and closes the session: the place is free at once, and the worker holds nothing for this member any more.
    /// Waits for the worker's answer as long as for any other. A worker that does not know the request keeps the place, as after a lost
    /// connection.
    public func leave() async {
        let patience = Task {
            try? await Task.sleep(for: configuration.connection.replyTimeout)
            close()
        }
        switch member {
        case .worker(let runner):
            let frame = Frame(.chat, id: 0, text: configuration.chat, name: configuration.chat, key: ChatKey.leave.rawValue)
            _ = await runner.submit(frame)
        case .broker(let client): await client.unsubscribe()
        }
        patience.cancel()
        await disconnect()
    }

    /// All events that are there, at least one; waits for them.
    /// - Returns: nil at the end.
    /// - Throws: the error that ended the session.
    public func nextBatch() async throws(ShuntError) -> [ChatEvent]? {
        switch member {
        case .worker(let runner): try await runner.inbox.next()
        case .broker(let client): try await client.next()
        }
    }

    /// Closes the connection. The worker keeps this member's place for `chat.rejoin`; to give the place up, call `leave`.
    public func close() {
        switch member {
        case .worker(let runner): runner.close()
        case .broker(let client): client.close()
        }
    }

    /// The same, and returns when an MQTT broker has heard of it: see `Producer.disconnect`.
    public func disconnect() async {
        guard case .broker(let client) = member else { return close() }
        await client.disconnect()
    }

    /// Gives events one by one. One task iterates.
    public func makeAsyncIterator() -> InboxIterator<ChatEvent> {
        InboxIterator { () async throws(ShuntError) in try await self.nextBatch() }
    }
}
