import MQTTCodec
import ShuntCore
import ShuntEngine

/// A client of MQTT of a simulated worker. It acknowledges nothing by itself.
struct SimulatedMQTTClient {
    private let firstID: ConnectionID
    let worker: SimulatedWorker
    let version: MQTTVersion

    /// - Parameter name: the client identifier; nil: CONNECT is not sent.
    init(_ worker: SimulatedWorker, _ name: String?, loop: Int = 0) {
        self.init(worker, greeting: name.map { Connect(version: .v3_1_1, clientID: $0) }, loop: loop)
    }

    /// Sends CONNECT, whose answer is taken.
    init(_ worker: SimulatedWorker, greeting: Connect?, version: MQTTVersion = .v3_1_1, loop: Int = 0, isTurnedAway: Bool = false) {
        firstID = worker.open(loop, .mqtt, isTurnedAway: isTurnedAway)
        self.worker = worker
        self.version = greeting?.version ?? version
        guard let greeting else { return }
        send(greeting.encoded())
        _ = worker.takePackets(id, 1)
    }

    /// A client of 5.0.
    static func v5(
        _ worker: SimulatedWorker, _ name: String, isClean: Bool = true, loop: Int = 0, _ set: (inout Connect) -> Void = { _ in }
    ) -> SimulatedMQTTClient {
        var greeting = Connect(version: .v5, clientID: name, isClean: isClean)
        set(&greeting)
        return SimulatedMQTTClient(worker, greeting: greeting, loop: loop)
    }

    /// It may have moved to the loop that its identifier names.
    var id: ConnectionID { worker.current(firstID) }

    func send(_ packet: [UInt8]) { worker.send(packet, from: id) }

    /// The connection goes without a word.
    func vanish() { worker.disconnect(id) }

    /// The packets that have come since it was asked last.
    func received() -> [[UInt8]] { worker.takePackets(id) }

    /// Why the worker has closed it.
    var closed: ErrorCode? { worker.closed[id] }

    // MARK: Answers

    /// What has come, each as its body is read: `nil` for packets of other types.
    func answers<Packet>(_ type: PacketType, _ read: (Bytes) throws -> Packet) -> [Packet] {
        received().compactMap { packet in
            packet.withUnsafeBytes { bytes in
                guard case .packet(let header) = PacketDecoder.decode(bytes, limit: 1 << 20), header.type == type else { return nil }
                return try? read(Bytes(rebasing: bytes[header.headerSize...]))
            }
        }
    }

    func connected() -> ConnectAcknowledgement? { answers(.connectAcknowledgement) { try ConnectAcknowledgement(decoding: $0, version) }.first }
    func disconnected() -> Disconnect? { answers(.disconnect) { try Disconnect(decoding: $0, version) }.first }

    func answered(_ type: PacketType) -> [PublishAnswer] { answers(type) { try PublishAnswer(type, decoding: $0, version) } }

    /// The codes of SUBACK; nil before it has come.
    func subscribe(_ filters: String..., qos: QoS = .atMostOnce) -> [ReasonCode]? {
        subscribe(filters.map { Subscribe.Filter($0, qos) })?.reasons
    }

    func subscribe(_ filters: [Subscribe.Filter], identifier: UInt32? = nil) -> SubscribeAnswer? {
        var packet = Subscribe(7, filters)
        if let identifier { packet.properties.subscriptionIdentifiers = [identifier] }
        send(packet.encoded(version))
        return subscribeAnswer()
    }

    func subscribed() -> [ReasonCode]? { subscribeAnswer()?.reasons }

    /// SUBACK; what comes with it is left.
    private func subscribeAnswer() -> SubscribeAnswer? {
        let packets = received()
        worker.putBack(packets.filter { $0[0] >> 4 != PacketType.subscribeAcknowledgement.rawValue }, id)
        return packets.first { $0[0] >> 4 == PacketType.subscribeAcknowledgement.rawValue }?.withUnsafeBytes { bytes in
            guard case .packet(let header) = PacketDecoder.decode(bytes, limit: 1 << 20) else { return nil }
            return try? SubscribeAnswer(header.type, decoding: Bytes(rebasing: bytes[header.headerSize...]), version)
        }
    }

    // MARK: Messages

    func publish(
        _ topic: String, _ payload: String, qos: QoS = .atMostOnce, isRetained: Bool = false, identifier: UInt16 = 9, isDuplicate: Bool = false,
        _ properties: Properties = .none
    ) {
        let topic = Array(topic.utf8), payload = Array(payload.utf8), properties = properties.encoded()
        send(
            topic.withUnsafeBytes { topic in
                payload.withUnsafeBytes { payload in
                    properties.withUnsafeBytes {
                        var fields = PublishFields(
                            version, topic: topic, payload: payload, qos: qos, isRetained: isRetained,
                            identifier: qos == .atMostOnce ? 0 : identifier, encodedProperties: version.hasProperties ? $0 : .none)
                        fields.isDuplicate = isDuplicate
                        return fields.encoded()
                    }
                }
            })
    }

    func acknowledge(_ type: PacketType, _ identifier: UInt16, _ reason: ReasonCode = .success) {
        send(PublishAnswer(type, identifier, reason).encoded(version))
    }

    struct Message: Equatable {
        var topic: String
        var payload: String
        var qos: QoS
        var identifier: UInt16
        var isDuplicate: Bool
        var isRetained: Bool
        var properties: Properties
    }

    /// What has been published to it; other packets are taken, too.
    func deliveries() -> [Message] {
        received().compactMap { packet in
            packet.withUnsafeBytes { bytes in
                guard case .packet(let header) = PacketDecoder.decode(bytes, limit: 1 << 20), header.type == .publish,
                    let message = try? PublishView(header, bytes, version)
                else { return nil }
                return Message(
                    topic: String(decoding: message.topic, as: UTF8.self), payload: String(decoding: message.payload, as: UTF8.self),
                    qos: message.qos, identifier: message.identifier, isDuplicate: message.isDuplicate, isRetained: message.isRetained,
                    properties: (try? message.readProperties()) ?? .none)
            }
        }
    }

    /// What has been published to it, as `topic: payload`, with `(retained)` where the flag is set.
    func messages() -> [String] { deliveries().map { "\($0.topic): \($0.payload)" + ($0.isRetained ? " (retained)" : "") } }
}
