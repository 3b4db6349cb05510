import Glibc
import ShuntCore

/// What a load generator needs to know of a protocol: fixed-size messages, so that bytes can be counted instead of parsed. Topics and
/// filters are written as MQTT does, whatever the protocol makes of them.
protocol Wire: Sendable {
    /// What it is spoken over.
    var carrier: Carrier { get }
    /// Sent once by a client before anything else; `client` is a number of its own. Empty: clients send none.
    func greeting(client: Int) -> [UInt8]
    /// What the server says to a client that has greeted it.
    var welcome: Welcome { get }
    /// Takes part in `topic` as a consumer, alone in `group` where there are groups; how many bytes the answer has.
    func subscribe(topic: String, group: String) -> (request: [UInt8], answer: Int)
    /// Ends that; how many bytes the answer has.
    func unsubscribe(topic: String, group: String) -> (request: [UInt8], answer: Int)
    /// One message.
    func publish(topic: String, payload: [UInt8], id: Int64) -> [UInt8]
    /// Bytes that a consumer gets for one message.
    func deliverySize(topic: String, payload: [UInt8]) -> Int
    /// Bytes that a producer gets back for one message; 0: it is not told.
    var acknowledgementSize: Int { get }
    /// Becomes one of the devices that a broadcast is for; how many bytes the answer has.
    func register(device: Int) -> (request: [UInt8], answer: Int)
    /// A message to all devices, and how many bytes each of them gets.
    func broadcast(payload: Int) -> (request: [UInt8], delivery: Int)
    /// Whether the sender of a broadcast is answered, when it has been handed to all connections.
    var answersBroadcasts: Bool { get }
}

/// A payload of so many bytes.
func filler(_ count: Int) -> [UInt8] { Array(repeating: UInt8(ascii: "x"), count: count) }

extension Wire {
    var carrier: Carrier { .tcp }
}

enum Welcome {
    case nothing
    case line
    case bytes(Int)
}

/// Where there are no broadcasts, a topic stands for all devices.
extension Wire {
    private var allDevices: String { "bench/devices" }

    func register(device: Int) -> (request: [UInt8], answer: Int) { subscribe(topic: allDevices, group: "device-\(device)") }

    func broadcast(payload: Int) -> (request: [UInt8], delivery: Int) {
        let text = filler(payload)
        return (publish(topic: allDevices, payload: text, id: 0), deliverySize(topic: allDevices, payload: text))
    }

    var answersBroadcasts: Bool { false }
}

extension Wire {
    /// Connects, and does what a client does first.
    func connect(_ host: String, _ port: Int, receiveBuffer: Int? = nil) throws -> Socket {
        let socket = try carrier.connect(host, port, receiveBuffer: receiveBuffer)
        // No other client of this process has this descriptor, and no other process this number.
        let greeting = greeting(client: Int(getpid()) << 16 | Int(socket.descriptor))
        guard !greeting.isEmpty else { return socket }
        try socket.write(greeting)
        switch welcome {
        case .nothing: break
        case .bytes(let count): try socket.skip(count)
        case .line:
            try withUnsafeTemporaryAllocation(byteCount: 1, alignment: 1) { byte in
                repeat {
                    guard socket.read(byte) == 1 else { throw ShuntError(.internalError, "no greeting") }
                } while byte[0] != 10
            }
        }
        return socket
    }
}

extension Socket {
    /// Subscribes, and waits for the answer.
    func subscribe(_ topic: String, group: String, _ wire: any Wire) throws {
        let (request, answer) = wire.subscribe(topic: topic, group: group)
        try write(request)
        try skip(answer)
    }
}
