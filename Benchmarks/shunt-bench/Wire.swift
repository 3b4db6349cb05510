import ExchangeCodec
import Glibc
import ShuntCore

/// What a load generator needs to know of a protocol: fixed-size messages, so that bytes can be counted instead of parsed.
protocol Wire: Sendable {
    /// Sent once by a client before anything else, and what it has to read back at least.
    func greeting() -> [UInt8]
    /// Takes part in `topic` as a consumer, alone in `group`; how many bytes the answer has.
    func subscribe(topic: String, group: String) -> (request: [UInt8], answer: Int)
    /// One message.
    func publish(topic: String, payload: Int, id: Int64) -> [UInt8]
    /// Bytes that a consumer gets for one message.
    func deliverySize(topic: String, payload: Int) -> Int
    /// Bytes that a producer gets back for one message; 0: it is not told.
    var acknowledgementSize: Int { get }
    /// Becomes one of the devices that a broadcast is for; how many bytes the answer has.
    func register(device: Int) -> (request: [UInt8], answer: Int)
    /// A message to all devices, and how many bytes each of them gets.
    func broadcast(payload: Int) -> (request: [UInt8], delivery: Int)
    /// Whether the sender of a broadcast is answered, when it has been handed to all connections.
    var answersBroadcasts: Bool { get }
}

extension Socket {
    /// What a client does first. A server that is greeted speaks first: a line.
    func greet(_ wire: any Wire) throws {
        let greeting = wire.greeting()
        guard !greeting.isEmpty else { return }
        try write(greeting)
        try withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { byte in
            repeat {
                guard read(byte) == 1 else { throw ShuntError(.internalError, "no greeting") }
            } while byte[0] != 10
        }
    }
}

/// message-channel's protocol; every message is acknowledged.
struct ExchangeWire: Wire {
    func greeting() -> [UInt8] { [] }

    func subscribe(topic: String, group: String) -> (request: [UInt8], answer: Int) {
        let body = SubscribeBody(group: group, topic: topic)
        return (Frame(.subscribe, id: 1, format: .json, value: body.encoded()).encoded(), FrameLayout.headerSize)
    }

    func publish(topic: String, payload: Int, id: Int64) -> [UInt8] {
        Frame(.message, id: id, format: .text, value: Array(repeating: UInt8(ascii: "x"), count: payload), name: topic).encoded()
    }

    func deliverySize(topic: String, payload: Int) -> Int { publish(topic: topic, payload: payload, id: 0).count }

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

/// The protocol of nats-server, without acknowledgements.
struct NATSWire: Wire {
    func greeting() -> [UInt8] {
        Array(#"CONNECT {"verbose":false,"pedantic":false,"tls_required":false,"name":"bench","lang":"swift","version":"1"}"#.utf8)
            + Array("\r\n".utf8)
    }

    func subscribe(topic: String, group: String) -> (request: [UInt8], answer: Int) {
        (Array("SUB \(topic) \(group) 1\r\nPING\r\n".utf8), "PONG\r\n".utf8.count)
    }

    func publish(topic: String, payload: Int, id: Int64) -> [UInt8] {
        Array("PUB \(topic) \(payload)\r\n".utf8) + Array(repeating: UInt8(ascii: "x"), count: payload) + Array("\r\n".utf8)
    }

    func deliverySize(topic: String, payload: Int) -> Int {
        "MSG \(topic) 1 \(payload)\r\n".utf8.count + payload + 2
    }

    var acknowledgementSize: Int { 0 }

    func register(device: Int) -> (request: [UInt8], answer: Int) {
        (Array("SUB bench.devices 1\r\nPING\r\n".utf8), "PONG\r\n".utf8.count)
    }

    func broadcast(payload: Int) -> (request: [UInt8], delivery: Int) {
        let topic = "bench.devices"
        return (publish(topic: topic, payload: payload, id: 0), deliverySize(topic: topic, payload: payload))
    }

    var answersBroadcasts: Bool { false }
}
