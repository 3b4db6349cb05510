import MQTTCodec
import ShuntCore
import ShuntEngine

/// A client of MQTT 3.1.1 of a simulated worker.
struct SimulatedMQTTClient {
    private let firstID: ConnectionID
    let worker: SimulatedWorker

    /// - Parameter name: the client identifier; nil: CONNECT is not sent.
    init(_ worker: SimulatedWorker, _ name: String?, loop: Int = 0) {
        firstID = worker.open(loop, .mqtt)
        self.worker = worker
        guard let name else { return }
        send(Connect(version: .v3_1_1, clientID: name).encoded())
        _ = received()
    }

    /// It may have moved to the loop that its identifier names.
    var id: ConnectionID { worker.current(firstID) }

    func send(_ packet: [UInt8]) { worker.send(packet, from: id) }

    /// The packets that have come since it was asked last.
    func received() -> [[UInt8]] { worker.takePackets(id) }

    /// Why the worker has closed it.
    var closed: ErrorCode? { worker.closed[id] }

    /// The codes of SUBACK; nil before it has come.
    func subscribe(_ filters: String..., qos: QoS = .atMostOnce) -> [ReasonCode]? {
        send(Subscribe(7, filters.map { .init($0, qos) }).encoded(.v3_1_1))
        return subscribed()
    }

    func subscribed() -> [ReasonCode]? {
        received().lazy.compactMap { packet in
            packet.withUnsafeBytes { bytes -> SubscribeAnswer? in
                guard case .packet(let header) = PacketDecoder.decode(bytes, limit: 1 << 20), header.type == .subscribeAcknowledgement
                else { return nil }
                return try? SubscribeAnswer(header.type, decoding: Bytes(rebasing: bytes[header.headerSize...]), .v3_1_1)
            }
        }.first?.reasons
    }

    func publish(_ topic: String, _ payload: String, qos: QoS = .atMostOnce, isRetained: Bool = false) {
        let topic = Array(topic.utf8), payload = Array(payload.utf8)
        send(
            topic.withUnsafeBytes { topic in
                payload.withUnsafeBytes {
                    PublishFields(
                        .v3_1_1, topic: topic, payload: $0, qos: qos, isRetained: isRetained, identifier: qos == .atMostOnce ? 0 : 9
                    ).encoded()
                }
            })
    }

    /// What has been published to it, as `topic: payload`, with `(retained)` where the flag is set.
    func messages() -> [String] {
        received().compactMap { packet in
            packet.withUnsafeBytes { bytes in
                guard case .packet(let header) = PacketDecoder.decode(bytes, limit: 1 << 20), header.type == .publish,
                    let message = try? PublishView(header, bytes, .v3_1_1)
                else { return nil }
                let text = "\(String(decoding: message.topic, as: UTF8.self)): \(String(decoding: message.payload, as: UTF8.self))"
                return message.isRetained ? text + " (retained)" : text
            }
        }
    }
}
