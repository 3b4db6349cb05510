import ShuntCore

/// Sends messages to a worker or an MQTT broker, over one connection at a time, and reports how each fared.
///
/// Messages go out in the order of the calls. When the connection is lost, the producer goes to the next worker that the master listed, or
/// asks a master again; over MQTT it goes back to its broker. `ProducerConfiguration.resends` decides about messages without an answer: by
/// default each is sent at most once. Over MQTT with QoS 1 and 2 they go out again where the broker has kept the session. A producer that is
/// no longer needed must be closed.
public final class Producer: Sendable {
    /// As the producer was made.
    public let configuration: ProducerConfiguration
    private let sender: any MessageSender

    private init(_ configuration: ProducerConfiguration, _ sender: any MessageSender) {
        self.configuration = configuration
        self.sender = sender
    }

    /// Connects to a worker of the configuration, to one that its masters name, or to its MQTT broker.
    /// - Throws: `usage` without an address; `address.unavailable`, `connection.lost` or `worker.none` if no server was found within
    ///   `ConnectionOptions.patience`: the error of the last attempt; the error of a broker that refuses the connection for good.
    public static func connect(_ configuration: ProducerConfiguration) async throws(ShuntError) -> Producer {
        try configuration.route.check()
        guard case .mqtt(let broker, let options) = configuration.route else {
            return Producer(configuration, try await ExchangeProducer.connect(configuration))
        }
        let sender = MQTTSender(configuration, broker, options)
        try await sender.client.begin()
        return Producer(configuration, sender)
    }

    /// The worker or broker that messages go to; nil while there is none.
    public var worker: HostPort? { sender.address }

    /// Sends a message, and waits for its acknowledgement: a worker has handed it to every recipient's connection, a broker has taken it; with
    /// MQTT's QoS 0 the system has.
    ///
    /// Many tasks may send at a time. One that sends many messages does better with `pipeline`.
    public func send(_ message: OutgoingMessage) async throws(SendFailure) {
        if let fault = sender.fault(of: message) { throw SendFailure(.notSent, fault) }
        let failure = await withCheckedContinuation { sender.submit(message, .caller($0)) }
        if let failure { throw failure }
    }

    /// Sends a message of these parts: see ``send(_:)``.
    public func send(
        topic: String, payload: [UInt8], format: PayloadFormat = .text, key: String? = nil,
        compression: PayloadCompression = .none
    ) async throws(SendFailure) {
        try await send(
            OutgoingMessage(topic: topic, payload: payload, format: format, key: key, compression: compression))
    }

    /// Takes no more messages, gives up those without an answer, and closes the connection.
    public func close() { sender.close() }

    /// The same, and returns when the server has heard of it. A process that ends right after `close` may leave a broker without the farewell,
    /// which then publishes the will.
    public func disconnect() async { await sender.disconnect() }

    func fault(of message: OutgoingMessage) -> ShuntError? { sender.fault(of: message) }

    /// Sends a message if there is room now.
    func submitIfRoom(_ message: OutgoingMessage, _ ticket: @autoclosure () -> SendTicket) -> Bool {
        sender.submitIfRoom(message, ticket)
    }

    func submit(_ message: OutgoingMessage, _ ticket: SendTicket) { sender.submit(message, ticket) }
}

/// What a producer sends by.
protocol MessageSender: Sendable {
    /// Where messages go; nil while there is no connection.
    var address: HostPort? { get }
    /// The reason why the message cannot be sent at all.
    func fault(of message: OutgoingMessage) -> ShuntError?
    func submitIfRoom(_ message: OutgoingMessage, _ ticket: () -> SendTicket) -> Bool
    func submit(_ message: OutgoingMessage, _ ticket: SendTicket)
    func close()
    func disconnect() async
}
