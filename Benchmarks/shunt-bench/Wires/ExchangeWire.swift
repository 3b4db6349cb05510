import ExchangeCodec

/// message-channel's protocol; every message is acknowledged.
struct ExchangeWire: Wire {
    func greeting(client: Int) -> [UInt8] { [] }

    var welcome: Welcome { .nothing }

    func subscribe(topic: String, group: String) -> (request: [UInt8], answer: Int) {
        (subscription(.subscribe, topic, group), FrameLayout.headerSize)
    }

    func unsubscribe(topic: String, group: String) -> (request: [UInt8], answer: Int) {
        (subscription(.unsubscribe, topic, group), FrameLayout.headerSize)
    }

    private func subscription(_ type: FrameType, _ topic: String, _ group: String) -> [UInt8] {
        Frame(type, id: 1, format: .json, value: SubscribeBody(group: group, topic: topic).encoded()).encoded()
    }

    func publish(topic: String, payload: [UInt8], id: Int64) -> [UInt8] {
        Frame(.message, id: id, format: .text, value: payload, name: topic).encoded()
    }

    func deliverySize(topic: String, payload: [UInt8]) -> Int { publish(topic: topic, payload: payload, id: 0).count }

    var acknowledgementSize: Int { FrameLayout.headerSize }

    func register(device: Int) -> (request: [UInt8], answer: Int) {
        let body = RegisterBody(uid: "user-\(device)", device: "phone", tags: ["bench"], alias: nil, createdTime: 0)
        return (Frame(.register, id: 1, format: .json, value: body.encoded()).encoded(), FrameLayout.headerSize)
    }

    func broadcast(payload: Int) -> (request: [UInt8], delivery: Int) {
        let body = NotifyBody(message: String(repeating: "x", count: payload))
        let frame = Frame(.notify, id: 2, format: .json, value: body.encoded()).encoded()
        return (frame, frame.count)
    }

    var answersBroadcasts: Bool { true }

    /// Creates or joins a chat; answered like a message.
    func join(chat: String) -> [UInt8] {
        Frame(.chat, id: 1, text: chat, name: chat, key: ChatKey.create.rawValue).encoded()
    }

    /// Says something in a chat. The other member gets as many bytes.
    func say(chat: String, payload: Int) -> [UInt8] {
        Frame(.chat, id: 2, text: String(repeating: "x", count: payload), name: chat, key: ChatKey.session.rawValue).encoded()
    }
}
