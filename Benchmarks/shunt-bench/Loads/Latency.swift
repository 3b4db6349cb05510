import CLoad
import ShuntBench
import ShuntCore

/// One client that sends so many messages a second, at even times, and another that gets them.
struct LatencyLoad: Sendable {
    let wire: any Wire
    let host: String
    let port: Int
    let perSecond: Int
    let seconds: Int
    let payload: Int

    private static let topic = "bench/latency"
    private static let warmUp = 500

    /// - Returns: seconds from just before a message is written until its consumer has read it, of each message.
    func run() throws -> [Double] {
        let consumer = try wire.connect(host, port)
        try consumer.subscribe(Self.topic, group: "latency", wire)
        consumer.setReadTimeout(seconds: 3)
        let producer = try wire.connect(host, port)
        let count = Self.warmUp + perSecond * seconds
        let (sent, received) = (Times(count), Times(count))
        let text = filler(payload)
        let size = wire.deliverySize(topic: Self.topic, payload: text)
        let reader = LoadThread { Self.read(consumer, size, count, into: received) }
        let message = wire.publish(topic: Self.topic, payload: text, id: 7)
        load_sleep_exactly()
        var ticks = Ticks(every: 1 / Double(perSecond))
        for number in 0..<count {
            ticks.wait()
            sent[number] = LoadClock.seconds()
            try producer.write(message)
            if wire.acknowledgementSize > 0 { _ = producer.discard() }
        }
        reader.join()
        guard received[count - 1] > 0 else { throw ShuntError(.internalError, "not all messages came") }
        return (Self.warmUp..<count).map { received[$0] - sent[$0] }
    }

    private static func read(_ socket: Socket, _ size: Int, _ count: Int, into times: Times) {
        var (bytes, messages) = (0, 0)
        while messages < count {
            let got = socket.discard(wait: true)
            guard got > 0 else { return }
            let now = LoadClock.seconds()
            bytes += got
            while messages < min(count, bytes / size) {
                times[messages] = now
                messages += 1
            }
        }
    }
}

/// A time of each message.
private final class Times: @unchecked Sendable {
    // `@unchecked Sendable`: one thread writes; others read once it has ended.
    private let seconds: UnsafeMutableBufferPointer<Double>

    init(_ count: Int) {
        seconds = .allocate(capacity: count)
        seconds.initialize(repeating: 0)
    }

    deinit { seconds.deallocate() }

    subscript(_ number: Int) -> Double {
        get { seconds[number] }
        set { seconds[number] = newValue }
    }
}
