import ArgumentParser
import COpenSSL
import Glibc
import ShuntCore

@main
struct ShuntBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shunt-bench", abstract: "Load for a worker, and the same load for its peers.",
        subcommands: [
            Throughput.self, Topics.self, Latency.self, BroadcastCommand.self, RoundTrip.self, Idle.self, HandshakesCommand.self, Storm.self,
        ])
}

enum Peer: String, ExpressibleByArgument, CaseIterable {
    case shunt, mqtt, mqtts, ws, nats, redis
    var wire: any Wire {
        switch self {
        case .shunt: ExchangeWire()
        case .mqtt: MQTTWire()
        case .mqtts: MQTTWire(carrier: .tls)
        case .ws: MQTTWire(carrier: .webSocket)
        case .nats: NATSWire()
        case .redis: RedisWire()
        }
    }
}

/// What is measured, and where.
struct Target: ParsableArguments {
    @Option(help: "What is spoken there: shunt (the exchange protocol); mqtt (3.1.1, QoS 0), over TLS mqtts, over WebSocket ws; nats; redis.")
    var peer = Peer.shunt
    @Option var host = "127.0.0.1"
    @Option var port: Int
    @Flag(help: "The result as a JSON object.") var json = false
}

extension ThroughputLoad.Result {
    func show(_ target: Target) {
        if target.json {
            let counts = "\"per_second\":\(Int(perSecond)),\"deliveries\":\(deliveries),\"lost\":\(lost)"
            print("{\(counts),\"seconds\":\(seconds),\"processor\":\(processor)}")
        } else {
            print("\(target.peer.rawValue): \(Int(perSecond)) deliveries/s, \(deliveries) in \(seconds) s, \(lost) lost")
            print("the load took \(processor) s of the processors")
        }
    }
}

struct Throughput: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Messages a second from producers to consumers.")
    @OptionGroup var target: Target
    @Option(help: "Producers, each with a topic and consumers of its own.") var pairs = 1
    @Option(help: "Consumers of each topic.") var fanout = 1
    @Option(help: "Messages in all.") var messages = 2_000_000
    @Option(help: "Bytes of text.") var payload = 100
    @Option(help: "The text itself; nothing: so many `x`.") var text: String?
    @Option(help: "Messages that a producer may have unacknowledged.") var window = 16_384
    @Option(help: "The topic that producers send to.") var topic = "bench/orders"
    @Option(help: "The topic that consumers subscribe, where a rule makes it another one.") var consume: String?

    func run() throws {
        let load = ThroughputLoad(
            wire: target.peer.wire, host: target.host, port: target.port, pairs: pairs, fanout: fanout, messages: messages,
            payload: text.map { Array($0.utf8) } ?? filler(payload), window: window, topics: [topic], consume: consume ?? topic)
        try load.run().show(target)
    }
}

struct Topics: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Messages a second to many topics in turn, for one consumer that subscribes \(SensorTopics.filter).")
    @OptionGroup var target: Target
    @Option(help: "Topics.") var topics = 60_000
    @Option(help: "The number of the first topic.") var first = 0
    @Option(help: "How often each gets a message.") var rounds = 1
    @Option(help: "Bytes of text.") var payload = 100
    @Option(help: "Messages that may be unacknowledged.") var window = 16_384
    @Option(help: "Patterns a second that come and go on another connection.") var churn = 0

    func run() throws {
        let load = ThroughputLoad(
            wire: target.peer.wire, host: target.host, port: target.port, messages: topics * rounds, payload: filler(payload), window: window,
            topics: SensorTopics.names(topics, from: first), consume: SensorTopics.filter, churn: churn)
        try load.run().show(target)
    }
}

struct Latency: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "How long a message takes to a consumer, at a steady rate.")
    @OptionGroup var target: Target
    @Option(help: "Messages a second.") var rate = 1_000
    @Option var seconds = 3
    @Option(help: "Bytes of text.") var payload = 100

    func run() throws {
        let load = LatencyLoad(
            wire: target.peer.wire, host: target.host, port: target.port, perSecond: rate, seconds: seconds, payload: payload)
        let times = Latencies(try load.run())
        print(target.json ? times.json : "\(target.peer.rawValue): \(times.text)")
    }
}

struct BroadcastCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "broadcast", abstract: "How long until the last of many devices has read a broadcast.")
    @OptionGroup var target: Target
    @Option(help: "Connections that register.") var devices = 15_000
    @Option(help: "Broadcasts, one after the other.") var rounds = 20
    @Option(help: "Bytes of text.") var payload = 100

    func run() throws {
        let load = BroadcastLoad(wire: target.peer.wire, host: target.host, port: target.port, devices: devices, rounds: rounds, payload: payload)
        let result = try load.run()
        let (read, answered) = (Latencies(result.read), Latencies(result.answered))
        if target.json {
            print("{\"devices\":\(devices),\"read\":\(read.json),\"answered\":\(answered.json)}")
        } else {
            print("\(target.peer.rawValue): the last of \(devices) devices had read it after \(read.text)")
            if target.peer.wire.answersBroadcasts { print("the sender was answered after \(answered.text)") }
        }
    }
}

struct RoundTrip: ParsableCommand {
    enum Kind: String, ExpressibleByArgument, CaseIterable { case topic, chat }

    static let configuration = CommandConfiguration(
        commandName: "roundtrip",
        abstract: "How long one message to a consumer, or to the other member of a chat, and one back take.")
    @OptionGroup var target: Target
    @Option(help: "topic or chat.") var kind = Kind.topic
    @Option(help: "Messages there and back.") var rounds = 10_000
    @Option(help: "Bytes of text.") var payload = 100

    func validate() throws {
        if kind == .chat, target.peer != .shunt { throw ValidationError("\(target.peer.rawValue) has no chats") }
    }

    func run() throws {
        let load = RoundTripLoad(host: target.host, port: target.port, rounds: rounds, payload: payload)
        let times = Latencies(try kind == .chat ? load.chat() : load.topic(target.peer.wire))
        print(target.json ? times.json : "\(target.peer.rawValue) \(kind.rawValue): \(times.text)")
    }
}

struct Idle: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Holds subscribed connections open until standard input ends; prints a line when all are there.")
    @OptionGroup var target: Target
    @Option var connections = 15_000

    func run() throws {
        let load = IdleLoad(wire: target.peer.wire, host: target.host, port: target.port, connections: connections)
        let sockets = try load.connect()
        print("\(sockets.count) connections")
        fflush(nil)
        while readLine() != nil {}
        withExtendedLifetime(sockets) {}
    }
}

struct HandshakesCommand: ParsableCommand {
    enum Version: String, ExpressibleByArgument, CaseIterable { case v1_2 = "1.2", v1_3 = "1.3" }

    static let configuration = CommandConfiguration(
        commandName: "handshakes", abstract: "TLS connections, one after the other, that end once hands are shaken.")
    @Option var host = "127.0.0.1"
    @Option var port: Int
    @Option(help: "The version of TLS: 1.2 or 1.3.") var tls = Version.v1_3
    @Flag(help: "Resumes the session of a first connection, which does not count.") var resume = false
    @Option var seconds = 2.0
    @Flag(help: "The result as a JSON object.") var json = false

    func run() throws {
        let load = HandshakeLoad(host: host, port: port, version: tls == .v1_2 ? TLS1_2_VERSION : TLS1_3_VERSION, resumes: resume, seconds: seconds)
        let result = try load.run()
        if json {
            print("{\"handshakes\":\(result.handshakes),\"resumed\":\(result.resumed)}")
        } else {
            print("\(result.handshakes) handshakes, \(result.resumed) of them resumed")
        }
    }
}
