import ShuntCore

/// SUBSCRIBE (3.1.1 §3.8, 5.0 §3.8).
public struct Subscribe: Equatable, Sendable {
    public var identifier: UInt16
    /// At least one.
    public var filters: [Filter]
    public var properties = Properties.none

    /// A topic filter, and how its messages are to be delivered.
    public struct Filter: Equatable, Sendable {
        /// A text; whether it is a filter is the server's to check, which answers each by itself.
        public var filter: String
        /// The most.
        public var qos: QoS
        /// 5.0: what the client itself publishes does not come back to it.
        public var isNoLocal = false
        /// 5.0: the retain flag is passed on as it was published.
        public var isRetainAsPublished = false
        public var retainHandling = RetainHandling.send

        public init(_ filter: String, _ qos: QoS = .atMostOnce) {
            self.filter = filter
            self.qos = qos
        }
    }

    /// Whether a new subscription gets retained messages (5.0 §3.8.3.1).
    public enum RetainHandling: UInt8, Sendable {
        case send = 0
        /// Only if the subscription did not exist.
        case sendIfNew = 1
        case doNotSend = 2
    }

    public init(_ identifier: UInt16, _ filters: [Filter], properties: Properties = .none) {
        self.identifier = identifier
        self.filters = filters
        self.properties = properties
    }

    /// Reads what follows the fixed header.
    public init(decoding body: Bytes, _ version: MQTTVersion) throws(MQTTFault) {
        var reader = PacketReader(body)
        self.init(try reader.identifier(), [])
        if version.hasProperties { properties = try Properties(&reader, of: .subscribe) }
        while !reader.isAtEnd {
            let text = String(decoding: try reader.text("a topic filter"), as: UTF8.self)
            let options = try reader.byte("a subscription's options")
            filters.append(try Self.filter(text, options, version))
        }
        guard !filters.isEmpty else { throw MQTTFault(.protocolError, "a SUBSCRIBE without a topic filter", "MQTT-3.8.3-2") }
    }

    private static func filter(_ text: String, _ options: UInt8, _ version: MQTTVersion) throws(MQTTFault) -> Filter {
        guard let qos = QoS(rawValue: options & 3) else { throw MQTTFault(.protocolError, "a subscription of QoS 3", "MQTT-3.8.3-4") }
        var filter = Filter(text, qos)
        guard options & (version.hasProperties ? 0xC0 : 0xFC) == 0 else {
            throw MQTTFault(.malformedPacket, "reserved bits of a subscription's options are set", "MQTT-3.8.3-5")
        }
        filter.isNoLocal = options & 4 != 0
        filter.isRetainAsPublished = options & 8 != 0
        guard let handling = RetainHandling(rawValue: options >> 4 & 3) else {
            throw MQTTFault(.protocolError, "retain handling 3", "MQTT-3.8.3-4")
        }
        filter.retainHandling = handling
        if filter.isNoLocal, text.hasPrefix("$share/") {
            throw MQTTFault(.protocolError, "no local on a shared subscription", "MQTT-3.8.3-4")
        }
        return filter
    }

    /// The whole packet.
    public func encoded(_ version: MQTTVersion) -> [UInt8] {
        var writer = PacketWriter()
        writer.uint16(identifier)
        if version.hasProperties { writer.properties(properties) }
        for filter in filters {
            writer.text(filter.filter)
            let more: UInt8 = (filter.isNoLocal ? 4 : 0) | (filter.isRetainAsPublished ? 8 : 0) | filter.retainHandling.rawValue << 4
            writer.byte(filter.qos.rawValue | (version.hasProperties ? more : 0))
        }
        return writer.packet(.subscribe)
    }
}
