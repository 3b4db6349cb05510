import ShuntCore

/// A message to send.
public struct OutgoingMessage: Equatable, Sendable {
    /// The topic, without wildcards.
    public var topic: String
    /// The key; nil and an empty key are the same on the wire. Over MQTT it is the user property `key`, and 3.1.1 carries none.
    public var key: String?
    /// The payload as it goes over the wire: compressed already if `compression` says so. Over the exchange protocol not empty: it cannot
    /// carry an empty value (§3).
    public var payload: [UInt8]
    /// Text or JSON; nothing else may be sent (§4.3).
    public var format: PayloadFormat
    /// How the payload is compressed.
    public var compression: PayloadCompression
    /// What only MQTT carries. The exchange protocol refuses a message that has any of it.
    public var mqtt: MQTTProperties

    /// A message of these parts.
    public init(
        topic: String, payload: [UInt8], format: PayloadFormat = .text, key: String? = nil,
        compression: PayloadCompression = .none, mqtt: MQTTProperties = .none
    ) {
        self.topic = topic
        self.key = key
        self.payload = payload
        self.format = format
        self.compression = compression
        self.mqtt = mqtt
    }

    /// A message whose payload is a text.
    public init(topic: String, text: String, key: String? = nil) {
        self.init(topic: topic, payload: Array(text.utf8), key: key)
    }

    /// A message whose payload is a JSON text.
    public init(topic: String, json: String, key: String? = nil) {
        self.init(topic: topic, payload: Array(json.utf8), format: .json, key: key)
    }
}

/// A message that came to a consumer.
public struct ReceivedMessage: Equatable, Sendable {
    /// The topic that it was published to.
    public var topic: String
    /// The key; nil if it has none.
    public var key: String?
    /// The payload as it came: still compressed if `compression` says so; see `unpackedPayload`.
    public var payload: [UInt8]
    /// Text or JSON.
    public var format: PayloadFormat
    /// How the payload is compressed.
    public var compression: PayloadCompression
    /// The sender's frame id. Opaque, and not unique (exchange protocol §7). Over MQTT the packet identifier, 0 with QoS 0.
    public var id: Int64
    /// What MQTT says of it; nil if it came by the exchange protocol.
    public var mqtt: MQTTProperties?

    /// A message of these parts.
    public init(
        topic: String, key: String? = nil, payload: [UInt8], format: PayloadFormat = .text,
        compression: PayloadCompression = .none, id: Int64 = 0, mqtt: MQTTProperties? = nil
    ) {
        self.topic = topic
        self.key = key
        self.payload = payload
        self.format = format
        self.compression = compression
        self.id = id
        self.mqtt = mqtt
    }
}
