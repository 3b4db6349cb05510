import ExchangeCodec
import ShuntBench
import ShuntCore

/// Two clients that send one another a message in turn. One thread, so that no waking of another is measured.
struct RoundTripLoad {
    let host: String
    let port: Int
    let rounds: Int
    let payload: Int

    private static let warmUp = 500

    /// What each side sends, and what it gets for it from the server and from the other side.
    private struct Message {
        var request: [UInt8]
        var acknowledgement: Int
        var delivery: Int
    }

    /// - Returns: seconds of each round.
    func topic(_ wire: any Wire) throws -> [Double] {
        let (here, there) = ("bench/here", "bench/there")
        let ends = try [here, there].map { topic in
            let socket = try wire.connect(host, port)
            try socket.subscribe(topic, group: topic, wire)
            return socket
        }
        func message(to topic: String) -> Message {
            Message(
                request: wire.publish(topic: topic, payload: filler(payload), id: 2), acknowledgement: wire.acknowledgementSize,
                delivery: wire.deliverySize(topic: topic, payload: filler(payload)))
        }
        return try measure(ends[0], message(to: there), ends[1], message(to: here))
    }

    func chat() throws -> [Double] {
        let wire = ExchangeWire()
        let chat = "bench"
        let ends = try (0..<2).map { _ in
            let socket = try Socket(host: host, port: port)
            try socket.write(wire.join(chat: chat))
            try socket.skip(wire.acknowledgementSize)
            return socket
        }
        let request = wire.say(chat: chat, payload: payload)
        let message = Message(request: request, acknowledgement: wire.acknowledgementSize, delivery: request.count)
        return try measure(ends[0], message, ends[1], message)
    }

    private func measure(_ one: Socket, _ there: Message, _ two: Socket, _ back: Message) throws -> [Double] {
        var times: [Double] = []
        times.reserveCapacity(rounds)
        for round in 0..<(rounds + Self.warmUp) {
            let start = LoadClock.seconds()
            try one.write(there.request)
            try two.skip(there.delivery)
            try two.write(back.request)
            try one.skip(there.acknowledgement + back.delivery)
            if round >= Self.warmUp { times.append(LoadClock.seconds() - start) }
            try two.skip(back.acknowledgement)
        }
        return times
    }
}
