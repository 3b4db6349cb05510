import MQTTCodec
import ShuntCore

/// MQTT 3.1.1 at QoS 0: nothing is acknowledged, and there are no groups. Over WebSocket each packet is a frame.
struct MQTTWire: Wire {
    private let version = MQTTVersion.v3_1_1
    var carrier = Carrier.tcp

    /// CONNECT with a clean session and no keep-alive.
    func greeting(client: Int) -> [UInt8] { carrier.framed(Connect(version: version, clientID: "bench-\(client)").encoded()) }

    var welcome: Welcome { .bytes(4) }

    func subscribe(topic: String, group: String) -> (request: [UInt8], answer: Int) {
        (carrier.framed(Subscribe(1, [Subscribe.Filter(topic)]).encoded(version)), 5)
    }

    func unsubscribe(topic: String, group: String) -> (request: [UInt8], answer: Int) {
        (carrier.framed(Unsubscribe(1, [topic]).encoded(version)), 4)
    }

    func publish(topic: String, payload: [UInt8], id: Int64) -> [UInt8] { carrier.framed(packet(topic, payload)) }

    func deliverySize(topic: String, payload: [UInt8]) -> Int { packet(topic, payload).count }

    private func packet(_ topic: String, _ payload: [UInt8]) -> [UInt8] {
        let topic = Array(topic.utf8)
        return topic.withUnsafeBytes { topic in payload.withUnsafeBytes { PublishFields(version, topic: topic, payload: $0).encoded() } }
    }

    var acknowledgementSize: Int { 0 }
}
