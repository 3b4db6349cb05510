import ArgumentParser
import Glibc
import ShuntCore

@main
struct ShuntBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shunt-bench", abstract: "Load for a worker, and the same load for its peers.",
        subcommands: [Throughput.self, BroadcastCommand.self, RoundTrip.self, Idle.self, Storm.self])
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

struct BroadcastCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "broadcast", abstract: "How long until the last of many devices has read a broadcast.")
    @Option(help: "What listens there: shunt or nats.") var peer = Peer.shunt
    @Option var host = "127.0.0.1"
    @Option var port: Int
    @Option(help: "Connections that register.") var devices = 15_000
    @Option(help: "Broadcasts, one after the other.") var rounds = 20
    @Option(help: "Bytes of text.") var payload = 100
    @Flag(help: "The result as a JSON object.") var json = false

    func run() throws {
        let load = BroadcastLoad(wire: peer.wire, host: host, port: port, devices: devices, rounds: rounds, payload: payload)
        let result = try load.run()
        let (read, answered) = (Latencies(result.read), Latencies(result.answered))
        if json {
            print("{\"devices\":\(devices),\"read\":\(read.json),\"answered\":\(answered.json)}")
        } else {
            print("\(peer.rawValue): the last of \(devices) devices had read it after \(read.text)")
            if peer.wire.answersBroadcasts { print("the sender was answered after \(answered.text)") }
        }
    }
}

struct RoundTrip: ParsableCommand {
    enum Kind: String, ExpressibleByArgument, CaseIterable { case topic, chat }

    static let configuration = CommandConfiguration(
        commandName: "roundtrip",
        abstract: "How long one message to a consumer, or to the other member of a chat, and one back take.")
    @Option(help: "What listens there: shunt or nats.") var peer = Peer.shunt
    @Option var host = "127.0.0.1"
    @Option var port: Int
    @Option(help: "topic or chat.") var kind = Kind.topic
    @Option(help: "Messages there and back.") var rounds = 10_000
    @Option(help: "Bytes of text.") var payload = 100
    @Flag(help: "The result as a JSON object.") var json = false

    func validate() throws {
        if kind == .chat, peer != .shunt { throw ValidationError("\(peer.rawValue) has no chats") }
    }

    func run() throws {
        let load = RoundTripLoad(host: host, port: port, rounds: rounds, payload: payload)
        let times = Latencies(try kind == .chat ? load.chat() : load.topic(peer.wire))
        print(json ? times.json : "\(peer.rawValue) \(kind.rawValue): \(times.text)")
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
