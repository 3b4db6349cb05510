import MQTTCodec
import ShuntCore

/// Numbers in the place of topics towards clients of MQTT 5.0 (5.0 §3.3.2.3.4). They are given as a packet is written, since the order in which
/// packets are written decides what a number means to the client.
extension LoopEngine {
    /// A PUBLISH with the number of its topic, for the client of a session.
    /// - Returns: nil where it goes out as it is.
    func numbered(_ packet: Bytes, _ session: MQTTSession?) -> [UInt8]? {
        guard let session, session.isConnected, session.outgoingAliases.isUsed, let publish = WireEncoder.publish(in: packet, session.form) else {
            return nil
        }
        let properties = publish.encodedProperties.withoutPropertyLength
        func written(_ use: OutgoingAliases.Use) -> [UInt8]? {
            let topic = if case .known = use { Bytes.none } else { publish.topic }
            return PublishProperties.adding(alias: use.alias, to: properties).withUnsafeBytes {
                let fields = PublishFields(
                    .v5, topic: topic, payload: publish.payload, qos: publish.qos, isRetained: publish.isRetained,
                    identifier: publish.qos > .atMostOnce ? 1 : 0, encodedProperties: $0)
                return fields.isExpressible && fields.size <= session.maximumPacket ? fields.encoded() : nil
            }
        }
        // What tells a number stays in the buffer of a client that reads too slowly: there is to be little of that.
        let use = session.outgoingAliases.use(of: publish.topic, mayTell: clients[session.client.slot].pressure == .none)
        guard use != .none, let packet = written(use) else {
            session.outgoingAliases.took(.none, publish.topic)
            return nil
        }
        session.outgoingAliases.took(use, publish.topic)
        return packet
    }

    /// Makes `replacementBytes` of a message that has waited for a client, where its topic has a number.
    func number(_ packet: Bytes, for client: ConnectionID) -> Bool {
        guard let numbered = numbered(packet, session(of: client)) else { return false }
        replacement.removeAll()
        replaced = replacement.append(numbered, clients[client.slot].form.numbered)
        return true
    }

    /// Whether a message of QoS 0 in a client's buffer may be dropped. One that tells a number may not: the client would take those behind it
    /// for messages of another topic.
    public func mayDrop(_ packet: Bytes, for client: ConnectionID) -> Bool {
        guard let session = session(of: client), session.outgoingAliases.isUsed, let publish = WireEncoder.publish(in: packet, session.form) else {
            return true
        }
        return publish.topic.isEmpty || !PublishProperties.hasAlias(in: publish.encodedProperties.withoutPropertyLength)
    }
}
