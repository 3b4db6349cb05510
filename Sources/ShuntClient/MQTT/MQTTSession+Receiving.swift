import MQTTCodec
import ShuntCore

extension MQTTSession {
    /// A packet has come.
    /// - Parameters:
    ///   - bytes: the whole packet, fixed header included.
    ///   - random: 0 up to 1, for the jitter.
    mutating func received(_ header: PacketHeader, _ bytes: Bytes, now: Duration, random: Double) -> [Action] {
        let moment = Moment(now: now, random: random)
        guard isConnected else { return [] }
        keepAlive.heard(at: now)
        do throws(MQTTFault) {
            try read(header, bytes, moment)
        } catch {
            broken(error, moment)
        }
        return takeActions()
    }

    /// Bytes that are no packet have come.
    mutating func received(_ fault: MQTTFault, now: Duration, random: Double) -> [Action] {
        if isConnected { broken(fault, Moment(now: now, random: random)) }
        return takeActions()
    }

    private var isConnected: Bool {
        switch phase {
        case .greeting, .subscribing, .attached: true
        case .idle, .pausing, .connecting, .over: false
        }
    }

    private mutating func read(_ header: PacketHeader, _ bytes: Bytes, _ moment: Moment) throws(MQTTFault) {
        let (body, version) = (Bytes(rebasing: bytes[header.headerSize..<header.size]), settings.version)
        if case .greeting = phase {
            guard header.type == .connectAcknowledgement else { throw Self.unexpected(header) }
            return answered(try Self.acknowledgement(body, version), moment)
        }
        switch header.type {
        case .publish: try published(try PublishView(header, bytes, version), moment.now)
        case .publishAcknowledgement, .publishReceived, .publishComplete:
            answered(try PublishAnswer(header.type, decoding: body, version), moment.now)
        case .publishRelease: released(try PublishAnswer(.publishRelease, decoding: body, version), moment.now)
        case .subscribeAcknowledgement: try answered(try SubscribeAnswer(header.type, decoding: body, version), moment)
        case .unsubscribeAcknowledgement: unsubscribed(try SubscribeAnswer(header.type, decoding: body, version))
        case .pingResponse: try Ping.check(body)
        case .disconnect:
            guard version.hasProperties else { throw Self.unexpected(header) }
            dismissed(try Disconnect(decoding: body, version), moment)
        case .connect, .connectAcknowledgement, .subscribe, .unsubscribe, .pingRequest, .authenticate: throw Self.unexpected(header)
        }
        sendQueued(moment.now)
    }

    private static func unexpected(_ header: PacketHeader) -> MQTTFault {
        MQTTFault(.protocolError, "a packet of type \(header.type.rawValue) that is not to come now")
    }

    /// A broker that does not know 5.0 answers as 3.1.1 does, in two bytes (5.0 §3.2.2, 3.1.1 §3.2.2.3).
    private static func acknowledgement(_ body: Bytes, _ version: MQTTVersion) throws(MQTTFault) -> ConnectAcknowledgement {
        try ConnectAcknowledgement(decoding: body, version.hasProperties && body.count == 2 ? .v3_1_1 : version)
    }

    // MARK: Messages

    private mutating func published(_ view: PublishView, _ now: Duration) throws(MQTTFault) {
        // No alias was offered (5.0 §3.3.2.3.4).
        guard !view.topic.isEmpty else { throw MQTTFault(.topicAliasInvalid, "a message without a topic", "MQTT-3.1.2-26") }
        let message = try ReceivedMessage(view)
        guard view.qos != .atMostOnce else { return actions.append(.deliver(message, nil)) }
        if let receipt = incoming.arrived(view.identifier, view.qos, isDuplicate: view.isDuplicate) {
            actions.append(.deliver(message, receipt))
        }
        acknowledge(now)
    }

    /// The application has taken messages: the broker may forget them.
    mutating func taken(_ receipts: [MQTTReceipt], _ now: Duration) {
        for receipt in receipts { incoming.taken(receipt) }
        if isConnected { acknowledge(now) }
    }

    /// Messages are acknowledged in the order in which they came (MQTT-4.6.0-2).
    private mutating func acknowledge(_ now: Duration) {
        while let (identifier, qos) = incoming.nextToAcknowledge() {
            let type: PacketType = qos == .exactlyOnce ? .publishReceived : .publishAcknowledgement
            send(PublishAnswer(type, identifier).encoded(settings.version), now)
        }
    }

    private mutating func released(_ answer: PublishAnswer, _ now: Duration) {
        let reason: ReasonCode = incoming.released(answer.identifier) ? .success : .packetIdentifierNotFound
        send(PublishAnswer(.publishComplete, answer.identifier, reason).encoded(settings.version), now)
    }
}

/// The messages of QoS 1 and 2 that a broker has sent and that it may send again.
struct MQTTIncoming: Sendable {
    private struct Entry {
        var qos: QoS
        var isTaken = false
    }

    /// By packet identifier: at most 65,535.
    private var entries: [UInt16: Entry] = [:]
    /// Identifiers of what came over this connection and is not acknowledged, in order.
    private var order = FIFO<UInt16>()
    /// The number of the session at the broker.
    private var session = 0

    init() {}

    /// A message has come. A message of QoS 2 is the same as before until it is released (5.0 §4.3.3), one of QoS 1 only if the broker says
    /// that it comes again.
    /// - Returns: nil if the application has the message already.
    mutating func arrived(_ identifier: UInt16, _ qos: QoS, isDuplicate: Bool) -> MQTTReceipt? {
        order.append(identifier)
        if let entry = entries[identifier], entry.qos == qos, qos == .exactlyOnce || isDuplicate { return nil }
        entries[identifier] = Entry(qos: qos)
        return MQTTReceipt(identifier: identifier, qos: qos, session: session)
    }

    mutating func taken(_ receipt: MQTTReceipt) {
        guard receipt.session == session, entries[receipt.identifier]?.qos == receipt.qos else { return }
        entries[receipt.identifier]?.isTaken = true
    }

    /// The next message that the broker is to be told of; nil while the application has not taken it. A message of QoS 2 stays known until it
    /// is released.
    mutating func nextToAcknowledge() -> (identifier: UInt16, qos: QoS)? {
        while let identifier = order.first {
            guard let entry = entries[identifier] else {
                _ = order.popFirst()
                continue
            }
            guard entry.isTaken else { return nil }
            _ = order.popFirst()
            if entry.qos == .atLeastOnce { entries[identifier] = nil }
            return (identifier, entry.qos)
        }
        return nil
    }

    /// - Returns: whether there was such a message.
    mutating func released(_ identifier: UInt16) -> Bool { entries.removeValue(forKey: identifier) != nil }

    /// What is not acknowledged comes again over the next connection.
    mutating func connectionBegins() { order = FIFO() }

    /// The broker has lost the session.
    mutating func forget() {
        entries = [:]
        order = FIFO()
        session += 1
    }
}
