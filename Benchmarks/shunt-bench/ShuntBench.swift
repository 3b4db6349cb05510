import ArgumentParser
import Glibc
import ShuntCore

@main
struct ShuntBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shunt-bench", abstract: "Load for a worker, and the same load for its peers.",
        subcommands: [Throughput.self, Idle.self])
}

enum Peer: String, ExpressibleByArgument, CaseIterable {
    case shunt, nats
    var wire: any Wire { self == .shunt ? ExchangeWire() : NATSWire() }
}

struct Throughput: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Messages a second from producers to consumers.")
    @Option(help: "What listens there: shunt or nats.") var peer = Peer.shunt
    @Option var host = "127.0.0.1"
    @Option var port: Int
    @Option(help: "Producers, each with a topic and consumers of its own.") var pairs = 1
    @Option(help: "Consumers of each topic.") var fanout = 1
    @Option(help: "Messages in all.") var messages = 2_000_000
    @Option(help: "Bytes of text.") var payload = 100
    @Option(help: "Messages that a producer may have unacknowledged.") var window = 16_384
    @Option(help: "The topic that producers send to.") var topic = "bench/orders"
    @Option(help: "The topic that consumers subscribe, where a rule makes it another one.") var consume: String?
    @Flag(help: "The result as a JSON object.") var json = false

    func run() throws {
        let load = ThroughputLoad(
            wire: peer.wire, host: host, port: port, pairs: pairs, fanout: fanout, messages: messages, payload: payload,
            window: window, topic: name(topic), consume: name(consume ?? topic))
        let result = try load.run()
        if json {
            print("{\"per_second\":\(Int(result.perSecond)),\"deliveries\":\(result.deliveries),\"seconds\":\(result.seconds),\"lost\":\(result.lost)}")
        } else {
            print("\(peer.rawValue): \(Int(result.perSecond)) deliveries/s, \(result.deliveries) in \(result.seconds) s, \(result.lost) lost")
        }
    }

    private func name(_ topic: String) -> String {
        peer == .nats ? String(topic.map { $0 == "/" ? "." : $0 }) : topic
    }
}

struct Idle: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Holds subscribed connections open until standard input ends; prints a line when all are there.")
    @Option var host = "127.0.0.1"
    @Option var port: Int
    @Option var connections = 15_000

    func run() throws {
        let wire = ExchangeWire()
        let sockets = try (0..<connections).map { number in
            let socket = try Socket(host: host, port: port)
            let (request, answer) = wire.subscribe(topic: "devices/\(number)/inbox", group: "device-\(number)")
            try socket.write(request)
            try socket.skip(answer)
            return socket
        }
        print("\(sockets.count) connections")
        fflush(nil)
        while readLine() != nil {}
        withExtendedLifetime(sockets) {}
    }
}
