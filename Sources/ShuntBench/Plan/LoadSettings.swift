import Glibc
import MQTTCodec
import ShuntCore

/// What is to be done to a broker, and how.
public struct LoadSettings: Sendable {
    public enum Work: Sendable {
        /// So many connections, each perhaps with a subscription, held for so many seconds.
        case connections(Int, subscribe: Bool, hold: Double)
        case messages(MessageSettings)
    }

    public var work: Work
    public var broker: HostPort
    /// nil: in plain bytes.
    public var tls: LoadTLS?
    public var version = MQTTVersion.v5
    public var userName: String?
    public var password: String?
    /// Seconds; 0: none.
    public var keepAlive: UInt16 = 60
    /// Connections that are opened a second; 0: as fast as it goes.
    public var connectRate = 1000.0
    /// Seconds that a broker has for an answer.
    public var patience = 10.0
    /// Seconds after the last message in which what is under way may come.
    public var drain = 10.0
    public var threads = 1
    /// Local addresses of connections, taken in turn; empty: the system's choice.
    public var sources: [String] = []
    /// Topics begin with it.
    public var prefix: String
    /// Client identifiers and payloads follow from it.
    public var seed: UInt32

    public init(_ work: Work, broker: HostPort, prefix: String, seed: UInt32) {
        (self.work, self.broker, self.prefix, self.seed) = (work, broker, prefix, seed)
    }

    /// The messages of a load.
    public struct MessageSettings: Sendable {
        public var scenario: Scenario
        /// Messages a second in place of the scenario's; nil: as many as there can be.
        public var perSecond: Double?
        public var qos = QoS.atMostOnce
        /// Bytes of a payload.
        public var size = 100
        /// Messages that a publisher may have unacknowledged; with QoS 0 as fast as possible, undelivered, all publishers taken together. nil:
        /// a number that suits the load.
        public var inflight: Int?
        /// Seconds that are measured, and seconds before them that are not.
        public var duration = 10.0
        public var warmUp = 2.0

        public init(_ scenario: Scenario) {
            self.scenario = scenario
            perSecond = Double(scenario.perSecond)
        }

        /// Messages of QoS 1 and 2 that a publisher may have unacknowledged.
        var window: Int { inflight ?? 100 }

        /// Deliveries of QoS 0 that may be under way; nil where a pace bounds them. Without a bound a load would measure how much the buffers
        /// of the system hold.
        var deliveriesUnderWay: Int? {
            guard perSecond == nil, qos == .atMostOnce else { return nil }
            // Brokers that are slow to send get slower with longer queues; fast ones write a fan-out in larger pieces.
            let ofAll = scenario.copies > 1 ? 262_144 : 65_536
            let ofEach = inflight ?? max(1, min(16_384, ofAll / (scenario.publishers * scenario.copies)))
            return ofEach * scenario.publishers * scenario.copies
        }

        /// Bytes at which a subscriber that is sent messages as fast as possible is woken: a part of what may be under way for it. nil: at
        /// each message.
        var wakeUp: Int? {
            deliveriesUnderWay.map { max(1, min(16 << 10, $0 / scenario.subscribers * size / 2)) }
        }
    }

    /// The broker is often on the same machine, and needs processors.
    public static var defaultThreads: Int { sysconf(Int32(_SC_NPROCESSORS_ONLN)) >= 4 ? 2 : 1 }

    /// Bytes of a payload.
    public static let sizes = PayloadStamp.size...(16 << 20)

    var messages: MessageSettings? { if case .messages(let messages) = work { messages } else { nil } }

    /// Connections in all.
    public var connections: Int {
        switch work {
        case .connections(let count, _, _): count
        case .messages(let messages): messages.scenario.publishers + messages.scenario.subscribers
        }
    }

    /// The name of the load in a report: a scenario, or `conn-10K-1K` for 10,000 connections, 1,000 a second.
    public var name: String {
        switch work {
        case .connections(let count, _, _): "conn-\(Quantity.text(count))-\(connectRate > 0 ? Quantity.text(Int(connectRate)) : "max")"
        case .messages(let messages): messages.scenario.name
        }
    }

    /// Marks the payloads of this run.
    var mark: UInt16 { UInt16(truncatingIfNeeded: seed ^ seed >> 16) }

    /// At most 23 letters and digits, which every broker takes (3.1.1, 3.1.3.1).
    func clientID(_ number: Int) -> String {
        let (run, number) = (String(seed, radix: 16), String(number))
        return "bench" + String(repeating: "0", count: 8 - run.utf8.count) + run + String(repeating: "0", count: max(0, 7 - number.utf8.count))
            + number
    }
}

/// Which connection is what, and which thread has it. Subscribers come first.
struct Roles: Sendable {
    enum Role: Equatable {
        case idle(Int)
        case subscriber(Int)
        case publisher(Int)
    }

    let settings: LoadSettings

    func role(of connection: Int) -> Role {
        guard let scenario = settings.messages?.scenario else { return .idle(connection) }
        return connection < scenario.subscribers ? .subscriber(connection) : .publisher(connection - scenario.subscribers)
    }

    /// Who share a subscription share the accounts of what has come, so one thread has them all.
    func thread(of connection: Int) -> Int {
        guard settings.threads > 1, settings.messages?.scenario.kind == .sharedSubscription else { return connection % settings.threads }
        guard case .publisher(let number) = role(of: connection) else { return 0 }
        return 1 + number % (settings.threads - 1)
    }

    /// What a connection subscribes.
    func filter(of connection: Int) -> String? {
        switch (role(of: connection), settings.work) {
        case (.idle(let number), .connections(_, subscribe: true, _)): "\(settings.prefix)/\(number)"
        case (.subscriber(let number), .messages(let messages)): messages.scenario.filter(of: number, prefix: settings.prefix)
        default: nil
        }
    }
}
