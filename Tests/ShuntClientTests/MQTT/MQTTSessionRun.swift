import MQTTCodec
import ShuntCore
import Testing

@testable import ShuntClient

let broker = HostPort("b", 1883)
let hungUp = ShuntError(.connectionLost, "gone")

/// A session as a test drives it: the test says what time it is and what the broker sends.
struct MQTTSessionRun {
    typealias Session = MQTTSession<String>

    var session: Session
    var now = Duration.zero

    init(
        _ version: MQTTVersion = .v5, subscribes: Bool = false, resends: Bool = false, endsWithPatience: Bool = true, window: Int = 10,
        isClean: Bool = true, sessionExpiry: UInt32? = nil, keepAlive: UInt16 = 60
    ) {
        var options = MQTTOptions()
        options.version = version
        options.clientID = "me"
        options.isClean = isClean
        options.sessionExpiry = sessionExpiry
        options.keepAlive = keepAlive
        let connection = ConnectionOptions(
            replyTimeout: .seconds(3), patience: .seconds(1),
            backoff: Backoff(initial: .milliseconds(100), maximum: .milliseconds(400)), pingTimeout: .seconds(5))
        let mode = endsWithPatience
        var settings = Self.settings(options, connection, endsWithPatience: mode)
        settings.subscription = subscribes ? options.subscription(["a/#"]) : nil
        settings.resends = resends
        settings.window = window
        settings.acknowledgementTimeout = .seconds(30)
        session = Session(settings)
    }

    /// The settings with tickets that are texts.
    private static func settings(
        _ options: MQTTOptions, _ connection: ConnectionOptions, endsWithPatience: Bool
    ) -> Session.Settings {
        let made = options.settings(broker, connection, returnPatience: .seconds(10), endsWithPatience: endsWithPatience)
        return Session.Settings(
            broker: made.broker, connect: made.connect, forgetsSession: made.forgetsSession, patience: made.patience,
            returnPatience: made.returnPatience, endsWithPatience: endsWithPatience, backoff: made.backoff, qos: made.qos,
            packetLimit: made.packetLimit, replyTimeout: made.replyTimeout, acknowledgementTimeout: made.acknowledgementTimeout,
            pingTimeout: made.pingTimeout)
    }

    /// Without jitter's share.
    mutating func on(_ event: Session.Event) -> [Session.Action] { session.handle(event, now: now, random: 1) }

    mutating func submit(_ text: String, qos: QoS = .atLeastOnce, topic: String = "t") -> [Session.Action] {
        session.submit(message(text, qos: qos, topic: topic), text, now: now)
    }

    func message(_ text: String, qos: QoS = .atLeastOnce, topic: String = "t") -> OutgoingMessage {
        var message = OutgoingMessage(topic: topic, text: text)
        message.mqtt.qos = qos
        return message
    }

    /// The broker sends a whole packet.
    mutating func receive(_ packet: [UInt8]) -> [Session.Action] {
        packet.withUnsafeBytes { bytes in
            switch PacketDecoder.decode(bytes, limit: 1 << 20) {
            case .packet(let header): return session.received(header, bytes, now: now, random: 1)
            case .malformed(let fault): return session.received(fault, now: now, random: 1)
            case .needMore:
                Issue.record("no whole packet")
                return []
            }
        }
    }

    mutating func acknowledge(
        _ type: PacketType, _ identifier: UInt16, _ reason: ReasonCode = .success, text: String? = nil
    ) -> [Session.Action] {
        var answer = PublishAnswer(type, identifier, reason)
        answer.properties.reasonString = text
        return receive(answer.encoded(session.settings.version))
    }

    mutating func greet(session hasSession: Bool = false, _ change: (inout Properties) -> Void = { _ in }) -> [Session.Action] {
        var answer = ConnectAcknowledgement(hasSession: hasSession, .success)
        change(&answer.properties)
        return receive(answer.encoded(session.settings.version) ?? [])
    }

    mutating func refuse(_ reason: ReasonCode, _ change: (inout Properties) -> Void = { _ in }) -> [Session.Action] {
        var answer = ConnectAcknowledgement(reason)
        change(&answer.properties)
        return receive(answer.encoded(session.settings.version) ?? [])
    }

    /// Up to CONNECT.
    mutating func connect() -> [Session.Action] {
        _ = on(.start)
        return on(.connected)
    }

    /// Up to the broker's answer.
    mutating func attach(_ change: (inout Properties) -> Void = { _ in }) {
        _ = connect()
        _ = greet(change)
        if session.settings.subscription != nil { _ = receive(SubscribeAnswer(.subscribeAcknowledgement, 1, [.grantedQoS1]).encoded(.v5)) }
    }

    /// Loses the connection, and connects again, up to CONNECT.
    mutating func comeBack() -> [Session.Action] {
        _ = on(.lost(hungUp))
        _ = on(.pauseOver)
        return on(.connected)
    }

    func publish(_ text: String, _ identifier: UInt16, qos: QoS = .atLeastOnce, isDuplicate: Bool = false) -> Session.Action {
        let packet = message(text, qos: qos).publishPacket(
            session.settings.version, qos: qos, identifier: identifier, isDuplicate: isDuplicate)
        return .send(packet ?? [])
    }

    func answer(_ type: PacketType, _ identifier: UInt16, _ reason: ReasonCode = .success) -> Session.Action {
        .send(PublishAnswer(type, identifier, reason).encoded(session.settings.version))
    }

    /// A message from the broker.
    func incoming(_ text: String, _ identifier: UInt16, qos: QoS, isDuplicate: Bool = false) -> [UInt8] {
        message(text, qos: qos).publishPacket(session.settings.version, qos: qos, identifier: identifier, isDuplicate: isDuplicate) ?? []
    }
}

extension [MQTTSession<String>.Action] {
    var sent: [[UInt8]] { compactMap { if case .send(let packet) = $0 { packet } else { nil } } }
    var delivered: [String] { compactMap { if case .deliver(let message, _) = $0 { String(decoding: message.payload, as: UTF8.self) } else { nil } } }
    var receipts: [MQTTReceipt] { compactMap { if case .deliver(_, let receipt) = $0 { receipt } else { nil } } }
    var end: ShuntError? {
        for case .end(let error) in self { return error }
        return nil
    }
    /// Tickets with their outcomes.
    var completed: [String: MQTTOutcome] {
        reduce(into: [:]) { outcomes, action in
            if case .complete(let ticket, let outcome) = action { outcomes[ticket] = outcome }
        }
    }
}

extension MQTTOutcome {
    var failure: SendFailure.Outcome? { if case .failed(let failure) = self { failure.outcome } else { nil } }
}

/// A packet's first field that tests look at.
func connectPacket(_ packet: [UInt8]) throws -> Connect {
    try packet.withUnsafeBytes { bytes in
        guard case .packet(let header) = PacketDecoder.decode(bytes, limit: 1 << 20), header.type == .connect else { throw hungUp }
        return try Connect(decoding: Bytes(rebasing: bytes[header.headerSize..<header.size]))
    }
}
