import FoundationEssentials
import MQTTCodec
import ShuntCore

/// What a load has found, as it is written to JSON and read again.
public struct BenchReport: Codable, Equatable, Sendable {
    /// Of this layout; it goes up when a member changes its meaning.
    public static let format = 1

    public var format = BenchReport.format
    /// The name of the load.
    public var scenario: String
    public var broker: String
    /// `5.0` or `3.1.1`.
    public var mqtt: String
    /// 0, 1 or 2; nil where no messages are sent, as all that is about them.
    public var qos: Int?
    /// Bytes of a payload.
    public var size: Int?
    /// Messages a second that were to be sent; 0: as many as there can be.
    public var rate: Double?
    public var inflight: Int?
    /// Seconds.
    public var duration: Double
    public var warmUp: Double?
    public var threads: Int
    public var seed: UInt32
    /// Whether it ran to its end.
    public var isComplete = true
    public var connections = Connections()
    public var messages: Messages?
    /// What the busiest thread of the load took of a processor, 0 to 1. Near 1, the load may have been the limit.
    public var processor = 0.0

    public struct Connections: Codable, Equatable, Sendable {
        public var wanted = 0
        /// A CONNACK came that welcomed the client.
        public var made = 0
        /// Connections that never became ready: refused, unanswered, or without their subscription.
        public var failed = 0
        /// Connections that ended before the load did.
        public var lost = 0
        /// From when a connection was due to be opened until its CONNACK.
        public var connack: Percentiles?
        /// Why connections failed or were lost, and why messages were refused.
        public var reasons: [String: Int] = [:]
    }

    public struct Messages: Codable, Equatable, Sendable {
        /// All, the warm-up's too.
        public var sent: Int
        /// Messages that were due and could not be sent, since the broker took or acknowledged too few.
        public var unsent: Int
        /// Deliveries.
        public var received: Int
        public var lost: Int
        /// Whether messages still came when the load did not wait any longer: some of the lost ones may have been on their way.
        public var isCutOff = false
        public var duplicates: Int
        /// Deliveries after one with a higher number of the same publisher.
        public var outOfOrder: Int
        /// Deliveries that are not of this load, or came to another subscriber than they were for.
        public var strays: Int
        public var unacknowledged: Int
        public var refused: Int
        /// Without the warm-up.
        public var sentPerSecond: Double
        public var receivedPerSecond: Double
        /// Payload bytes, in millions.
        public var megabytesPerSecond: Double
        /// From when a message was due until a subscriber read it. Without the warm-up.
        public var latency: Percentiles?
        /// From when a message was due until the broker acknowledged it.
        public var acknowledgement: Percentiles?
        /// The least that was granted to a subscription.
        public var grantedQos: Int
    }

    init(_ settings: LoadSettings) {
        scenario = settings.name
        broker = settings.broker.description
        mqtt = settings.version.hasProperties ? "5.0" : "3.1.1"
        threads = settings.threads
        seed = settings.seed
        switch settings.work {
        case .connections(_, _, let hold): duration = hold
        case .messages(let messages):
            (qos, size, rate) = (Int(messages.qos.rawValue), messages.size, messages.perSecond ?? 0)
            inflight = messages.qos == .atMostOnce ? messages.inflight : messages.window
            (duration, warmUp) = (messages.duration, messages.warmUp)
        }
    }

    /// Whether messages are missing that QoS 1 or 2 was to bring.
    public var hasLostMessages: Bool { (qos ?? 0) > 0 && (messages.map { $0.lost + $0.unacknowledged } ?? 0) > 0 }

    // JSON

    public func json() -> String { Self.text(self) }

    static func text(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.keyEncodingStrategy = .convertToSnakeCase
        // Its members are numbers that are finite, texts, and what is made of them.
        return (try? encoder.encode(value)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }

    /// - Parameter name: of the file, for errors.
    /// - Throws: `payload.invalid` where the bytes are no report.
    public init(json: [UInt8], name: String) throws(ShuntError) {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        guard let report = try? decoder.decode(BenchReport.self, from: Data(json)), report.format == Self.format else {
            throw ShuntError(.payloadInvalid, "this is no report of this version", at: name, help: "what 'shunt bench run … --json' prints")
        }
        self = report
    }
}

extension BenchReport.Messages {
    init(_ figures: LoopFigures, _ settings: LoadSettings.MessageSettings, due: Int?, seconds: Double) {
        sent = figures.sent
        unsent = due.map { max(0, $0 - figures.sent) } ?? 0
        received = figures.received
        lost = max(0, figures.sent * settings.scenario.copies - figures.distinct)
        duplicates = figures.duplicates
        outOfOrder = figures.late
        strays = figures.strays
        unacknowledged = figures.outstanding + figures.unacknowledged
        refused = figures.refused
        func perSecond(_ count: Int) -> Double { seconds > 0 ? (Double(count) / seconds * 10).rounded() / 10 : 0 }
        sentPerSecond = perSecond(figures.sentMeasured)
        receivedPerSecond = perSecond(figures.receivedMeasured)
        megabytesPerSecond = (receivedPerSecond * Double(settings.size) / 1e4).rounded() / 100
        latency = Percentiles(figures.latencies)
        acknowledgement = Percentiles(figures.acknowledgements)
        grantedQos = Int(min(figures.grantedQoS, settings.qos).rawValue)
    }
}
