import MQTTCodec
import ShuntCore

/// Packets of MQTT, of both versions, and conversations of them.
extension Corpus {
    static let packets: [[UInt8]] = versions.flatMap { greetings($0) + requests($0) }

    /// Each begins with CONNECT.
    static let conversations: [[UInt8]] = versions.flatMap { version in
        greetings(version).map { greeting in greeting + requests(version).joined() } + requests(version).map { greetings(version)[0] + $0 }
    }

    /// Packets, to be put in at random places.
    static let packetTokens: [[UInt8]] = versions.flatMap { requests($0) }

    private static let versions: [MQTTVersion] = [.v3_1_1, .v5]

    private static func greetings(_ version: MQTTVersion) -> [[UInt8]] {
        var lasting = Connect(version: version, clientID: "lasting", isClean: false, keepAlive: 2)
        lasting.will = Connect.Will(topic: "will", payload: [1], qos: .exactlyOnce, isRetained: true)
        lasting.userName = "ada"
        if version.hasProperties {
            lasting.properties.sessionExpiry = 5
            lasting.properties.receiveMaximum = 2
            lasting.properties.topicAliasMaximum = 2
            lasting.properties.maximumPacketSize = 200
            lasting.properties.userProperties = [.init("tag", "ios")]
            lasting.will?.properties.willDelay = 2
        }
        return [lasting.encoded(), Connect(version: version, clientID: "").encoded()]
    }

    private static func requests(_ version: MQTTVersion) -> [[UInt8]] {
        var properties = Properties.none
        properties.topicAlias = 1
        properties.messageExpiry = 2
        properties.contentType = "text/plain"
        properties.payloadFormat = 1
        properties.responseTopic = "answer"
        properties.userProperties = [.init("key", "k"), .init("a", "b")]
        var subscribe = Subscribe(3, [.init("a/+", .exactlyOnce), .init("$share/g/a/b", .atLeastOnce), .init("$shunt/notify"), .init("$chat/room")])
        if version.hasProperties { subscribe.properties.subscriptionIdentifiers = [7] }
        let answers: [PacketType] = [.publishAcknowledgement, .publishReceived, .publishRelease, .publishComplete]
        return [
            subscribe.encoded(version), Unsubscribe(4, ["a/+", "$chat/room"]).encoded(version), Ping.request,
            publish(version, "a/b", .atMostOnce, .none), publish(version, "a/b", .atLeastOnce, properties),
            publish(version, version.hasProperties ? "" : "a/b", .exactlyOnce, properties), publish(version, "$chat/room", .atLeastOnce, .none),
            publish(version, "$shunt/notify", .exactlyOnce, .none),
            Disconnect(version.hasProperties ? .disconnectWithWill : .success).encoded(version),
        ] + answers.map { PublishAnswer($0, 1).encoded(version) }
    }

    private static func publish(_ version: MQTTVersion, _ topic: String, _ qos: QoS, _ properties: Properties) -> [UInt8] {
        let topic = Array(topic.utf8), payload = Array(#"{"message":"hello"}"#.utf8), encoded = properties.encoded()
        return topic.withUnsafeBytes { topic in
            payload.withUnsafeBytes { payload in
                encoded.withUnsafeBytes {
                    PublishFields(
                        version, topic: topic, payload: payload, qos: qos, isRetained: qos == .atLeastOnce, identifier: qos == .atMostOnce ? 0 : 1,
                        encodedProperties: version.hasProperties ? $0 : .none
                    ).encoded()
                }
            }
        }
    }
}
