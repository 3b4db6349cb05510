import Glibc
import ShuntBench
import ShuntCore

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
    var payload = filler(100)
    /// Messages that a producer may have unacknowledged.
    var window = 16_384
    /// Where producers send.
    var topics: [String]
    /// What consumers subscribe: a filter, or another topic where a rule sends messages on.
    var consume: String
    /// Patterns a second that come and go on another connection.
    var churn = 0

    struct Result: Sendable {
        var seconds: Double
        var deliveries: Int
        var lost: Int
        /// What the load took of the processors, as processor seconds.
        var processor: Double
        var perSecond: Double { Double(deliveries) / seconds }
    }

    func run() throws -> Result {
        DescriptorLimit.raise()
        let each = messages / pairs
        let blocks = try (0..<pairs).map(block)
        let consumers = Consumers(payload: payload)
        for pair in 0..<pairs {
            // Topics are of one length, so the first of them tells what each delivery has.
            let filter = name(consume, pair)
            let delivery = wire.deliverySize(topic: topics.count > 1 ? topics[0] : filter, payload: payload)
            let sockets = try Crowd.connect(fanout) { member in
                let socket = try wire.connect(host, port, receiveBuffer: Consumers.receiveBuffer)
                try socket.subscribe(filter, group: "g\(pair)-\(member)", wire)
                return socket
            }
            for socket in sockets { consumers.add(socket, messages: each, delivery: delivery) }
        }
        let producers = try (0..<pairs).map { try producer(blocks[$0], messages: each) }
        let churning = churn > 0 ? try PatternChurn(wire: wire, host: host, port: port, perSecond: churn) : nil
        let (start, processor) = (LoadClock.seconds(), LoadClock.processorSeconds())
        let reader = LoadThread { consumers.run() }
        for thread in producers.map({ producer in LoadThread { producer.run() } }) { thread.join() }
        consumers.endWhenQuiet()
        // A connection that is closed with something unread in it takes along what its server has not read.
        withExtendedLifetime(producers) { reader.join() }
        let took = LoadClock.processorSeconds() - processor
        try churning?.stop()
        if let failure = consumers.failure { throw failure }
        let received = consumers.received
        return Result(
            seconds: consumers.lastAt - start, deliveries: received, lost: each * pairs * fanout - received, processor: took)
    }

    private func block(_ pair: Int) throws -> MessageBlock {
        // One topic has as many messages as a write takes.
        let one = Array(repeating: name(topics[0], pair), count: max(1, Producer.writeSize / max(payload.count, 1)))
        return try MessageBlock(wire, topics: topics.count > 1 ? topics : one, payload: payload)
    }

    private func producer(_ block: MessageBlock, messages: Int) throws -> Producer {
        Producer(
            socket: try wire.connect(host, port, receiveBuffer: Consumers.receiveBuffer), block: block, messages: messages,
            window: window,
            acknowledgement: wire.acknowledgementSize)
    }

    private func name(_ topic: String, _ pair: Int) -> String { pairs == 1 ? topic : "\(topic)-\(pair)" }
}

/// A client that subscribes a pattern, and gives up the one before, so many times a second. None of them matches what is sent.
final class PatternChurn: Sendable {
    private let isOver = OneTimeFlag()
    private let thread: LoadThread
    private let socket: Socket

    init(wire: any Wire, host: String, port: Int, perSecond: Int) throws {
        let socket = try wire.connect(host, port)
        let isOver = isOver
        self.socket = socket
        thread = LoadThread {
            func pattern(_ number: Int) -> String { SensorTopics.alarms(ofSite: number) }
            var ticks = Ticks(every: 1 / Double(perSecond))
            var number = 0
            while !isOver.isSet {
                number += 1
                let come = wire.subscribe(topic: pattern(number), group: "churn").request
                let go = number > 1 ? wire.unsubscribe(topic: pattern(number - 1), group: "churn").request : []
                guard (try? socket.write(come + go)) != nil else { return }
                _ = socket.discard()
                ticks.wait()
            }
        }
    }

    /// - Throws: `internal` if the server has closed its connection.
    func stop() throws {
        isOver.set()
        thread.join()
        guard socket.discard() != 0 else {
            throw ShuntError(.internalError, "the server closed the connection whose patterns came and went")
        }
    }
}

/// Topics of sensors, all of one length.
enum SensorTopics {
    static let filter = "site/+/sensor/+/temp"
    private static let sites = 97

    static func names(_ count: Int, from first: Int) -> [String] {
        (first..<(first + count)).map { "site/\(digits($0 % sites, 2))/sensor/\(digits($0, 8))/temp" }
    }

    static func alarms(ofSite number: Int) -> String { "site/\(digits(number % sites, 2))/alarm/+" }

    private static func digits(_ number: Int, _ count: Int) -> String {
        let text = String(number)
        return String(repeating: "0", count: max(0, count - text.utf8.count)) + text
    }
}
