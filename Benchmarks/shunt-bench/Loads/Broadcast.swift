import Glibc
import ShuntBench
import ShuntCore
import Synchronization

/// Many devices, and a sender whose broadcasts each of them reads. One thread reads for all devices, one after the other:
/// when it has read the message of the last device, all have been written, in whatever order.
struct BroadcastLoad {
    let wire: any Wire
    let host: String
    let port: Int
    let devices: Int
    let rounds: Int
    let payload: Int

    struct Result {
        /// Seconds from sending until the last device has read it, of each round.
        var read: [Double] = []
        /// Seconds until the sender was answered.
        var answered: [Double] = []
    }

    func run() throws -> Result {
        DescriptorLimit.raise()
        let sockets = try connect()
        let sender = try wire.connect(host, port)
        sender.setReadTimeout(seconds: 10)
        let (request, delivery) = wire.broadcast(payload: payload)
        var result = Result()
        for _ in 0..<rounds {
            let answered = Answer()
            let start = LoadClock.seconds()
            try sender.write(request)
            let waiting = wire.answersBroadcasts ? LoadThread { answered.wait(sender) } : nil
            // The last first: a reader that follows the writer closely would be woken, at the expense of both, for each of them.
            for socket in sockets.reversed() { try socket.skip(delivery) }
            result.read.append(LoadClock.seconds() - start)
            waiting?.join()
            if waiting != nil { result.answered.append(try answered.time() - start) }
        }
        return result
    }

    private func connect() throws -> [Socket] {
        let sockets = try (0..<devices).map { number in
            let socket = try wire.connect(host, port)
            socket.setReadTimeout(seconds: 10)
            try socket.write(wire.register(device: number).request)
            return socket
        }
        for (number, socket) in sockets.enumerated() { try socket.skip(wire.register(device: number).answer) }
        return sockets
    }
}

/// When the sender of a broadcast was answered.
private final class Answer: Sendable {
    /// Nanoseconds of the monotonic clock; 0: it was not.
    private let at = Atomic<Int>(0)

    /// An answer is one small frame: what comes first has all of it.
    func wait(_ socket: Socket) {
        withUnsafeTemporaryAllocation(byteCount: 4096, alignment: 1) { buffer in
            if socket.read(buffer) > 0 { at.store(Int(LoadClock.seconds() * 1e9), ordering: .relaxed) }
        }
    }

    func time() throws -> Double {
        let at = at.load(ordering: .relaxed)
        guard at > 0 else { throw ShuntError(.internalError, "the broadcast was not answered") }
        return Double(at) * 1e-9
    }
}
