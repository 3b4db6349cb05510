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
            session.outgoingAliases.took(.none, publish.topic) { 0 }
            return nil
        }
        session.outgoingAliases.took(use, publish.topic) { waiting(session.client) }
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
        return publish.topic.isEmpty || PublishProperties.alias(in: publish.encodedProperties.withoutPropertyLength) == 0
    }

    /// A message was dropped from the buffer of a client of this loop. What its packet says to this client alone is taken out of it: the number
    /// of its topic, in whose place the topic stands, and the identifiers of the client's subscriptions.
    /// - Parameter rest: what waits behind it.
    public func dropped(_ packet: Bytes, before rest: Bytes, for client: ConnectionID, now: Double) {
        guard wantsUndelivered else { return }
        let form = form(of: client)
        guard form.hasProperties, let session = session(of: client), session.outgoingAliases.isUsed || !session.identified.isEmpty,
            let publish = WireEncoder.publish(in: packet, form)
        else {
            undelivered(packet, form, why: .queueFull, now: now)
            return
        }
        let properties = publish.encodedProperties.withoutPropertyLength
        let topic = publish.topic.isEmpty ? topic(PublishProperties.alias(in: properties), before: rest, session) : Array(publish.topic)
        var changes = PublishProperties.Changes()
        (changes.expiry, changes.key) = (PublishProperties.expiry(in: properties), PublishProperties.userProperty("key", in: properties))
        topic.withUnsafeBytes { topic in
            PublishProperties.rewrite(properties, changes).withUnsafeBytes { properties in
                let whole = PublishFields(
                    .v5, topic: topic, payload: publish.payload, qos: .atMostOnce, isRetained: publish.isRetained, identifier: 0,
                    encodedProperties: properties)
                whole.encoded().withUnsafeBytes { _ = undelivered($0, form, why: .queueFull, now: now) }
            }
        }
    }

    /// What a number means in a packet, behind which others wait: these may tell the number anew.
    private func topic(_ alias: UInt16, before rest: Bytes, _ session: MQTTSession) -> [UInt8] {
        var (tellings, at) = (0, 0)
        while session.outgoingAliases.isToldAnew(alias), at < rest.count {
            let packet = Bytes(rebasing: rest[at...])
            guard case .packet(let header) = PacketDecoder.decode(packet, limit: .max) else { break }
            at += header.size
            guard header.type == .publish, let publish = WireEncoder.publish(in: packet, session.form), !publish.topic.isEmpty else { continue }
            if PublishProperties.alias(in: publish.encodedProperties.withoutPropertyLength) == alias { tellings += 1 }
        }
        return session.outgoingAliases.topic(alias, before: tellings) ?? []
    }
}
