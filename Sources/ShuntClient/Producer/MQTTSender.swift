import ShuntCore

/// A producer that speaks MQTT.
struct MQTTSender: MessageSender {
    let client: MQTTClient<ReceivedMessage>

    init(_ configuration: ProducerConfiguration, _ broker: HostPort, _ options: MQTTOptions) {
        var settings = options.settings(broker, configuration.connection, returnPatience: configuration.returnPatience)
        settings.window = configuration.window
        settings.windowBytes = configuration.windowBytes
        settings.resends = configuration.resends
        settings.acknowledgementTimeout = configuration.acknowledgementTimeout
        // Without subscriptions nothing comes but what a session of before has subscribed to, which nobody here would take.
        client = MQTTClient(
            settings, options: configuration.connection, failsWithoutSubscriber: options.failsWithoutSubscriber,
            limit: .init(messages: 1, bytes: 1), read: { _ in SessionReading() }, news: { _ in nil })
    }

    var address: HostPort? { client.address }
    func fault(of message: OutgoingMessage) -> ShuntError? { client.fault(of: message) }

    func submitIfRoom(_ message: OutgoingMessage, _ ticket: () -> SendTicket) -> Bool {
        client.submitIfRoom(message) { .send(ticket()) }
    }

    func submit(_ message: OutgoingMessage, _ ticket: SendTicket) { client.submit(message, .send(ticket)) }
    func close() { client.close() }
    func disconnect() async { await client.disconnect() }
}
