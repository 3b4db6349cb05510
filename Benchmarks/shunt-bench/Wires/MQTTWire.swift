/// MQTT 3.1.1 at QoS 0: nothing is acknowledged, and there are no groups.
struct MQTTWire: Wire {
    private enum Packet: UInt8 {
        case connect = 0x10
        case publish = 0x30
        case subscribe = 0x82
        case unsubscribe = 0xa2
    }

    /// CONNECT with a clean session and no keep-alive.
    func greeting(client: Int) -> [UInt8] {
        packet(.connect, [0, 4] + Array("MQTT".utf8) + [4, 0x02, 0, 0] + text("bench-\(client)"))
    }

    var welcome: Welcome { .bytes(4) }

    func subscribe(topic: String, group: String) -> (request: [UInt8], answer: Int) {
        (packet(.subscribe, [0, 1] + text(topic) + [0]), 5)
    }

    func unsubscribe(topic: String, group: String) -> (request: [UInt8], answer: Int) {
        (packet(.unsubscribe, [0, 1] + text(topic)), 4)
    }

    func publish(topic: String, payload: Int, id: Int64) -> [UInt8] {
        packet(.publish, text(topic) + Array(repeating: UInt8(ascii: "x"), count: payload))
    }

    func deliverySize(topic: String, payload: Int) -> Int { publish(topic: topic, payload: payload, id: 0).count }

    var acknowledgementSize: Int { 0 }

    private func text(_ string: String) -> [UInt8] {
        let bytes = Array(string.utf8)
        return [UInt8(bytes.count >> 8), UInt8(bytes.count & 0xff)] + bytes
    }

    private func packet(_ type: Packet, _ body: [UInt8]) -> [UInt8] {
        var head = [type.rawValue]
        var left = body.count
        repeat {
            head.append(UInt8(left & 0x7f) | (left > 0x7f ? 0x80 : 0))
            left >>= 7
        } while left > 0
        return head + body
    }
}
