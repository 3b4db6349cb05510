import MQTTCodec
import ShuntCore

extension OutgoingMessage {
    /// The name of the user property that carries the key.
    static let keyProperty = "key"
    /// The name of the user property that tells of a compressed payload.
    static let compressionProperty = "compression"

    /// The reason why the message cannot be published; nil if it can.
    /// - Parameters:
    ///   - qos: of a message that names none.
    ///   - brokerLimits: of these, the packet's size is not looked at.
    func mqttFault(_ version: MQTTVersion, qos: QoS, brokerLimits: BrokerLimits = .none) -> ShuntError? {
        if let fault = topicFault ?? propertyFault(version) { return fault }
        guard (mqtt.qos ?? qos) <= brokerLimits.maximumQoS else {
            return ShuntError(
                .requestUnsupported, "the broker takes messages of QoS \(brokerLimits.maximumQoS.rawValue) at most", help: "ask for less")
        }
        guard !mqtt.isRetained || brokerLimits.takesRetained else {
            return ShuntError(.requestUnsupported, "the broker keeps no retained messages", help: "send it without")
        }
        return nil
    }

    private var topicFault: ShuntError? {
        for case (let what, let topic?) in [("topic", topic), ("response topic", mqtt.responseTopic)] {
            if topic.isEmpty { return ShuntError(.topicInvalid, "the \(what) is empty", help: "a name such as orders/1") }
            guard MQTTText.isAllowed(topic), !topic.utf8.contains(where: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "#") }) else {
                return ShuntError(
                    .topicInvalid, "the \(what) has a wildcard or NUL in it, or is too long", help: "+ and # are for subscriptions")
            }
        }
        return nil
    }

    private func propertyFault(_ version: MQTTVersion) -> ShuntError? {
        let hasKey = !(key?.isEmpty ?? true)
        guard version.hasProperties else {
            guard !mqtt.needsProperties, !hasKey, compression == .none else {
                let what = hasKey ? "a key" : compression != .none ? "a compressed payload" : "properties"
                return ShuntError(.requestUnsupported, "MQTT 3.1.1 does not carry \(what)", help: "5.0 does")
            }
            return nil
        }
        let texts = [key, mqtt.contentType].compactMap { $0 } + mqtt.userProperties.flatMap { [$0.name, $0.value] }
        guard texts.allSatisfy(MQTTText.isAllowed), mqtt.correlationData?.count ?? 0 <= 65_535 else {
            return ShuntError(.requestInvalid, "a property of the message is too long, or has NUL in it", help: "at most 65535 bytes")
        }
        return nil
    }

    /// Its PUBLISH.
    /// - Parameters:
    ///   - qos: of a message that names none.
    ///   - identifier: left out with QoS 0.
    /// - Returns: nil if the packet has more bytes than this limit, or than a packet can have.
    func publishPacket(_ version: MQTTVersion, qos: QoS, identifier: UInt16, isDuplicate: Bool = false, limit: Int = .max) -> [UInt8]? {
        var topic = topic
        let properties = version.hasProperties ? publishProperties.encoded() : []
        return payload.withUnsafeBytes { payload in
            topic.withUTF8 { topic in
                properties.withUnsafeBytes { properties in
                    var fields = PublishFields(
                        version, topic: Bytes(topic), payload: payload, qos: mqtt.qos ?? qos, isRetained: mqtt.isRetained,
                        identifier: identifier, encodedProperties: properties)
                    fields.isDuplicate = isDuplicate
                    return fields.isExpressible && fields.size <= limit ? fields.encoded() : nil
                }
            }
        }
    }

    /// The properties of its PUBLISH, or of a will.
    var publishProperties: Properties {
        var properties = Properties()
        properties.messageExpiry = mqtt.messageExpiry
        properties.responseTopic = mqtt.responseTopic
        properties.correlationData = mqtt.correlationData
        properties.userProperties = mqtt.userProperties
        if let key, !key.isEmpty { properties.userProperties.append(UserProperty(Self.keyProperty, key)) }
        if compression != .none {
            properties.userProperties.append(UserProperty(Self.compressionProperty, "\(compression)"))
        } else if format == .json || (format == .text && String(validating: payload, as: UTF8.self) != nil) {
            properties.payloadFormat = 1
            properties.contentType = format == .json ? MQTTContentType.json : MQTTContentType.text
        }
        properties.contentType = mqtt.contentType ?? properties.contentType
        return properties
    }
}

/// The content types that stand for the exchange protocol's formats.
enum MQTTContentType {
    static let json = "application/json"
    static let text = "text/plain"
}

extension ReceivedMessage {
    /// - Throws: a fault of its properties.
    init(_ view: PublishView) throws(MQTTFault) {
        self.init(topic: String(decoding: view.topic, as: UTF8.self), payload: [UInt8](view.payload), id: Int64(view.identifier))
        var mqtt = MQTTProperties()
        mqtt.qos = view.qos
        mqtt.isRetained = view.isRetained
        mqtt.isDuplicate = view.isDuplicate
        if view.encodedProperties.count > 1 {
            let properties = try view.readProperties()
            mqtt.messageExpiry = properties.messageExpiry
            mqtt.contentType = properties.contentType
            mqtt.responseTopic = properties.responseTopic
            mqtt.correlationData = properties.correlationData
            mqtt.userProperties = properties.userProperties
            mqtt.subscriptionIdentifiers = properties.subscriptionIdentifiers
            if properties.contentType == MQTTContentType.json { format = .json }
            key = mqtt[OutgoingMessage.keyProperty]
            let packed: [PayloadCompression] = [.gzip, .lz4, .snappy]
            compression = mqtt[OutgoingMessage.compressionProperty].flatMap { name in packed.first { "\($0)" == name } } ?? .none
        }
        self.mqtt = mqtt
    }
}
