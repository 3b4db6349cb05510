import ArgumentParser
import ShuntCore

@main
struct ShuntBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shunt-bench", abstract: "Load for a worker, and the same load for its peers.",
        subcommands: [Throughput.self])
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
    @Option var topic = "bench/orders"

    func run() throws {
        let load = ThroughputLoad(
            wire: peer.wire, host: host, port: port, pairs: pairs, fanout: fanout, messages: messages, payload: payload,
            window: window, topic: peer == .nats ? String(topic.map { $0 == "/" ? "." : $0 }) : topic)
        let result = try load.run()
        print("\(peer.rawValue): \(Int(result.perSecond)) deliveries/s, \(result.deliveries) in \(result.seconds) s, \(result.lost) lost")
    }
}
