import Glibc
import ShuntCore
import Synchronization

/// Producers that send as fast as they may, and consumers that count.
struct ThroughputLoad: Sendable {
    var wire: any Wire
    var host: String
    var port: Int
    /// Producer and consumer pairs, each on a topic of its own.
    var pairs = 1
    /// Consumers of each topic, each in a group of its own.
    var fanout = 1
    var messages: Int
    var payload = 100
    /// Messages that a producer may have unacknowledged.
    var window = 16_384
    var topic = "bench/orders"
    /// What consumers subscribe: another topic where a rule sends messages on.
    var consume = "bench/orders"

    struct Result: Sendable {
        var seconds: Double
        var deliveries: Int
        var lost: Int
        var perSecond: Double { Double(deliveries) / seconds }
    }

    func run() throws -> Result {
        var consumers: [(LoadThread, Counter)] = []
        let each = messages / pairs
        for pair in 0..<pairs {
            let topic = name(consume, pair)
            for member in 0..<fanout {
                let socket = try Socket(host: host, port: port)
                try join(socket, topic: topic, group: "g\(pair)-\(member)")
                let counter = Counter(expected: each * wire.deliverySize(topic: topic, payload: payload))
                consumers.append((LoadThread { counter.count(socket) }, counter))
            }
        }
        let producers = try (0..<pairs).map { pair in
            let socket = try Socket(host: host, port: port)
            try socket.greet(wire)
            return (socket, name(topic, pair))
        }
        let start = monotonicSeconds()
        let threads = producers.map { socket, topic in LoadThread { produce(socket, topic: topic, count: each) } }
        for thread in threads { thread.join() }
        // What is not there a while after the last was sent was dropped.
        let deadline = monotonicSeconds() + 3
        for (thread, counter) in consumers {
            counter.finish(by: deadline)
            thread.join()
        }
        let end = consumers.map { $0.1.lastAt.load(ordering: .relaxed) }.max() ?? 0
        let received = zip(consumers, consumers.indices).map { consumer, index in
            consumer.1.received.load(ordering: .relaxed) / wire.deliverySize(topic: name(consume, index / fanout), payload: payload)
        }.reduce(0, +)
        return Result(
            seconds: Double(end) * 1e-9 - start, deliveries: received, lost: each * pairs * fanout - received)
    }

    private func name(_ topic: String, _ pair: Int) -> String { pairs == 1 ? topic : "\(topic)-\(pair)" }

    private func join(_ socket: Socket, topic: String, group: String) throws {
        try socket.greet(wire)
        let (request, answer) = wire.subscribe(topic: topic, group: group)
        try socket.write(request)
        try socket.skip(answer)
    }

    private func produce(_ socket: Socket, topic: String, count: Int) {
        let message = wire.publish(topic: topic, payload: payload, id: 7)
        let perWrite = max(1, min((64 << 10) / message.count, window / 2))
        let block = [UInt8](Array(repeatElement(message, count: perWrite)).joined())
        let acknowledgement = wire.acknowledgementSize
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
        defer { buffer.deallocate() }
        var sent = 0
        var acknowledged = 0
        var acknowledgedBytes = 0
        while sent < count || (acknowledgement > 0 && acknowledged < count) {
            if sent < count, acknowledgement == 0 || sent - acknowledged + perWrite <= window {
                let now = min(perWrite, count - sent)
                let written: Void? = try? block.withUnsafeBytes {
                    try socket.write(UnsafeRawBufferPointer(rebasing: $0[..<(now * message.count)]))
                }
                if written == nil { return }
                sent += now
            }
            guard acknowledgement > 0 else { continue }
            let mustWait = sent == count || sent - acknowledged + perWrite > window
            let got = socket.read(buffer, wait: mustWait)
            if got == 0 { return }
            if got > 0 {
                acknowledgedBytes += got
                acknowledged = acknowledgedBytes / acknowledgement
            }
        }
    }
}

/// Counts what a consumer gets.
final class Counter: Sendable {
    let received = Atomic<Int>(0)
    /// When the last byte came, in nanoseconds of the monotonic clock.
    let lastAt = Atomic<Int>(0)
    private let expected: Int
    private let deadline = Atomic<Int>(Int.max)

    init(expected: Int) { self.expected = expected }

    func finish(by seconds: Double) { deadline.store(Int(seconds * 1e9), ordering: .relaxed) }

    func count(_ socket: Socket) {
        var timeout = timeval(tv_sec: 0, tv_usec: 100_000)
        setsockopt(socket.descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 16)
        defer { buffer.deallocate() }
        var total = 0
        while total < expected {
            let got = socket.read(buffer)
            if got == 0 { return }
            let now = Int(monotonicSeconds() * 1e9)
            if got < 0 {
                if now > deadline.load(ordering: .relaxed) { return }
                continue
            }
            total += got
            received.store(total, ordering: .relaxed)
            lastAt.store(now, ordering: .relaxed)
        }
    }
}
