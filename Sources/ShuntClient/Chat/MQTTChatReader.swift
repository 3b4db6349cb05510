import ShuntCore

/// Makes events of the messages of a chat's topic.
struct MQTTChatReader: Sendable {
    /// What a message that ends the chat has behind the chat's topic.
    static let destruction = "/destroy"
    /// The user property that carries a sender's name.
    static let nameProperty = "name"

    let chat: String

    func read(_ message: ReceivedMessage) -> SessionReading<ChatEvent> {
        if message.topic.hasSuffix(Self.destruction), message.topic == ChatConfiguration.mqttTopic(of: chat) + Self.destruction {
            return SessionReading(message: .closed, turn: .over(.chatOver))
        }
        let sender = message.mqtt?[Self.nameProperty].map { ChatPeer(name: $0) }
        return SessionReading(
            message: .message(
                ChatMessage(sender: sender, payload: message.payload, format: message.format, compression: message.compression)))
    }

    func read(_ news: SessionNews) -> ChatEvent {
        switch news {
        case .attached(let broker, let isBack): isBack ? .reconnected(broker) : .entered(broker)
        case .lost(let broker, let error): .lost(broker, error)
        case .redirected(_, let address): .moved(to: address)
        }
    }
}

extension ChatConfiguration {
    static func mqttTopic(of chat: String) -> String { "$chat/" + chat }
    var mqttTopic: String { Self.mqttTopic(of: chat) }

    /// A message to the other members of a chat at an MQTT broker. In 5.0 it has the sender's name.
    func message(_ payload: [UInt8], format: PayloadFormat, compression: PayloadCompression) -> OutgoingMessage {
        var message = OutgoingMessage(topic: mqttTopic, payload: payload, format: format, compression: compression)
        if let name = identity?.name ?? identity?.uid, case .mqtt(_, let options) = route, options.version.hasProperties {
            message.mqtt.userProperties = [UserProperty(MQTTChatReader.nameProperty, name)]
        }
        return message
    }

    /// - Throws: `usage` or `chat.invalid` where the options cannot be.
    func sessionSettings(_ broker: HostPort, _ options: MQTTOptions) throws(ShuntError) -> MQTTSession<MQTTTicket>.Settings {
        guard !chat.utf8.contains(where: { "+#\0".utf8.contains($0) }) else {
            throw ShuntError(.chatInvalid, "the chat id has +, # or NUL in it", help: "over MQTT a chat is a topic")
        }
        var options = options
        options.userName = options.userName ?? identity?.uid
        // Brokers that know no chats send a member its own messages too.
        options.subscription.isNoLocal = options.version.hasProperties
        try options.check()
        var settings = options.settings(
            broker, connection, returnPatience: returnPatience, endsWithPatience: true, buffered: bufferedEvents)
        settings.resends = resends
        settings.subscription = options.subscription([mqttTopic])
        return settings
    }
}
